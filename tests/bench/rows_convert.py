# SPDX-License-Identifier: GPL-2.0
"""Rows about whole images: convert, compare and rebase, beside QEMU at its best settings. The disk
is 1 GiB with typical contents: files of data, written zeroes, and holes. With O_DIRECT on both
ends the disk is the limit; the side "disk" is fio moving as many bytes."""

import json
import os
import random
import time

from harness import GiB, KiB, MiB, QED_IMG, AtLeast, Rows, run
from rows_host import fresh, full, remove

row = Rows()

# QEMU's best options for files on a disk: sixteen requests, out of order, without the page cache.
COPY = ("-m", "16", "-W", "-t", "none", "-T", "none")

# Kinds of contents: share of the disk, and lengths of a run in blocks of 4 KiB.
KINDS = (("data", 0.45, 1, 2048), ("zeroes", 0.2, 1, 512), ("hole", 0.35, 16, 4096))
SEED = 20120118


def lay_out(size, chance):
    """Return the layout: (kind, offset, bytes) from 0 to @size."""
    weights = [share / (shortest + longest) for _, share, shortest, longest in KINDS]
    offset = 0
    while offset < size:
        kind, _, shortest, longest = chance.choices(KINDS, weights)[0]
        length = min(chance.randint(shortest, longest) * 4 * KiB, size - offset)
        yield kind, offset, length
        offset += length


def disk_image(path, size=GiB):
    """Make a raw image. Its data is incompressible, and its zeroes are written."""
    chance = random.Random(SEED)
    noise = chance.randbytes(8 * MiB + 64 * KiB)
    with open(fresh(path), "wb") as file:
        file.truncate(size)
        for kind, offset, length in lay_out(size, chance):
            if kind == "hole":
                continue
            start = chance.randrange(64 * KiB)
            os.pwrite(file.fileno(), noise[start:start + length] if kind == "data"
                      else bytes(length), offset)
        os.fsync(file.fileno())
    return path


def speed(*args):
    """Run a program; return MiB of the disk per second."""
    os.sync()
    start = time.monotonic()
    run(*args)
    return GiB / MiB / (time.monotonic() - start)


def in_format(path, source, fmt):
    run("qemu-img", "convert", "-f", "raw", "-O", fmt, source, fresh(path))
    return path


def used(path):
    return os.stat(path).st_blocks * 512


def limit(bench, source, target):
    """Return the disk's speed at reading the data of @source and writing that of @target
    concurrently."""
    read, write = os.path.join(bench.disk, "read"), os.path.join(bench.disk, "write")
    remove(bench, read, write)
    full(read, round_to_mib(used(source)))

    def once():
        os.sync()
        fresh(write)
        common = ("--direct=1", "--ioengine=io_uring", "--bs=1M", "--iodepth=8")
        text = run("fio", "--output-format=json", "--name=read", "--filename=" + read, "--rw=read",
                   "--size=%d" % round_to_mib(used(source)), *common,
                   "--name=write", "--filename=" + write, "--rw=write",
                   "--size=%d" % round_to_mib(used(target)), *common)
        jobs = json.loads(text[text.index("{"):])["jobs"]
        return GiB / MiB * 1000 / max(job["job_runtime"] for job in jobs)

    return once


def round_to_mib(size):
    return (size + MiB - 1) // MiB * MiB


def conversion(bench, source_format, target_format):
    names = ("raw", "source", "ours", "theirs")
    raw, source, ours, theirs = (os.path.join(bench.disk, name) for name in names)
    remove(bench, raw, source, ours, theirs)
    disk_image(raw)
    if source_format == "raw":
        source = raw
    else:
        in_format(source, raw, source_format)
    options = ("-f", source_format, "-O", target_format, source)
    # QEMU's QED driver hits an assertion with out-of-order writes.
    theirs_copy = COPY if target_format == "raw" else tuple(o for o in COPY if o != "-W")
    run(QED_IMG, "convert", *options, fresh(ours))
    sides = {"qed-img": lambda: speed(QED_IMG, "convert", *COPY, *options, fresh(ours)),
             "qemu-img": lambda: speed("qemu-img", "convert", *theirs_copy, *options,
                                       fresh(theirs))}
    if target_format == "qed":
        one = ("-m", "1", "-t", "none", "-T", "none")
        sides["qemu-img-m1"] = lambda: speed("qemu-img", "convert", *one, *options, fresh(theirs))
    sides["disk"] = limit(bench, source, ours)
    return sides


AIMS = [AtLeast("qed-img", 1.5, "qemu-img"), AtLeast("qed-img", 0.9, "disk")]


@row("convert-raw-qed", "1 GiB disk, convert -m 16 -W -t none -T none from raw to qed", "MiB/s",
     aims=AIMS)
def raw_to_qed(bench):
    return conversion(bench, "raw", "qed")


@row("convert-qed-raw", "the same from qed to raw", "MiB/s", aims=AIMS)
def qed_to_raw(bench):
    return conversion(bench, "qed", "raw")


@row("convert-qcow2-qed", "the same from qcow2 to qed", "MiB/s", aims=AIMS)
def qcow2_to_qed(bench):
    return conversion(bench, "qcow2", "qed")


@row("compare", "compare -T none of a raw and a qed image of that disk", "MiB/s",
     aims=[AtLeast("qed-img", 1, "qemu-img")])
def compare(bench):
    raw, image = os.path.join(bench.disk, "raw"), os.path.join(bench.disk, "image")
    remove(bench, raw, image)
    in_format(image, disk_image(raw), "qed")
    options = ("compare", "-T", "none", "-f", "raw", "-F", "qed", raw, image)
    return {"qed-img": lambda: speed(QED_IMG, *options),
            "qemu-img": lambda: speed("qemu-img", *options)}


@row("rebase", "rebase -t none -T none of a qed image from one raw base to one that differs by 1 %",
     "MiB/s", aims=[AtLeast("qed-img", 1, "qemu-img")])
def rebase(bench):
    names = ("base", "other", "top", "image")
    base, other, top, image = (os.path.join(bench.disk, name) for name in names)
    remove(bench, base, other, top, image)
    disk_image(base)
    run("cp", "--sparse=always", base, other)
    chance = random.Random(SEED + 1)
    with open(other, "r+b") as file:
        for _ in range(160):
            file.seek(chance.randrange(GiB // (64 * KiB)) * 64 * KiB)
            file.write(chance.randbytes(64 * KiB))
        file.flush()
        os.fsync(file.fileno())
    run("qemu-img", "create", "-q", "-f", "qed", "-b", base, "-F", "raw", fresh(top))
    run("qemu-io", "-f", "qed", "-c", "write -q -P 7 100M 64M", top)

    def once(program):
        run("cp", "--sparse=always", top, fresh(image))
        return speed(program, "rebase", "-t", "none", "-T", "none", "-f", "qed", "-b", other, "-F",
                     "raw", image)

    return {"qed-img": lambda: once(QED_IMG), "qemu-img": lambda: once("qemu-img")}
