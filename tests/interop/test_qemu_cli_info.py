#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""`info` needs nothing but an image's header: no data file, no key, no bytes behind the header, and
no end of the chain that is near.  Side by side; side_by_side.py describes the format of the lines."""

import json
import os
import shutil
import struct

import interop
import side_by_side
from interop import Failure, MiB, must, run

LONG = 300

INFO = """
qemu-img info nope
qemu-img info aes
qemu-img info --output=json aes
qemu-img info --backing-chain --output=json aes
~qemu-img info luks ~[0] encrypted: yes
~qemu-img info luks ~[0]         format: luks
~qemu-img info --output=json luks ~[0] "encrypt": {
~qemu-img map luks ~[1] encrypted qcow2 images are not supported
qemu-img info over-aes
~qemu-img info --image-opts file.driver=qcow2,file.file.filename=q2 ~ file format: raw
qemu-img info --image-opts driver=qed,file.driver=qcow2,file.file.filename=q2
qemu-img info far
qemu-img info --output=json far
qemu-img info far-raw
qemu-img info --output=json --backing-chain far-raw
~qemu-img map far ~[1] external data file
qemu-img info cut
qemu-img info --output=json nul.qcow2
qemu-img info --backing-chain nul.qcow2
qemu-img map nul.qcow2
qemu-img info --output=json format.qcow2
qemu-img map format.qcow2
qemu-img info --output=json none.qcow2
qemu-img map none.qcow2
qemu-img info --output=json nul.qed
qemu-img info --backing-chain nul.qed
qemu-img map nul.qed
qemu-img check nul.qed
qemu-img info --output=json empty.qed
qemu-img info --backing-chain empty.qed
qemu-img map empty.qed
qemu-img check empty.qed
qemu-io -f qed -c 'write -P 5 512 1k' -c 'read -P 0 0 512' -c 'read -P 5 512 1k' -c 'read -P 0 1536 64k' empty.qed
qemu-img info none.qed
qemu-img map none.qed
qemu-img rebase -u -b base -F raw none.qed
qemu-img info none.qed
qemu-img info --output=json nowhere.qed
qemu-img rebase -u -b base -F raw nowhere.qed
qemu-img map nowhere.qed
qemu-img info self.qed
qemu-img info --backing-chain self.qed
~qemu-img info --backing-chain grow.qed ~[1] Backing file 'dir/../grow.qed' creates an infinite loop.
qemu-img info --backing-chain one.qed
"""


def qcow2(name, *options):
    must("qemu-img", "create", "-q", "-f", "qcow2", *options, name, "1M")


def patch(name, at, data):
    with open(name, "r+b") as file:
        file.seek(at)
        file.write(data)


def name_offset(name):
    with open(name, "rb") as file:
        return struct.unpack(">Q", file.read(16)[8:])[0]


def qed(name, text, backing="base"):
    """Make a QED image whose header has the backing file's name @text."""
    must("qemu-img", "create", "-q", "-f", "qed", "-u", "-b", backing, "-F", "raw", name, "1M")
    with open(name, "rb") as file:
        header = file.read(64)
    patch(name, struct.unpack("<I", header[56:60])[0], text)
    patch(name, 60, struct.pack("<I", len(text)))


def make_images():
    secret = ("--object", "secret,id=s,data=abc")
    qcow2("aes", *secret, "-o", "encrypt.format=aes,encrypt.key-secret=s")
    # Not with a LUKS header, which QEMU makes only on a machine that is idle.
    shutil.copy("aes", "luks")
    patch("luks", 32, struct.pack(">I", 2))
    qcow2("over-aes", "-u", "-b", "aes", "-F", "qcow2")
    qcow2("far", "-o", "data_file=gone.raw")
    qcow2("far-raw", "-o", "data_file=gone.raw,data_file_raw=on")
    os.unlink("gone.raw")
    qcow2("cut")
    os.truncate("cut", 70000)
    for name in ("nul.qcow2", "format.qcow2", "none.qcow2"):
        qcow2(name, "-b", "base", "-F", "raw")
    patch("nul.qcow2", name_offset("nul.qcow2"), b"base\0xyz")
    patch("nul.qcow2", 16, struct.pack(">I", 8))
    with open("format.qcow2", "rb") as file:
        at = file.read(65536).index(b"raw\0")
    patch("format.qcow2", at - 4, struct.pack(">I", 6))
    patch("none.qcow2", name_offset("none.qcow2"), b"\0ase")
    qed("nul.qed", b"base\0xyz")
    qed("none.qed", b"\0base")
    qed("empty.qed", b"")
    qed("nowhere.qed", b"")
    patch("nowhere.qed", 56, bytes(4))
    for name, backing in (("self", "self"), ("grow", "dir/../grow"), ("one", "two"), ("two", "one")):
        must("qemu-img", "create", "-q", "-f", "qed", "-u", "-b", backing + ".qed", "-F", "qed",
             "./%s.qed" % name, "1M")


def long_chain():
    """A chain as long as it may be for the kernel's names and files, but not for a server."""
    must("qemu-img", "create", "-q", "-f", "qed", "-u", "-b", "long-0001", "-F", "qed",
         "long-0000", "1M")
    with open("long-0000", "rb") as file:
        image = file.read()
    for i in range(1, LONG):
        interop.write_file("long-%04d" % i, image.replace(b"long-0001", b"long-%04d" % (i + 1)))
    must("qemu-img", "create", "-q", "-f", "qed", "long-%04d" % LONG, "1M")
    args = ("info", "--backing-chain", "--output=json", "long-0000")
    theirs, ours = json.loads(must("qemu-img", *args).out), json.loads(must(interop.QED_IMG,
                                                                           *args).out)
    if [entry["filename"] for entry in ours] != [entry["filename"] for entry in theirs]:
        raise Failure("%d images, not %d" % (len(ours), len(theirs)))
    interop.write_file("long-%04d" % LONG, image.replace(b"long-0001", b"long-0007"))
    result = run(interop.QED_IMG, *args)
    if result.status != 1 or "'long-0007' creates an infinite loop" not in result.err:
        raise Failure("a long loop: %s" % result)


def parts_of_a_file():
    """An image and its backing file are parts of one file: no loop."""
    part = ('json:{"driver":"qed","file":{"driver":"raw","offset":%d,"size":1048576,'
            '"file":{"filename":"parts"}}}')
    lower, loop = part % (4 * MiB), part % (2 * MiB)
    for backing in lower, loop:
        must("qemu-img", "create", "-q", "-f", "qed", "part-low", "512k")
        must("qemu-io", "-c", "write -q -P 5 0 64k", "part-low")
        must("qemu-img", "create", "-q", "-f", "qed", "-u", "-b", backing, "-F", "qed", "part-top", "512k")
        with open("parts", "wb") as file:
            for place, name in (2 * MiB, "part-top"), (4 * MiB, "part-low"):
                file.seek(place)
                file.write(interop.read_file(name))
            file.truncate(6 * MiB)
        info = run(interop.QED_IMG, "info", "--backing-chain", loop)
        read = run(interop.QED_IO, "-r", "-c", "read -q -P 5 0 64k", loop)
        if backing == lower and (info.out.count("image:") != 2 or read.out or read.status):
            raise Failure("%s, %s" % (info, read))
        if backing == loop and ("infinite loop" not in info.err or read.status != 1):
            raise Failure("a loop: %s, %s" % (info, read))


def odd_name():
    """A name with a line break is shown as one line, as the image's own name."""
    result = run(interop.QED_IMG, "info", "new\nline")
    if result.err != ("qed-img: Could not open 'new\\x0aline': Could not open 'new\\x0aline': "
                      "No such file or directory\n"):
        raise Failure(str(result))


def main(results):
    if not side_by_side.need_reference(results, "qemu-cli-info"):
        return
    side_by_side.make_template()
    os.chdir("template")
    make_images()
    os.chdir("..")
    side_by_side.run_list(results, "qemu-cli-info", INFO)
    results.run("a long chain", long_chain)
    results.run("parts of a file", parts_of_a_file)
    results.run("a name with a line break", odd_name)


interop.main(main)
