#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# sanitized: no (strace and sanitizers cannot run together)
"""Image locks, beside QEMU's: which bytes each verb locks in each file, and what each verb answers
while a program of QEMU's or of ours has the image."""

import contextlib
import fcntl
import os
import re
import shutil
import struct
import subprocess

import interop
from interop import Failure, must, QED_IMG, QED_IO
from nbdkit import wait_until

# ---- The bytes ----

FILES = ("a.raw", "b.raw", "c.raw", "a.qed", "over.qed", "top.qed", "third.qed", "new.raw", "new.qed")

# One line each; a tab stands for a space inside an argument.
VERBS = """
img info -f raw a.raw
img info a.raw
img info -f qed a.qed
img info --backing-chain over.qed
img map a.raw
img map -f qed over.qed
img map -f qed top.qed
img measure -O raw -f raw a.raw
img compare a.raw over.qed
img check -f qed a.qed
img check -r all -f qed a.qed
img convert -f raw -O raw a.raw new.raw
img convert -f qed -O qed over.qed new.qed
img convert -n -f raw -O raw a.raw b.raw
img convert -n -f raw -O qed a.raw over.qed
img dd -f qed -O qed if=a.qed of=new.qed
img rebase -f qed -u -b b.raw -F raw over.qed
img rebase -f qed -b c.raw -F raw over.qed
img rebase -f qed -b  over.qed
img commit -f qed over.qed
img commit -d -f qed over.qed
img commit -f qed top.qed
img commit -f qed -b b.raw third.qed
img resize -f raw a.raw 2M
img resize -f qed a.qed 2M
img bench -w -c 10 -f raw a.raw
img bench -c 10 -f qed over.qed
img snapshot -l a.raw
img create -q -f raw a.raw 1M
img create -q -f qed -b b.raw -F raw new.qed
img create -q -f qed -b a.qed -F qed new.qed
img info --image-opts driver=raw,size=4096,file.filename=a.raw
img map --image-opts driver=raw,file.driver=qed,file.file.filename=a.qed
io -r -f raw -c quit a.raw
io -f raw -c quit a.raw
io -f raw -c truncate\t2M a.raw
io -r -f qed -c quit over.qed
io -f qed -c quit over.qed
io -f raw -c reopen\t-r a.raw
io --image-opts -c quit driver=raw,offset=4096,file.filename=a.raw
""".strip().splitlines()


def make_images():
    for file in FILES:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file)
    for file in ("a.raw", "b.raw", "c.raw"):
        with open(file, "wb") as image:
            image.truncate(1 << 20)
    must(QED_IMG, "create", "-q", "-f", "qed", "a.qed", "1M")
    must(QED_IMG, "create", "-q", "-f", "qed", "-b", "b.raw", "-F", "raw", "over.qed")
    must(QED_IMG, "create", "-q", "-f", "qed", "-b", "a.qed", "-F", "qed", "top.qed")
    must(QED_IMG, "create", "-q", "-f", "qed", "-b", "over.qed", "-F", "qed", "third.qed")


def whole_calls():
    """Yield the calls that strace has written; those of other threads may lie inside of one."""
    begun = {}
    with open("calls", encoding="utf-8", errors="replace") as file:
        for line in file:
            thread, call = line.rstrip("\n").split(None, 1)
            if call.endswith(" <unfinished ...>"):
                begun[thread] = call[:-len(" <unfinished ...>")]
            elif call.startswith("<... "):
                yield begun.pop(thread, "") + call.split("resumed>", 1)[1]
            else:
                yield call


def locked(program, args):
    """Run it; return {file: bytes that it locked in any of its descriptors}."""
    result = interop.run("strace", "-f", "-o", "calls", "-e", "trace=openat,fcntl", program, *args)
    if result.status:
        raise Failure(str(result))
    files, got = {}, {}
    for call in whole_calls():
        opened = re.match(r'openat\(AT_FDCWD, "([^"]*)".* = (\d+)$', call)
        lock = re.match(r"fcntl\((\d+), F_OFD_SETLK, \{l_type=F_(?:RD|WR)LCK, .*l_start=(\d+), "
                        r"l_len=1\}\)\s+= 0$", call)
        if opened:
            files[opened[2]] = os.path.basename(opened[1])
        elif lock and files.get(lock[1]) in FILES:
            got.setdefault(files[lock[1]], set()).add(int(lock[2]))
    return got


def test_bytes():
    wrong = []
    for line in VERBS:
        name, *args = (word.replace("\t", " ") for word in line.split(" "))
        make_images()
        want = locked("qemu-" + name, args)
        make_images()
        got = locked({"img": QED_IMG, "io": QED_IO}[name], args)
        if got != want:
            wrong.append("%s: %s instead of %s" % (line, got, want))
    if wrong:
        raise Failure("\n".join(wrong))


# ---- While another program has the image ----


def is_locked(file):
    """Return whether another process holds a lock of the protocol."""
    query = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 100, 200, 0)
    with open(file, "rb+") as image:
        answer = fcntl.fcntl(image, 36, query)  # F_OFD_GETLK
    return struct.unpack_from("h", answer)[0] != fcntl.F_UNLCK


def daemon(image, form):
    return ["qemu-storage-daemon", "--blockdev", "file,node-name=f,filename=" + image,
            "--blockdev", form + ",node-name=n,file=f", "--nbd-server",
            "addr.type=unix,addr.path=sock", "--export", "nbd,id=e,node-name=n,writable=on"]


HOLDERS = {
    "qemu-io": lambda image, form: ["qemu-io", "-f", form, image],
    "qemu-io -r": lambda image, form: ["qemu-io", "-r", "-f", form, image],
    "qemu-nbd": lambda image, form: ["qemu-nbd", "-t", "-k", os.path.abspath("sock"), "-f", form,
                                     image],
    "qemu-storage-daemon": daemon,
    "qed-io": lambda image, form: [QED_IO, "-f", form, image],
    "qed-io -r": lambda image, form: [QED_IO, "-r", "-f", form, image],
}

# Those that succeed change the image, on both sides in the same way.
CLIENTS = """
img info -f FORM IMAGE
img map -f FORM IMAGE
img compare -f FORM -F raw IMAGE zero
img convert -f FORM -O raw IMAGE out
io -r -f FORM -c read\t0\t4k IMAGE
io -f FORM -c write\t0\t4k IMAGE
io -f FORM -c truncate\t2M IMAGE
img resize -f FORM IMAGE 2M
img convert -n -f raw -O FORM zero IMAGE
img create -f FORM IMAGE 1M
""".strip().splitlines()


@contextlib.contextmanager
def held(command, image):
    # pylint: disable=consider-using-with
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_locked(image) or holder.poll() is not None, command[0])
        if holder.poll() is not None:
            raise Failure("%s ended" % " ".join(command))
        yield
    finally:
        holder.kill()
        holder.communicate()


def answers(side, holder, form):
    """Return what the programs of @side answer while @holder has an image."""
    os.mkdir("work")
    os.chdir("work")
    image = "image." + form
    must(QED_IMG, "create", "-q", "-f", form, image, "1M")
    must(QED_IMG, "create", "-q", "-f", "raw", "zero", "1M")
    got = []
    with held(HOLDERS[holder](image, form), image):
        for line in CLIENTS:
            name, *args = (word.replace("\t", " ").replace("FORM", form).replace("IMAGE", image)
                           for word in line.split(" "))
            result = interop.run(side["qemu-" + name], *args, merged=True)
            said = re.sub(r"[0-9.]+ (?:sec|ops/sec|[KMG]iB/sec).*|disk size.*|^.*\(qedblk.*", "",
                          result.out)
            got.append("%s: %d %s" % (line, result.status, said))
    os.chdir("..")
    shutil.rmtree("work")
    return got


def test_held(holder, form):
    os.makedirs("bin", exist_ok=True)
    ours = {}
    for name, program in (("qemu-img", QED_IMG), ("qemu-io", QED_IO)):
        ours[name] = os.path.abspath("bin/" + name)
        if not os.path.lexists(ours[name]):
            os.symlink(program, ours[name])
    want = answers({name: name for name in ours}, holder, form)
    got = answers(ours, holder, form)
    wrong = ["%s instead of %s" % pair for pair in zip(got, want) if pair[0] != pair[1]]
    if wrong:
        raise Failure("\n".join(wrong))


def tests(results):
    if not interop.need_qemu(results, "locks"):
        return
    if interop.qemu_version() != (7, 2):
        results.skip("locks", "the reference is QEMU 7.2")
        return
    if interop.run("strace", "-o", "calls", "true").status:
        results.skip("bytes", "strace is not installed, or may not trace")
    else:
        results.run("bytes", test_bytes)
    for holder in HOLDERS:
        if not shutil.which(HOLDERS[holder]("", "raw")[0]):
            results.skip(holder, "it is not installed")
            continue
        for form in ("raw", "qed"):
            results.run("%s %s" % (holder, form), test_held, holder, form)


interop.main(tests)
