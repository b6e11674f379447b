#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""qed-img resize --shrink: images that are written to, made smaller and larger at random, compared
with a copy in memory. Both sides' check and QEMU's reading judge each of them."""

import os
import random
import sys

import interop
from interop import Failure, KiB, MiB, QED_IMG, QED_IO, must, run

SECTOR = 512
ROUNDS = 8
STEPS = 8


class Image:
    """A QED image, and what it must contain."""

    def __init__(self, rng):
        self.rng = rng
        self.cluster = rng.choice((4, 16, 64)) * KiB
        table = rng.choice((1, 2, 4))
        self.most = rng.randrange(1, 5) * MiB + rng.randrange(0, 300) * SECTOR
        self.backing = rng.choice((0, self.most // 2, self.most, self.most * 2)) // SECTOR * SECTOR
        self.content = bytearray(self.most)
        options = "cluster_size=%d,table_size=%d" % (self.cluster, table)
        words = ["create", "-q", "-f", "qed", "-o", options]
        if self.backing:
            data = rng.randbytes(self.backing)
            interop.write_file("base.raw", data)
            self.content[:self.backing] = data[:self.most]
            words += ["-F", "raw", "-b", "base.raw"]
        must(QED_IMG, *words, "image.qed", str(self.most))
        self.qemu = interop.have_qemu() and interop.qemu_can_open(self.cluster, table)

    def range(self, unit):
        size = len(self.content)
        start = self.rng.randrange(0, size // unit) * unit if size > unit else 0
        return start, min(self.rng.choice((1, 3, 20, 100)) * unit, size - start)

    def write(self):
        commands = []
        for _ in range(6):
            start, length = self.range(self.rng.choice((SECTOR, self.cluster)))
            pattern = self.rng.randrange(1, 256)
            if self.rng.random() < 0.7:
                commands += ["-c", "write -q -P %d %d %d" % (pattern, start, length)]
                self.content[start:start + length] = bytes((pattern,)) * length
            else:
                commands += ["-c", "write -q -z -u %d %d" % (start, length)]
                self.content[start:start + length] = bytes(length)
        must(QED_IO, *commands, "image.qed")

    def resize(self):
        old = len(self.content)
        unit = self.rng.choice((SECTOR, self.cluster))
        size = self.rng.randrange(1, self.most // unit + 1) * unit
        program = QED_IMG
        # QEMU does not hide what a backing file has behind the old end.
        if size > old and self.qemu and not self.backing and self.rng.random() < 0.5:
            program = "qemu-img"
        must(program, "resize", "-q", "-f", "qed", *(["--shrink"] if size < old else []),
             "image.qed", str(size))
        del self.content[size:]
        self.content += bytes(size - len(self.content))

    def look(self):
        interop.check_image("image.qed")
        for program in [QED_IMG] + (["qemu-img"] if self.qemu else []):
            must(program, "convert", "-f", "qed", "-O", "raw", "image.qed", "image.raw")
            wrong = interop.first_difference("image.raw", self.content)
            if wrong:
                raise Failure("%s: %s" % (os.path.basename(program), wrong))


def compared(rng):
    image = Image(rng)
    image.write()
    for _ in range(STEPS):
        image.resize()
        image.look()
        if rng.random() < 0.6:
            image.write()
    image.look()


def space(rng):
    """The file of a full image becomes smaller, too, whatever the order of its clusters."""
    must(QED_IMG, "create", "-q", "-f", "qed", "image.qed", "16M")
    for start in rng.sample(range(16), 16):
        must(QED_IO, "-c", "write -q -P 7 %dM 1M" % start, "image.qed")
    must(QED_IMG, "resize", "-q", "--shrink", "image.qed", "4M")
    interop.check_image("image.qed")
    if os.path.getsize("image.qed") > 5 * MiB:
        raise Failure("the file has %d bytes" % os.path.getsize("image.qed"))


def refused():
    """Only with --shrink, and not by the name of QEMU's program; nothing changes then."""
    must(QED_IMG, "create", "-q", "-f", "qed", "image.qed", "4M")
    os.symlink(QED_IMG, "qemu-img")
    before = interop.read_file("image.qed")
    for words, line in (
            ((QED_IMG, "resize", "image.qed", "1M"),
             "qed-img: Use the --shrink option to perform a shrink operation."),
            (("./qemu-img", "resize", "--shrink", "image.qed", "1M"),
             "qemu-img: Shrinking images is currently not supported"),
            ((QED_IMG, "resize", "--shrink", "image.qed", "0"),
             "qed-img: New image size must be positive")):
        result = run(*words)
        if result.status != 1 or line not in result.err.splitlines() or result.out:
            raise Failure(str(result))
        if interop.read_file("image.qed") != before:
            raise Failure("the image has changed: " + str(result))
    if must(QED_IMG, "resize", "--shrink", "image.qed", "1M").out != "Image resized.\n":
        raise Failure("not the words of QEMU's program")


def main(results):
    seed = interop.seed_from(sys.argv)
    for number in range(ROUNDS):
        results.run("shrink-compared-%d" % number, compared, random.Random(seed + number))
    results.run("shrink-space", space, random.Random(seed))
    results.run("shrink-refused", refused)


interop.main(main)
