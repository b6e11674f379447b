#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""Block devices as targets: the old contents must not show through what was written, and no old
header is recognised.  Loop devices with sectors of 512 and 4096 bytes; QEMU's program runs each
command, too."""

import os
import random
import sys

import interop
from interop import Failure, KiB, MiB, must

SIZE = 4 * MiB


class Loop:
    """A loop device over a new file of SIZE bytes. The kernel removes it on last close, so a killed
    test leaves none."""

    def __init__(self, sector):
        self.sector = sector

    def __enter__(self):
        interop.write_file("disk", bytes(SIZE))
        self.name = must("losetup", "--find", "--show", "--sector-size", str(self.sector),
                         "disk").out.strip()
        self.file = os.open(self.name, os.O_RDWR)
        must("losetup", "--detach", self.name)
        return self

    def __exit__(self, *unused):
        os.close(self.file)

    def fill(self, data):
        if os.pwrite(self.file, data, 0) != len(data):
            raise Failure("%s: short write" % self.name)
        os.fsync(self.file)

    def bytes(self):
        return os.pread(self.file, SIZE, 0)


def why_not():
    """Return the reason why loop devices cannot be used, or None."""
    if os.geteuid():
        return "needs root"
    try:
        with interop.WorkDir(), Loop(4096):
            return None
    except (Failure, OSError) as error:
        return "no loop devices: %s" % str(error).strip()


def difference(got, wanted):
    if got == wanted:
        return None
    at = next(i for i, byte in enumerate(got) if byte != wanted[i])
    return "byte %d of the device is %#x instead of %#x" % (at, got[at], wanted[at])


# ---- By QEMU's program and by ours ----


def make_sources(rng):
    """Make the files that are copied to the device; return the contents of each."""
    content = {}
    sparse = bytearray(2 * MiB - 1536)
    for at in (0, 70 * KiB + 512, 256 * KiB, 1 * MiB + 3 * 512):
        sparse[at:at + 3000] = rng.randbytes(3000)
    interop.write_file("whole", sparse)
    must("cp", "--sparse=always", "whole", "sparse.raw")
    content["sparse.raw"] = bytes(sparse)
    odd = bytes(200 * KiB) + rng.randbytes(600001)
    interop.write_file("odd.raw", odd)
    content["odd.raw"] = odd + bytes(-len(odd) % 512)
    # Written zeroes, in runs of all lengths.
    dense = b"".join(rng.choice((bytes, rng.randbytes))(rng.choice((512, 4096, 60000, 200000)))
                     for _ in range(40))[:3 * MiB // 512 * 512]
    dense += bytes(-len(dense) % 512)
    interop.write_file("dense.raw", dense)
    content["dense.raw"] = dense
    interop.write_file("none.raw", b"")
    content["none.raw"] = b""
    interop.write_file("zero.raw", b"")
    os.truncate("zero.raw", SIZE)
    content["zero.raw"] = bytes(SIZE)
    must("qemu-img", "create", "-q", "-f", "qed", "image.qed", "1000k")
    must("qemu-io", "-f", "qed", "-c", "write -q -P 7 300k 64k", "-c", "write -q -z 512k 128k",
         "image.qed")
    content["image.qed"] = bytes(300 * KiB) + b"\7" * (64 * KiB) + bytes(636 * KiB)
    must("qemu-img", "create", "-q", "-f", "qed", "-b", "odd.raw", "-F", "raw", "over.qed", "1M")
    must("qemu-io", "-f", "qed", "-c", "write -q -z 256k 256k", "over.qed")
    over = bytearray(content["odd.raw"] + bytes(MiB - len(content["odd.raw"])))
    over[256 * KiB:512 * KiB] = bytes(256 * KiB)
    content["over.qed"] = bytes(over)
    return content


CONVERT_FLAGS = ("", "-S 0", "-S 512", "-W -m 16", "-t none", "-t writethrough -T none", "-n")
CREATE = ("create -q -f raw DEV 1M", "create -q -f raw DEV 0", "create -q -f raw DEV 4M",
          "create -q -f raw -o preallocation=off DEV 512",
          "create -q -f raw DEV 8M", "create -q -f raw -o preallocation=full DEV 1M",
          "create -q -f raw -o preallocation=falloc DEV 1M", "convert -f raw large.raw DEV",
          "dd -f raw if=large.raw of=DEV", "resize -f raw DEV 8M",
          "convert -n --target-is-zero -f raw sparse.raw DEV")


def make_lines(content):
    """Return command lines, and the contents each leaves at the start of the device, None if
    unknown."""
    lines = [(line, None) for line in CREATE]
    for name, data in content.items():
        fmt = name.split(".")[1]
        for flags in CONVERT_FLAGS if name in ("sparse.raw", "dense.raw") else ("", "-t none"):
            lines.append(("convert %s -f %s -O raw %s DEV" % (flags, fmt, name), data))
        lines.append(("dd -f %s if=%s of=DEV" % (fmt, name), data))
    lines.append(("dd -f raw bs=1000 skip=3 if=sparse.raw of=DEV", content["sparse.raw"][3000:]))
    lines.append(("dd -f raw bs=4k count=5 if=sparse.raw of=DEV",
                  content["sparse.raw"][:20 * KiB]))
    return lines


def beside(loop, old, line, data):
    """Run a command line with both programs, over the same old bytes."""
    left = []
    for program in ("qemu-img", interop.QED_IMG):
        loop.fill(old)
        result = interop.run(program, *line.replace("DEV", loop.name).split())
        left.append((result.status, result.err.replace("qed-img", "qemu-img"), loop.bytes()))
    theirs, ours = left
    if theirs[:2] != ours[:2]:
        raise Failure("QEMU: status %d, %r; ours: status %d, %r" % (*theirs[:2], *ours[:2]))
    if data is not None:
        # A new image of 0 bytes also overwrites the old header.
        data = data if data or "-n" in line else bytes(512)
        theirs = (0, "", data + old[len(data):])
    why = difference(ours[2], theirs[2])
    if why:
        raise Failure(why)


def all_lines(results, loop, rng):
    content = make_sources(rng)
    interop.write_file("large.raw", b"")
    os.truncate("large.raw", 2 * SIZE)
    old = bytes(rng.randrange(1, 256) for _ in range(4096)) * (SIZE // 4096)
    for line, data in make_lines(content):
        results.run("device-%d-%s" % (loop.sector, line), beside, loop, old, line, data)


# ---- Old headers ----

MAGICS = ((0, b"QFI\xfb\0\0\0\3"), (0, b"QED\0"), (0, b"KDMV"), (0, b"COWD"),
          (0, b"# Disk DescriptorFile"), (0, b"vhdxfile"), (0, b"conectix"),
          (0x40, b"\x7f\x10\xda\xbe"), (0, b"WithoutFreeSpace"), (0, b"WithouFreSpacExt"),
          (0, b"LUKS\xba\xbe"))


def no_old_header(loop):
    interop.write_file("none.raw", b"")
    for line in ("create -q -f raw DEV 1M", "convert -f raw -O raw none.raw DEV",
                 "dd -f raw if=none.raw of=DEV"):
        for offset, magic in MAGICS:
            old = bytearray(b"\xff" * SIZE)
            old[offset:offset + len(magic)] = magic
            loop.fill(bytes(old))
            must(interop.QED_IMG, *line.replace("DEV", loop.name).split())
            for program in (interop.QED_IMG, "qemu-img"):
                out = must(program, "info", loop.name).out
                if "file format: raw" not in out:
                    raise Failure("%s after %r: %s" % (line, magic, out))


# ---- Failures that leave the device unchanged ----


def left_alone(loop):
    old = b"\xff" * SIZE
    interop.write_file("source", b"x" * MiB)
    for line in ("create -f qed DEV 1M", "convert -f raw -O qed source DEV",
                 "dd -f raw -O qed if=source of=DEV", "create -f qcow2 DEV 1M"):
        loop.fill(old)
        result = interop.run(interop.QED_IMG, *line.replace("DEV", loop.name).split())
        if result.status != 1 or len(result.err.splitlines()) != 1 or loop.bytes() != old:
            raise Failure(str(result))


# ---- As a backing file ----


def overlay(size, backing, *commands):
    must("qemu-img", "create", "-q", "-f", "qed", "-b", backing, "-F", "raw", "top.qed", str(size))
    for command in commands:
        must("qemu-io", "-f", "qed", "-c", command, "top.qed")


def committed(loop):
    """Zeroes of an image replace the device's bytes; an image longer than the device changes
    nothing."""
    old = b"\xff" * SIZE
    for size in (MiB + 512, SIZE):
        loop.fill(old)
        overlay(size, loop.name, "write -q -z 0 70k", "write -q -P 3 %d 512" % (size - 512))
        must(interop.QED_IMG, "commit", "-q", "top.qed")
        new = bytearray(old)
        new[:70 * KiB] = bytes(70 * KiB)
        new[size - 512:size] = b"\3" * 512
        why = difference(loop.bytes(), bytes(new))
        if why:
            raise Failure("image of %d: %s" % (size, why))
    loop.fill(old)
    overlay(SIZE + 512, loop.name, "write -q -z 0 64k")
    before = interop.read_file("top.qed")
    result = interop.run(interop.QED_IMG, "commit", "-q", "top.qed")
    if result.status != 1 or len(result.err.splitlines()) != 1 or \
            "Cannot resize device files" not in result.err:
        raise Failure(str(result))
    if loop.bytes() != old or interop.read_file("top.qed") != before:
        raise Failure("something was changed")


def rebased(loop, rng):
    """Rebase onto a device, and off it: the image reads as before."""
    base = rng.randbytes(900 * KiB)
    interop.write_file("base", base)
    loop.fill(b"\xff" * SIZE)
    overlay(SIZE + 1 * MiB, "base", "write -q -P 9 1M 64k")
    data = bytearray(base + bytes(SIZE + MiB - len(base)))
    data[MiB:MiB + 64 * KiB] = b"\x09" * (64 * KiB)
    for name in (loop.name, "base", loop.name, ""):
        args = ("-F", "raw") if name else ()
        must(interop.QED_IMG, "rebase", *args, "-b", name, "top.qed")
        must("qemu-img", "convert", "-f", "qed", "-O", "raw", "top.qed", "judge.raw")
        why = interop.first_difference("judge.raw", bytes(data))
        if why:
            raise Failure("onto '%s': %s" % (name, why))


def main(results):
    seed = interop.seed_from(sys.argv)
    if not interop.need_qemu(results, "device"):
        return
    reason = why_not()
    if reason:
        results.skip("device", reason)
        return
    # Sanitizers make each program slow, and both sizes run the same code.
    for sector in (4096,) if interop.SANITIZE else (512, 4096):
        rng = random.Random("%d/%d" % (seed, sector))
        with interop.WorkDir(), Loop(sector) as loop:
            all_lines(results, loop, rng)
            results.run("device-%d-no-old-header" % sector, no_old_header, loop)
            results.run("device-%d-left-alone" % sector, left_alone, loop)
            results.run("device-%d-committed" % sector, committed, loop)
            results.run("device-%d-rebased" % sector, rebased, loop, rng)


interop.main(main)
