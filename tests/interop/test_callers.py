#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
"""Calls of qemu-img as well-known programs make them, side by side: libvirt, nova, glance, ironic,
cinder, Proxmox, packer, kubevirt and its importer, oVirt, CloudStack, LXD and libguestfs. The flags are
those of their public sources and documentation.

Each call runs in two equal directories that hold the files it needs. Both programs must print the same
on both streams, end with the same status and leave the same files: QEMU reads the same from them, and
its info says the same of them. What may differ is what side_by_side.REPLACEMENTS says: times and rates,
the space that an image takes, steps of progress. With an argument, only the calls with that text run.

A call that writes a format we cannot write, or asks for what only such a format has, must end with
status 1 and one line that names the format, print nothing else but progress, and change no file."""

import os
import shlex
import shutil
import sys

import interop
from interop import must
import side_by_side

# As nova, cinder, kubevirt's importer and LXD limit qemu-img against images that are made to harm it.
LIMITS = "prlimit --as=1073741824 --cpu=30 env LC_ALL=C LANG=C "

# Columns: the caller, the files that the call needs, the call. A call after "-" needs a format that
# we lack. "CD FOLDER" runs it there, "TO FILE" sends standard output to a file.
CALLS = """
libvirt    |                       | qemu-img create -f raw vol.img 1024K
libvirt    |                       | qemu-img create -f raw -o preallocation=falloc vol.img 1048576K
libvirt    |                       | qemu-img create -f qed vol.img 5242880K
libvirt    | disk.raw              | qemu-img create -f qed -o backing_fmt=raw -b disk.raw vol.img 5242880K
libvirt    | disk.raw              | qemu-img create -f qed -b disk.raw -F raw vol.img 5242880K
libvirt    |                       | qemu-img create -f qed -b /dev/null -F raw vol.img 5242880K
libvirt    |                       | - qemu-img create -f qcow2 -o compat=0.10 vol.img 5242880K
libvirt    | disk.raw              | - qemu-img create -f qcow2 -o backing_fmt=raw,compat=1.1,lazy_refcounts -b disk.raw vol.img 5242880K
libvirt    | disk.qcow2            | qemu-img convert -f qcow2 -O raw disk.qcow2 vol.img
libvirt    | disk.qed              | qemu-img convert -f qed -O raw -o preallocation=falloc disk.qed vol.img
libvirt    | disk.raw              | - qemu-img convert -f raw -O qcow2 -o compat=0.10,preallocation=falloc disk.raw vol.img
libvirt    | disk.qcow2 target.raw secret | qemu-img convert --image-opts -n --target-image-opts --object secret,id=vol.img_encrypt0,file=secret driver=qcow2,file.filename=disk.qcow2 driver=raw,file.filename=target.raw
libvirt    | disk.raw              | qemu-img resize -f raw disk.raw 8388608
libvirt    | disk.qcow2            | - qemu-img snapshot -c before disk.qcow2
libvirt    | disk.qed              | qemu-img snapshot -c before disk.qed
nova       | disk.raw              | LIMITS qemu-img info disk.raw --force-share --output=json
nova       | disk.qcow2            | LIMITS qemu-img info disk.qcow2 --force-share --output=json -f qcow2
nova       | overlay.qed disk.raw  | LIMITS qemu-img info $PWD/overlay.qed --force-share --output=json
nova       | cloud.qcow2           | qemu-img convert -t none -O raw -f qcow2 cloud.qcow2 disk
nova       | cloud.qcow2           | qemu-img convert -t writeback -O raw -f qcow2 cloud.qcow2 disk
nova       | disk.qcow2            | - qemu-img convert -t none -O qcow2 -f qcow2 -c disk.qcow2 snapshot
nova       | disk.raw              | qemu-img create -f qed -o backing_file=$PWD/disk.raw,backing_fmt=raw,size=8388608 disk
nova       | disk.qcow2            | - qemu-img create -f qcow2 -o backing_file=$PWD/disk.qcow2,backing_fmt=qcow2,cluster_size=65536,size=8388608 disk
nova       |                       | qemu-img create -f raw disk.swap 67108864
nova       | disk.raw              | qemu-img resize -f raw disk.raw 1073741824
nova       | overlay.qed disk.raw  | qemu-img rebase -b "" overlay.qed
nova       | top.qed overlay.qed disk.raw | qemu-img rebase -b $PWD/disk.raw -F raw top.qed
glance     | cloud.qcow2           | qemu-img info --output=json cloud.qcow2
glance     | cloud.qcow2           | qemu-img convert -f qcow2 -O raw cloud.qcow2 converted
ironic     | cloud.qcow2           | qemu-img convert -f qcow2 -O raw -t writeback -S 0 cloud.qcow2 converted
ironic     | disk.qcow2            | qemu-img convert -O raw -S 8k -W disk.qcow2 converted
cinder     | cloud.qcow2           | LIMITS qemu-img info --output=json -f qcow2 --force-share cloud.qcow2
cinder     | overlay.qcow2 disk.qcow2 | LIMITS qemu-img info overlay.qcow2
cinder     | cloud.qcow2           | qemu-img convert -O raw -t none -f qcow2 cloud.qcow2 volume
cinder     | disk.raw              | qemu-img convert -O raw -f raw disk.raw volume
cinder     | disk.raw              | - qemu-img convert -O vmdk -o subformat=streamOptimized -t none -f raw disk.raw upload
cinder     | disk.raw              | qemu-img resize -f raw disk.raw 1G
cinder     | disk.raw              | qemu-img create -f qed -o backing_file=$PWD/disk.raw,backing_fmt=raw snap 16777216
cinder     | overlay.qed disk.raw  | qemu-img rebase -u -b disk.raw -F raw overlay.qed
cinder     | overlay.qed disk.raw  | qemu-img commit -d overlay.qed
proxmox    | disk.qcow2            | qemu-img info -f qcow2 --output=json disk.qcow2
proxmox    | top.qed overlay.qed disk.raw | qemu-img info --backing-chain --output=json -f qed top.qed
proxmox    |                       | qemu-img create -o preallocation=off -f raw vm-100-disk-0.raw 4194304K
proxmox    |                       | - qemu-img create -o preallocation=metadata -f qcow2 vm-100-disk-0.qcow2 4194304K
proxmox    | 9000/base.raw 100/keep | CD 100 qemu-img create -b ../9000/base.raw -F raw -f qed $PWD/100/vm-100-disk-0.qed
proxmox    | disk.raw              | qemu-img resize -f raw disk.raw 5368709120
proxmox    | disk.raw              | qemu-img resize --preallocation=falloc -f raw disk.raw 16777216
proxmox    | disk.qcow2            | qemu-img snapshot -l disk.qcow2
proxmox    | disk.qcow2            | - qemu-img snapshot -a before disk.qcow2
proxmox    | disk.qcow2            | - qemu-img snapshot -d before disk.qcow2
proxmox    | disk.qcow2 target.raw | qemu-img convert -p -n -T none -f qcow2 -O raw disk.qcow2 target.raw
proxmox    | disk.raw target.raw   | qemu-img convert -p -n -t none -T none -r 102400K -f raw -O raw disk.raw target.raw
proxmox    | disk.qcow2            | TO export qemu-img convert -f qcow2 -O raw disk.qcow2 /dev/stdout
proxmox    |                       | qemu-img measure --output=json --size 4194304K -O qcow2
packer     |                       | qemu-img create -f raw packer-image 40960M
packer     | disk.raw              | qemu-img create -f qed -b disk.raw -F raw packer-image 5G
packer     | disk.qcow2            | - qemu-img create -f qcow2 -b disk.qcow2 -F qcow2 packer-image 5G
packer     | disk.qed              | qemu-img convert -O raw disk.qed packer-image.convert
packer     | disk.raw              | - qemu-img convert -c -O qcow2 disk.raw packer-image.convert
packer     | disk.raw              | qemu-img resize -f raw disk.raw 5G
kubevirt   | cloud.qcow2           | LIMITS qemu-img info --output=json cloud.qcow2
kubevirt   | disk.qcow2            | qemu-img info disk.qcow2 --output json
kubevirt   | cloud.qcow2           | qemu-img convert -t none -p -O raw cloud.qcow2 disk.img
kubevirt   | cloud.qcow2           | qemu-img convert -t writeback -p -O raw cloud.qcow2 disk.img -o preallocation=falloc
kubevirt   | cloud.qcow2 target.raw | qemu-img convert -t none -p -n -O raw cloud.qcow2 target.raw -S 0
kubevirt   | disk.raw              | qemu-img convert -p -O raw "json: {\\"file.driver\\": \\"file\\", \\"file.filename\\": \\"disk.raw\\"}" disk.img
kubevirt   |                       | qemu-img create -f raw disk.img 1073741824 -o preallocation=falloc
kubevirt   |                       | qemu-img create -f raw disk.img 1073741824 -o preallocation=full
kubevirt   | disk.raw              | qemu-img resize -f raw disk.raw 16777216
kubevirt   | disk.raw              | qemu-img resize --preallocation=off -f raw disk.raw 16777216
kubevirt   | disk.raw              | - qemu-img create -f qcow2 -b disk.raw -F raw ephemeral.qcow2
ovirt      | disk.qcow2            | qemu-img info --output json -f qcow2 -U disk.qcow2
ovirt      | disk.raw              | LIMITS qemu-img info --output json -f raw disk.raw
ovirt      | disk.qed              | qemu-img check --output json -f qed disk.qed
ovirt      | disk.qcow2            | qemu-img check --output json -f qcow2 disk.qcow2
ovirt      | leaky.qed             | qemu-img check --output json -f qed leaky.qed
ovirt      | overlay.qcow2 disk.qcow2 | qemu-img map --output json overlay.qcow2
ovirt      | top.qed overlay.qed disk.raw | qemu-img map --output json top.qed
ovirt      | disk.qcow2            | qemu-img measure --output json -O raw 'json:{"file": {"driver": "file", "filename": "disk.qcow2"}, "driver": "qcow2", "backing": null}'
ovirt      | disk.raw              | qemu-img measure --output json -O qcow2 'json:{"file": {"driver": "file", "filename": "disk.raw"}, "driver": "raw"}'
ovirt      | disk.raw              | qemu-img create -f qed -b disk.raw -F raw -u overlay 8388608
ovirt      |                       | qemu-img create -f raw -o preallocation=falloc disk 8388608
ovirt      | disk.qed              | qemu-img convert -p -t none -T none -f qed -O raw -W disk.qed copy
ovirt      | disk.raw              | qemu-img convert -p -t none -T none -f raw -O raw -o preallocation=falloc disk.raw copy
ovirt      | disk.qcow2 target.raw | qemu-img convert -p -t none -T none -f qcow2 -O raw -n -W disk.qcow2 target.raw
ovirt      | overlay.qed disk.raw  | qemu-img convert -p -t none -T none -f qed -O qed -o backing_file=disk.raw,backing_fmt=raw overlay.qed copy
ovirt      | disk.raw              | - qemu-img convert -p -t none -T none -f raw -O qcow2 -o compat=1.1 disk.raw copy
ovirt      | top.qed overlay.qed disk.raw | qemu-img commit -p -t none -d -f qed top.qed
ovirt      | top.qed overlay.qed disk.raw | qemu-img commit -p -t none -b disk.raw -f qed top.qed
ovirt      | top.qed overlay.qed disk.raw | qemu-img rebase -t none -T none -f qed -F raw -b disk.raw top.qed
ovirt      | top.qed overlay.qed disk.raw | qemu-img rebase -t none -T none -u -f qed -F raw -b disk.raw top.qed
ovirt      | disk.qed disk.raw     | qemu-img compare -p -f qed -F raw -s disk.qed disk.raw
ovirt      | disk.qed target.raw   | qemu-img compare -p -f qed -F raw disk.qed target.raw
ovirt      | disk.raw              | qemu-img resize -f raw disk.raw 8388608
ovirt      | disk.qcow2            | - qemu-img amend -o compat=1.1 disk.qcow2
ovirt      | disk.qcow2            | - qemu-img bitmap --add --enable disk.qcow2 backup
cloudstack | disk.qcow2 target.raw | qemu-img convert -n --target-is-zero -W -S 1M -O raw -t none -U --image-opts driver=qcow2,file.filename=disk.qcow2 target.raw
cloudstack | disk.qcow2            | qemu-img info -U --image-opts driver=qcow2,file.filename=disk.qcow2
cloudstack | disk.qed              | qemu-img resize --shrink -f qed disk.qed 2097152
lxd        | cloud.qcow2           | LIMITS qemu-img info --output=json cloud.qcow2
lxd        | cloud.qcow2           | LIMITS nice -n19 qemu-img convert -f qcow2 -p -O raw -t writeback cloud.qcow2 root.img
libguestfs | overlay.qcow2 disk.qcow2 | qemu-img info -U --output json $PWD/overlay.qcow2
libguestfs | disk.raw              | qemu-img create -f qed -o backing_file=$PWD/disk.raw,backing_fmt=raw overlay
libguestfs | top.qed overlay.qed disk.raw | qemu-img convert -p -q -f qed -O raw top.qed sparsified
libguestfs |                       | qemu-img create -q -f raw disk 10485760
"""


def make_files():
    """Make the files that calls need, by QEMU's programs."""
    must("qemu-img", "create", "-q", "-f", "raw", "disk.raw", "4M")
    must("qemu-io", "-f", "raw", "-c", "write -P 1 0 100k", "-c", "write -P 2 1M 64k", "-c",
         "write -P 0 2M 128k", "disk.raw")
    for args in (("disk.qcow2", "-O", "qcow2"), ("disk.qed", "-O", "qed"), ("cloud.qcow2", "-c", "-O", "qcow2")):
        must("qemu-img", "convert", "-f", "raw", *args[1:], "disk.raw", args[0])
    for name, backing, fmt in (("overlay.qcow2", "disk.qcow2", "qcow2"), ("overlay.qed", "disk.raw", "raw"),
                               ("top.qed", "overlay.qed", "qed")):
        must("qemu-img", "create", "-q", "-f", name.split(".")[1], "-b", backing, "-F", fmt, name)
        must("qemu-io", "-f", name.split(".")[1], "-c", "write -P %d 64k 64k" % len(name), "-c",
             "write -z 1M 64k", "-c", "write -P 7 %dk 4k" % (len(name) * 256), name)
    shutil.copy("disk.qed", "leaky.qed")
    os.truncate("leaky.qed", os.path.getsize("leaky.qed") + 2 * 65536)
    must("qemu-img", "create", "-q", "-f", "raw", "target.raw", "4M")
    interop.write_file("secret", b"password")
    os.mkdir("9000")
    shutil.copy("disk.raw", "9000/base.raw")
    os.mkdir("100")
    interop.write_file("100/keep", b"")


def make_side(name, needs):
    shutil.rmtree(name, ignore_errors=True)
    os.mkdir(name)
    if needs:
        # With the holes, which info and map see.
        must("env", "-C", "files", "cp", "-p", "--sparse=always", "--parents", *needs, os.path.abspath(name))
        # Their space on disk, which QEMU and we look at, is final then.
        must("sync", *(os.path.join(name, need) for need in needs))


def run(name, call, program):
    """Return the status and both streams of a @call in directory @name by @program."""
    directory = os.path.abspath(name)
    limits = "" if interop.SANITIZE else LIMITS
    words = shlex.split(call.replace("LIMITS ", limits).replace("$PWD", directory))
    folder, output = directory, None
    while words[0] in ("CD", "TO"):
        if words[0] == "CD":
            folder = os.path.join(directory, words[1])
        else:
            output = os.path.join(directory, words[1])
        words = words[2:]
    words[words.index("qemu-img")] = program
    command = ["env", "-C", folder] + words
    if output:
        command = ["sh", "-c", 'exec "$@" >"$0"', output] + command
    result = interop.run(*command)
    return (result.status, side_by_side.normal(result.out, directory),
            side_by_side.normal(result.err, directory))


def files_below(name):
    """Return the mode of each file below @name."""
    files = {}
    for folder, _, leaves in os.walk(name):
        for leaf in leaves:
            path = os.path.join(folder, leaf)
            files[os.path.relpath(path, name)] = oct(os.stat(path).st_mode)
    return files


def same_bytes(first, second):
    """Return True if two files are the same. Large ones, which are sparse, are left to QEMU's compare."""
    size = os.path.getsize(first)
    return (size <= interop.MiB * 64 and size == os.path.getsize(second) and
            interop.read_file(first) == interop.read_file(second))


def differing_files():
    """Return what differs between the files of both sides, or None."""
    theirs, ours = files_below("theirs"), files_below("ours")
    if theirs != ours:
        return "QEMU left %s; ours %s" % (theirs, ours)
    for file in theirs:
        paths = [os.path.abspath(os.path.join(side, file)) for side in ("theirs", "ours")]
        if same_bytes(*paths):
            continue
        infos = [side_by_side.normal(must("qemu-img", "info", "--output=json", path).out, path[:-len(file) - 1])
                 for path in paths]
        if infos[0] != infos[1]:
            return "QEMU left %s; ours %s" % tuple(infos)
        compared = interop.run("qemu-img", "compare", *paths)
        if compared.status:
            return str(compared)
    return None


def changed(needs):
    """Return a file of our side that is not as it was before, or None."""
    for file in files_below("ours"):
        if file not in needs or not same_bytes(os.path.join("files", file), os.path.join("ours", file)):
            return file
    return None


def test_lacking(results, name, needs, call):
    status, out, err = run("ours", call, side_by_side.OURS["qemu-img"])
    file = changed(needs)
    formats = [word for word in ("qcow2", "vmdk") if word in err]
    if status != 1 or out not in ("", "PROGRESS\n") or err.count("\n") != 1 or not err.startswith("qemu-img: ") or not formats:
        results.not_ok(name, "one clear line was expected: status %d, out %r, err %r" % (status, out, err))
    elif file:
        results.not_ok(name, "%s was changed" % file)
    else:
        results.ok(name)


def test_equal(results, name, call):
    expected, got = run("theirs", call, "qemu-img"), run("ours", call, side_by_side.OURS["qemu-img"])
    if expected != got:
        results.not_ok(name, "QEMU: %s; ours: %s" % (side_by_side.show(expected), side_by_side.show(got)))
        return
    difference = differing_files()
    if difference:
        results.not_ok(name, difference)
    else:
        results.ok(name)


def main(results):
    if not side_by_side.need_reference(results, "callers"):
        return
    side_by_side.make_template()
    os.mkdir("files")
    os.chdir("files")
    make_files()
    os.chdir("..")
    callers, equal, lacking = set(), 0, 0
    for number, line in enumerate(CALLS.strip().splitlines(), 1):
        caller, needs, call = (part.strip() for part in line.split("|", 2))
        if len(sys.argv) > 1 and sys.argv[1] not in line:
            continue
        callers.add(caller)
        name = "%s-%02d (%s)" % (caller, number, call)
        for side in ("theirs", "ours"):
            make_side(side, needs.split())
        if call.startswith("- "):
            lacking += 1
            test_lacking(results, name, needs.split(), call[2:])
        else:
            equal += 1
            test_equal(results, name, call)
    print("# %d calls of %d callers must be equal, %d need a format that is not written here" % (
        equal, len(callers), lacking), flush=True)


interop.main(main)
