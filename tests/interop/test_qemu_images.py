#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
"""Images made and written by QEMU, read and changed by our programs, and back, several times."""

import json
import os
import random
import sys

import interop
from interop import Failure, KiB, MiB, must

ROUNDS = 4
WRITES = 40


class Image:
    """An image that both sides write alternately, and its expected contents."""

    def __init__(self, rng, cluster, table, size, backing):
        self.rng, self.cluster, self.size = rng, cluster, size
        self.model = bytearray(size)
        # Clusters that may be zero clusters: a partial write by QEMU 7.2 to one of these fills the
        # rest with the backing file's bytes.
        self.zero = set()
        self.backed = bool(backing)
        command = ["qemu-img", "create", "-q", "-f", "qed", "-o",
                   "cluster_size=%d,table_size=%d" % (cluster, table)]
        if backing:
            self.make_backing(backing)
            command += ["-b", "base." + backing, "-F", backing]
        must(*command, "image.qed", str(size))

    def make_backing(self, fmt):
        data = bytearray()
        while len(data) < self.size * 2 // 3:
            run = self.rng.choice((4 * KiB, self.cluster, 3 * self.cluster))
            data += bytes([self.rng.choice((0, self.rng.randrange(256)))]) * run
        del data[self.size * 2 // 3 // 512 * 512:]
        interop.write_file("base.raw", data)
        self.model[:len(data)] = data
        if fmt != "raw":
            must("qemu-img", "convert", "-f", "raw", "-O", fmt, "base.raw", "base." + fmt)

    def random_range(self, aligned):
        unit = self.cluster if aligned else 512
        count = -(-self.size // unit)
        first = self.rng.randrange(count)
        length = unit * self.rng.randrange(1, 4 if aligned else 3 * self.cluster // 512)
        offset = first * unit
        return offset, min(length, self.size - offset)

    def clusters(self, offset, length):
        return set(range(offset // self.cluster, -(-(offset + length) // self.cluster)))

    def write(self, offset, length, value):
        self.model[offset:offset + length] = bytes([value]) * length

    def by_qemu(self):
        lines = []
        for _ in range(WRITES):
            offset, length = self.random_range(self.rng.random() < 0.5)
            touched = self.clusters(offset, length)
            whole = not (offset % self.cluster or (offset + length) % self.cluster and
                         offset + length != self.size)
            if self.backed and not whole and touched & self.zero:
                continue
            value = self.rng.choice((0, 0, self.rng.randrange(1, 256)))
            self.write(offset, length, value)
            if value == 0 and self.rng.random() < 0.8:
                lines.append("write -q -z %d %d" % (offset, length))
                self.zero |= touched
            else:
                lines.append("write -q -P %d %d %d" % (value, offset, length))
        self.run("qemu-io", lines)

    def by_us(self):
        lines = []
        for _ in range(WRITES):
            offset, length = self.random_range(self.rng.random() < 0.3)
            kind = self.rng.random()
            if kind < 0.5:
                value = self.rng.randrange(1, 256)
                lines.append("write -q -P %d %d %d" % (value, offset, length))
            elif kind < 0.8:
                value = 0
                lines.append("write -q -z %s%d %d" % (self.rng.choice(("", "-u ")), offset, length))
                self.zero |= self.clusters(offset, length)
            else:
                # Whole clusters, the unit of a discard.
                offset = offset // self.cluster * self.cluster
                length = min(self.cluster * 2, self.size - offset)
                value = 0
                lines.append("discard -q %d %d" % (offset, length))
                self.zero |= self.clusters(offset, length)
            self.write(offset, length, value)
        self.run(interop.QED_IO, lines)

    def run(self, program, lines):
        args = []
        for line in lines:
            args += ["-c", line]
        result = must(program, "-f", "qed", *args, "image.qed")
        if result.out or result.err:
            raise Failure(str(result))

    def judge(self, who):
        interop.check_image("image.qed")
        for program in ("qemu-img", interop.QED_IMG):
            must(program, "convert", "-f", "qed", "-O", "raw", "image.qed", "out.raw")
            difference = interop.first_difference("out.raw", self.model)
            if difference:
                raise Failure("after %s wrote, as %s reads it, %s" % (
                    who, os.path.basename(program), difference))
        for form in ("json", "human"):
            args = ("map", "-f", "qed", "--output=" + form, "image.qed")
            theirs, ours = must("qemu-img", *args).out, must(interop.QED_IMG, *args).out
            if form == "json":
                theirs, ours = extents(theirs), extents(ours)
            if theirs != ours:
                raise Failure("after %s wrote, maps differ: %s | %s" % (who, theirs, ours))


def extents(text):
    """Return a JSON map, without the fields that later QEMU versions added."""
    known = ("start", "length", "depth", "present", "zero", "data", "offset")
    return [{key: extent[key] for key in known if key in extent} for extent in json.loads(text)]


def both_ways(rng, settings):
    with interop.WorkDir():
        image = Image(rng, *settings)
        for _ in range(ROUNDS if not interop.SANITIZE else 2):
            image.by_qemu()
            image.judge("qemu-io")
            image.by_us()
            image.judge("qed-io")


def overlay_of_ours():
    """A chain with the upper half made by QEMU and the lower by us, and a data file beside it."""
    os.mkdir("dir")
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "dir/lower.qed", "2M")
    must(interop.QED_IO, "-f", "qed", "-c", "write -q -P 3 0 1M", "dir/lower.qed")
    must("qemu-img", "create", "-q", "-f", "qed", "-b", "lower.qed", "-F", "qed", "dir/upper.qed")
    must("qemu-io", "-f", "qed", "-c", "write -q -P 4 512k 1M", "dir/upper.qed")
    must(interop.QED_IO, "-f", "qed", "-c", "read -q -P 3 0 512k", "-c", "read -q -P 4 512k 1M",
         "-c", "read -q -P 0 1536k 512k", "-c", "write -q -P 5 100 100", "dir/upper.qed")
    must("qemu-io", "-f", "qed", "-c", "read -q -P 3 0 100", "-c", "read -q -P 5 100 100", "-c",
         "read -q -P 3 200 8k", "dir/upper.qed")
    interop.check_image("dir/upper.qed")


def large_image():
    """An image with most L1 entries empty, and its end far beyond the written data."""
    must("qemu-img", "create", "-q", "-f", "qed", "large.qed", "60T")
    must("qemu-io", "-f", "qed", "-c", "write -q -P 1 59T 64k", "large.qed")
    must(interop.QED_IO, "-f", "qed", "-c", "read -q -P 1 59T 64k", "-c", "write -q -P 2 30T 1k",
         "-c", "write -q -z 45T 1M", "large.qed")
    must("qemu-io", "-f", "qed", "-c", "read -q -P 1 59T 64k", "-c", "read -q -P 2 30T 1k", "-c",
         "read -q -P 0 %d 64k" % (30 << 40 | 1 * KiB), "-c", "read -q -P 0 45T 1M", "large.qed")
    interop.check_image("large.qed")


def main(results):
    seed = interop.seed_from(sys.argv)
    if not interop.need_qemu(results, "qemu-images"):
        return
    cases = [
        (4 * KiB, 2, 6 * MiB + 512, None), (4 * KiB, 4, 3 * MiB, "raw"),
        (16 * KiB, 16, 5 * MiB - 512, "qed"), (64 * KiB, 4, 8 * MiB, "raw"),
        (64 * KiB, 4, 8 * MiB - 4 * KiB, None), (64 * KiB, 4, 4 * MiB + 1536, "qed"),
        (256 * KiB, 2, 16 * MiB, "raw"), (1 * MiB, 8, 20 * MiB + 512, None),
    ]
    for number, settings in enumerate(cases):
        rng = random.Random("%d/%d" % (seed, number))
        name = "qemu-images-%d-%dk-t%d-%s" % (
            number, settings[0] // KiB, settings[1], settings[3] or "alone")
        results.run(name, both_ways, rng, settings)
    results.run("qemu-images-overlay-of-ours", overlay_of_ours)
    results.run("qemu-images-large", large_image)


interop.main(main)
