#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""The old contents of a target must not show after a copy: with -B and with -n, existing files,
NBD.  test_device_targets.py does the same with block devices."""

import os
import random
import sys

import interop
import nbdkit
from interop import Failure, KiB, MiB, must

CASES = 40


def sectors(rng, low, high):
    return rng.randrange(low // 512, high // 512 + 1) * 512


def convert(*args):
    result = must(interop.QED_IMG, "convert", *args)
    if result.out or result.err:
        raise Failure("not silent: %s" % result)


def bytes_of(name, fmt):
    """Return the bytes that QEMU reads."""
    must("qemu-img", "convert", "-f", fmt, "-O", "raw", name, "judge.raw")
    data = interop.read_file("judge.raw")
    os.unlink("judge.raw")
    return data


def expect(name, fmt, data):
    if fmt == "qed":
        interop.check_image(name)
    got = bytes_of(name, fmt)
    if len(got) != len(data):
        raise Failure("%s has %d bytes instead of %d" % (name, len(got), len(data)))
    if got != data:
        at = next(i for i, byte in enumerate(got) if byte != data[i])
        raise Failure("%s: byte %d is %#x instead of %#x" % (name, at, got[at], data[at]))


def overlaid(below, size):
    """Return what an empty image of @size bytes shows over a file with the bytes @below."""
    return bytearray(below[:size] + bytes(max(0, size - len(below))))


def scribble(rng, name, data, count):
    """Do random writes and zero writes to QED image @name; @data, a bytearray, is its contents."""
    commands = []
    for _ in range(count):
        offset = sectors(rng, 0, len(data) - 512)
        length = min(sectors(rng, 512, 200 * KiB), len(data) - offset)
        pattern = rng.randrange(1, 256)
        if rng.random() < 0.4:
            pattern = 0
            commands += ["-c", "write -q -z %s %d %d" % (rng.choice(("", "-u")), offset, length)]
        else:
            commands += ["-c", "write -q -P %d %d %d" % (pattern, offset, length)]
        data[offset:offset + length] = bytes([pattern]) * length
    if commands:
        must(interop.QED_IO, "-f", "qed", *commands, name)


def create(rng, name, size, backing=None):
    args = ["-b", backing, "-F", "raw"] if backing else []
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "-o",
         "cluster_size=%s" % rng.choice(("4k", "64k")), *args, name, str(size))


# ---- -B ----


def make_source(rng):
    """Make source.qed, with a backing file or without; return its contents, and the backing file's."""
    size, below = sectors(rng, 512, 1536 * KiB), None
    if rng.random() < 0.6:
        below = rng.randbytes(sectors(rng, 0, 1536 * KiB))
        interop.write_file("below", below)
    create(rng, "source.qed", size, "below" if below is not None else None)
    data = overlaid(below or b"", size)
    scribble(rng, "source.qed", data, rng.randrange(6))
    return bytes(data), below


def make_base(rng, below):
    """Make a file for -B: a copy of the source's backing file, which may be shorter."""
    base = rng.randbytes(sectors(rng, 0, 1536 * KiB))
    if below is not None:
        base = (below + base)[:max(512, len(base))]
    interop.write_file("base", base)
    return base


def make_target(rng, kind, base, size):
    """Make target.qed, if it is to exist; return its contents."""
    size += rng.choice((0, sectors(rng, 512, 256 * KiB)))
    if kind == "new":
        if rng.random() < 0.5:
            interop.write_file("target.qed", b"\x55" * 300000)
        return b""
    if kind == "bare":
        base = b""
        create(rng, "target.qed", size)
    elif kind == "other":
        base = rng.randbytes(sectors(rng, 0, 1536 * KiB))
        interop.write_file("other", base)
        create(rng, "target.qed", size, "other")
    else:
        create(rng, "target.qed", size, "base")
    data = overlaid(base, size)
    if kind != "empty":
        scribble(rng, "target.qed", data, 5)
    return bytes(data)


KINDS = ("new", "new", "empty", "full", "bare", "other")
FLAGS = ((), (), ("-S", "0"), ("-W", "-m", "16"), ("-m", "1"), ("-S", "64k"))


def onto_base(rng, base_name, kinds):
    data, below = make_source(rng)
    base = make_base(rng, below)
    kind = rng.choice(kinds)
    old = make_target(rng, kind, base, len(data))
    flags = rng.choice(FLAGS) + (() if kind == "new" else ("-n",))
    convert(*flags, "-f", "qed", "-O", "qed", "-B", base_name, "-F", "raw", "source.qed",
            "target.qed")
    try:
        expect("target.qed", "qed", data + old[len(data):])
    except Failure as failure:
        raise Failure("%s target, flags %s, source of %d over %s, base of %d: %s" % (
            kind, flags, len(data), below is not None and len(below), len(base),
            failure)) from failure


def over_nbd(rng):
    """The backing file of both is an export, named by a URI."""
    if not nbdkit.have_nbdkit():
        return
    for _ in range(6):
        with interop.WorkDir():
            interop.write_file("base", b"")
            server = nbdkit.Nbdkit("file", "base")
            # nbdkit's file plugin reads the file's size when a client connects.
            with server:
                onto_base(rng, server.url(), ("new",))


def stays_thin(rng):
    """With -n -B, ranges unallocated in the source stay unallocated in the target."""
    below = rng.randbytes(2 * MiB)
    interop.write_file("base", below)
    for name in ("source.qed", "target.qed"):
        must("qemu-img", "create", "-q", "-f", "qed", "-b", "base", "-F", "raw", name)
    must("qemu-io", "-f", "qed", "-c", "write -q -P 1 1M 64k", "source.qed")
    convert("-n", "-O", "qed", "-B", "base", "-F", "raw", "source.qed", "target.qed")
    expect("target.qed", "qed", below[:MiB] + b"\1" * (64 * KiB) + below[MiB + 64 * KiB:])
    mapped = interop.run("qemu-img", "map", "target.qed").out
    if mapped.count("target.qed") != 1:
        raise Failure("more was copied than the source has: %s" % mapped)


def claimed_zero(_):
    """--target-is-zero is ignored if a backing file shows through."""
    interop.write_file("base", b"\xaa" * MiB)
    interop.write_file("source", bytes(512 * KiB) + b"\1" * (512 * KiB))
    must("qemu-img", "create", "-q", "-f", "qed", "-b", "base", "-F", "raw", "target.qed")
    before = interop.read_file("target.qed")
    result = interop.run(interop.QED_IMG, "convert", "-n", "--target-is-zero", "-f", "raw", "-O",
                         "qed", "-B", "base", "-F", "raw", "source", "target.qed")
    if result.status != 1 or interop.read_file("target.qed") != before or result.err != (
            "qed-img: Cannot use --target-is-zero when the destination image has a "
            "backing file\n"):
        raise Failure(str(result))
    convert("-n", "--target-is-zero", "-f", "raw", "-O", "qed", "source", "target.qed")
    expect("target.qed", "qed", interop.read_file("source"))


# ---- Files that existed ----


def old_files(rng):
    """Raw files with old contents, longer or shorter, with holes; with -n and without, and dd."""
    data = bytearray(sectors(rng, 512, 3 * MiB) + rng.choice((0, 100)))
    for _ in range(5):
        at = rng.randrange(len(data))
        data[at:at + 5000] = rng.randbytes(min(5000, len(data) - at))
    interop.write_file("dense", data)
    must("cp", "--sparse=always", "dense", "source")
    padded = bytes(data) + bytes(-len(data) % 512)
    for flags in ((), ("-S", "0"), ("-t", "none"), ("-W", "-m", "16")):
        old = rng.randbytes(sectors(rng, len(padded), 4 * MiB))
        interop.write_file("target", old)
        convert(*flags, "-f", "raw", "-O", "raw", "source", "target")
        expect("target", "raw", padded)
        interop.write_file("target", old)
        os.truncate("target", len(old) + MiB)
        convert("-n", *flags, "-f", "raw", "-O", "raw", "source", "target")
        expect("target", "raw", padded + old[len(padded):] + bytes(MiB))
    for fmt in ("raw", "qed"):
        interop.write_file("target", b"\x77" * (4 * MiB))
        must(interop.QED_IMG, "dd", "-f", "raw", "-O", fmt, "bs=512", "skip=1", "if=source",
             "of=target")
        expect("target", fmt, padded[512:])


def preallocated(rng):
    """A new file with preallocation keeps its space where the source has zeroes."""
    data = rng.randbytes(64 * KiB) + bytes(4 * MiB)
    interop.write_file("source", data)
    for mode in ("falloc", "full"):
        convert("-f", "raw", "-O", "raw", "-o", "preallocation=" + mode, "source", "target")
        expect("target", "raw", data)
        if os.stat("target").st_blocks * 512 < len(data):
            raise Failure("%s: space was given back" % mode)


def from_nbd(rng):
    """Zeroes of an export overwrite a file's old contents."""
    if not nbdkit.have_nbdkit():
        return
    interop.write_file("old", rng.randbytes(3 * MiB))
    old = interop.read_file("old")
    data = bytes(MiB) + rng.randbytes(64 * KiB) + bytes(MiB)
    interop.write_file("dense", data)
    must("cp", "--sparse=always", "dense", "export")
    with nbdkit.Nbdkit("file", "export") as server:
        convert("-n", "-f", "raw", "-O", "raw", server.url(), "old")
    expect("old", "raw", data + old[len(data):])


# ---- measure ----


def measured(_):
    """With a backing file zeroes need tables, too: the size that measure prints is enough."""
    size = 64 * MiB
    interop.write_file("source", b"")
    os.truncate("source", size)
    with open("base", "wb") as file:
        file.truncate(size)
        for at in range(0, size, MiB):
            file.seek(at)
            file.write(b"x" * 4096)
    options = "cluster_size=4k,table_size=1,backing_file=base,backing_fmt=raw"
    out = must(interop.QED_IMG, "measure", "-f", "raw", "-O", "qed", "-o", options,
               "source").out.split()
    convert("-f", "raw", "-O", "qed", "-o", options, "source", "target.qed")
    taken = os.path.getsize("target.qed")
    if int(out[2]) < taken or int(out[6]) < int(out[2]):
        raise Failure("takes %d: %s" % (taken, out))


def in_case(function, *args):
    with interop.WorkDir():
        function(*args)


def main(results):
    seed = interop.seed_from(sys.argv)
    if not interop.need_qemu(results, "targets"):
        return
    for number in range(CASES // (6 if interop.SANITIZE else 1)):
        results.run("targets-base-%d (SEED=%d)" % (number, seed), in_case, onto_base,
                    random.Random("%d/%d" % (seed, number)), "base", KINDS)
    for function in (over_nbd, stays_thin, claimed_zero, old_files, preallocated, from_nbd,
                     measured):
        results.run("targets-" + function.__name__.replace("_", "-"), in_case, function,
                    random.Random("%d/%s" % (seed, function.__name__)))


interop.main(main)
