# SPDX-License-Identifier: GPL-2.0
"""Rows of whole images: convert, compare and rebase, beside QEMU at its best settings. The disk is
1 GiB as a machine's is: files that are data, zeroes that were written, and holes."""

import os
import random
import time

from harness import GiB, KiB, MiB, QED_IMG, AtLeast, Rows, run
from rows_host import fresh, remove

row = Rows()

# QEMU's best for files on a disk: sixteen pieces at once in any order, without the page cache.
COPY = ("-m", "16", "-W", "-t", "none", "-T", "none")

# How much of the disk is what, and how long a run of it is, in blocks of 4 KiB.
KINDS = (("data", 0.45, 1, 2048), ("zeroes", 0.2, 1, 512), ("hole", 0.35, 16, 4096))
SEED = 20120118


def lay_out(size, chance):
    """What is where: (kind, offset, bytes) from 0 to @size."""
    weights = [share / (shortest + longest) for _, share, shortest, longest in KINDS]
    offset = 0
    while offset < size:
        kind, _, shortest, longest = chance.choices(KINDS, weights)[0]
        length = min(chance.randint(shortest, longest) * 4 * KiB, size - offset)
        yield kind, offset, length
        offset += length


def disk_image(path, size=GiB):
    """A raw image. Its data does not compress, and zeroes among it are written as such."""
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
    """MiB of the disk a second."""
    os.sync()
    start = time.monotonic()
    run(*args)
    return GiB / MiB / (time.monotonic() - start)


def in_format(path, source, fmt):
    run("qemu-img", "convert", "-f", "raw", "-O", fmt, source, fresh(path))
    return path


def conversion(bench, source_format, target_format):
    names = ("raw", "source", "ours", "theirs")
    raw, source, ours, theirs = (os.path.join(bench.disk, name) for name in names)
    remove(bench, raw, source, ours, theirs)
    disk_image(raw)
    if source_format == "raw":
        source = raw
    else:
        in_format(source, raw, source_format)
    options = ("convert", *COPY, "-f", source_format, "-O", target_format, source)
    return {"qed-img": lambda: speed(QED_IMG, *options, fresh(ours)),
            "qemu-img": lambda: speed("qemu-img", *options, fresh(theirs))}


@row("convert-raw-qed", "convert -m 16 -W -t none -T none from raw to qed", "MiB/s",
     aims=[AtLeast("qed-img", 1.5, "qemu-img")])
def raw_to_qed(bench):
    return conversion(bench, "raw", "qed")


@row("convert-qed-raw", "the same from qed to raw", "MiB/s",
     aims=[AtLeast("qed-img", 1.5, "qemu-img")])
def qed_to_raw(bench):
    return conversion(bench, "qed", "raw")


@row("convert-qcow2-qed", "the same from qcow2 to qed", "MiB/s",
     aims=[AtLeast("qed-img", 1.5, "qemu-img")])
def qcow2_to_qed(bench):
    return conversion(bench, "qcow2", "qed")


@row("compare", "compare -T none of a raw and a qed image of the same disk", "MiB/s",
     aims=[AtLeast("qed-img", 1, "qemu-img")])
def compare(bench):
    raw, image = os.path.join(bench.disk, "raw"), os.path.join(bench.disk, "image")
    remove(bench, raw, image)
    in_format(image, disk_image(raw), "qed")
    options = ("compare", "-T", "none", "-f", "raw", "-F", "qed", raw, image)
    return {"qed-img": lambda: speed(QED_IMG, *options),
            "qemu-img": lambda: speed("qemu-img", *options)}
