#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 1800
"""Random requests on images of many geometries, against a model in memory.

Each case has one qed-io, which runs batches of concurrent requests. Requests of a batch never
overlap in bytes, but share clusters. At the end QEMU's programs read the image: they must agree
with the model byte for byte, and report no errors.
"""

import os
import random
import sys

import interop
from interop import Failure, KiB, MiB, must

# Requests in flight at once, and the maximum length of one in bytes.
BATCH = 24
MAX_REQUEST = 3 * MiB
MAX_DUMP = 16 * KiB


class Case:
    """One image, its backing chain and its model."""

    def __init__(self, rng, name, cluster, table, size, backing, cor, direct):
        self.rng, self.name = rng, name
        self.cluster, self.table, self.size = cluster, table, size
        self.backing, self.cor, self.direct = backing, cor, direct
        self.model = bytearray(size)

    # ---- Making it ----

    def random_content(self, size):
        """Return runs of data and of zeroes, as in typical images."""
        data = bytearray(size)
        pos = 0
        while pos < size:
            run = min(size - pos, self.rng.choice((512, 4096, self.cluster // 2, self.cluster,
                                                   3 * self.cluster, 5 * self.cluster + 512)))
            if self.rng.random() < 0.6:
                data[pos:pos + run] = bytes([self.rng.randrange(1, 256)]) * run
            pos += run
        return data

    def make_raw(self, name, size):
        data = self.random_content(size)
        with open(name, "wb") as file:
            file.truncate(size)
            # Some zero runs stay holes, the others are written.
            for pos in range(0, size, 64 * KiB):
                piece = data[pos:pos + 64 * KiB]
                if any(piece) or self.rng.random() < 0.5:
                    file.seek(pos)
                    file.write(piece)
        return data

    def make_backing(self):
        """Return (name, format, bytes) of the top image's backing file."""
        kind, scale = self.backing
        size = max(512, int(self.size * scale)) // 512 * 512
        data = self.make_raw("base.raw", size)
        if kind == "raw":
            return "base.raw", "raw", data
        if kind == "qed":
            must("qemu-img", "convert", "-f", "raw", "-O", "qed", "base.raw", "base.qed")
            return "base.qed", "qed", data
        # A chain: a middle image with some clusters, shorter or longer than its base.
        size = max(512, int(size * self.rng.choice((0.6, 1, 1.4)))) // 512 * 512
        must(interop.QED_IMG, "create", "-q", "-f", "qed", "-o", "cluster_size=16k,table_size=2",
             "-b", "base.raw", "-F", "raw", "middle.qed", str(size))
        data = data[:size] + bytearray(max(0, size - len(data)))
        for _ in range(6):
            offset = self.rng.randrange(size // 512) * 512
            length = min(size - offset, self.rng.randrange(1, 200) * 512)
            value = self.rng.randrange(256)
            must(interop.QED_IO, "-f", "qed", "-c",
                 "write -q %s %d %d" % ("-P %d" % value if value else "-z", offset, length),
                 "middle.qed")
            data[offset:offset + length] = bytes([value]) * length
        return "middle.qed", "qed", data

    def make(self):
        command = [interop.QED_IMG, "create", "-q", "-f", "qed", "-o",
                   "cluster_size=%d,table_size=%d" % (self.cluster, self.table)]
        if self.backing:
            name, fmt, data = self.make_backing()
            command += ["-b", name, "-F", fmt]
            common = min(len(data), self.size)
            self.model[:common] = data[:common]
        must(*command, "top.qed", str(self.size))
        self.below = {name: interop.read_file(name) for name in os.listdir(".")
                      if name != "top.qed"}

    # ---- Requests ----

    def random_range(self, taken):
        """Return a range that overlaps none of @taken, or None; mostly near cluster boundaries."""
        rng = self.rng
        unit = rng.choice((1, 512, 4096, self.cluster, self.cluster))
        offset = rng.randrange(self.size) // unit * unit
        length = rng.choice((1, 512, 4096, self.cluster // 2, self.cluster, 2 * self.cluster,
                             rng.randrange(1, 4 * self.cluster)))
        if rng.random() < 0.02:
            length = self.size
        if rng.random() < 0.1:
            offset = max(0, self.size - length)
        limit = max(MAX_REQUEST, 2 * self.cluster) if rng.random() < 0.1 else MAX_REQUEST
        end = min(self.size, offset + min(length, limit))
        for start, stop in taken:
            if offset < stop and start < end:
                return None
        taken.append((offset, end))
        return offset, end - offset

    def discard(self, offset, length):
        """Apply a discard to the model: whole clusters become zeroes, parts are unchanged."""
        end = offset + length
        if end == self.size:
            end = -(-end // self.cluster) * self.cluster
        first = -(-offset // self.cluster) * self.cluster
        last = min(end // self.cluster * self.cluster, self.size)
        if first < last:
            self.model[first:last] = bytes(last - first)

    def write(self, offset, length, value):
        self.model[offset:offset + length] = bytes([value]) * length

    def uniform_run(self, offset, length):
        """Return the length of the run of one value at @offset, at most @length."""
        value = self.model[offset]
        piece = bytes(self.model[offset:offset + length])
        return value, length - len(piece.lstrip(bytes([value])))

    def request(self, taken):
        """Return a line for qed-io; the model changes at once, since requests do not overlap."""
        where = self.random_range(taken)
        if not where:
            return None
        offset, length = where
        if self.cor and self.rng.random() < 0.3:
            return self.read_and_overtake(offset, length)
        kind = self.rng.random()
        fua = "-f " if self.rng.random() < 0.05 else ""
        if kind < 0.35:
            value = self.rng.randrange(1, 256)
            self.write(offset, length, value)
            return "aio_write -q %s-P %d %d %d" % (fua, value, offset, length)
        if kind < 0.42:
            self.write(offset, length, 0)
            return "aio_write -q %s-P 0 %d %d" % (fua, offset, length)
        if kind < 0.60:
            self.write(offset, length, 0)
            unmap = "-u " if self.rng.random() < 0.5 else ""
            return "aio_write -q -z %s%s%d %d" % (unmap, fua, offset, length)
        if kind < 0.72:
            self.discard(offset, length)
            return "discard -q %d %d" % (offset, length)
        if kind < 0.75:
            return "flush"
        value, run = self.uniform_run(offset, length)
        return "aio_read -q -P %d %d %d" % (value, offset, run)

    def read_and_overtake(self, offset, length):
        """A read that populates, and a concurrent change of the same bytes."""
        read = "aio_read -q %d %d\n" % (offset, length)
        kind = self.rng.randrange(4)
        if kind == 0:
            self.discard(offset, length)
            return read + "discard -q %d %d" % (offset, length)
        if kind == 1:
            value = self.rng.randrange(1, 256)
            self.write(offset, length, value)
            return read + "aio_write -q -P %d %d %d" % (value, offset, length)
        self.write(offset, length, 0)
        return read + "aio_write -q -z %s%d %d" % ("-u " if kind == 2 else "", offset, length)

    def check_some(self, io):
        """Read a range of mixed data, and compare all its bytes."""
        offset = self.rng.randrange(self.size)
        length = min(self.size - offset, self.rng.randrange(1, MAX_DUMP))
        got = interop.parse_dump(io.do("read -v %d %d" % (offset, length)))
        want = self.model[offset:offset + length]
        if got != want:
            raise Failure("read -v %d %d: %d bytes, the first that differs: %s; before: %s" % (
                offset, length, len(got),
                next((offset + i for i in range(min(len(got), length)) if got[i] != want[i]),
                     "none"), "; ".join(io.log[-60:])))

    def open_line(self):
        return "open %s%s-o driver=qed top.qed" % ("-C " if self.cor else "",
                                                  "-n " if self.direct else "")

    def reopen(self, io):
        # Copy-on-read and read-only exclude each other.
        if self.cor or self.rng.random() < 0.5:
            io.quiet("close", self.open_line())
        else:
            io.quiet("reopen -r", "reopen -w")

    def drive(self, count):
        done = 0
        with interop.QedIo() as io:
            io.quiet(self.open_line())
            while done < count:
                taken, lines = [], []
                for _ in range(self.rng.randrange(1, BATCH)):
                    line = self.request(taken)
                    if line:
                        lines.append(line)
                io.quiet(*lines, "aio_flush")
                done += len(lines)
                self.check_some(io)
                if self.rng.random() < 0.04:
                    self.reopen(io)
            io.quit()

    # ---- Judging ----

    def compare(self, program, *args):
        must(program, "convert", *args, "-f", "qed", "-O", "raw", "top.qed", "out.raw")
        difference = interop.first_difference("out.raw", self.model)
        os.unlink("out.raw")
        if difference:
            raise Failure("as %s reads it, %s" % (os.path.basename(program), difference))

    def judge(self):
        interop.check_image("top.qed")
        self.compare(interop.QED_IMG)
        if interop.qemu_can_open(self.cluster, self.table):
            self.compare("qemu-img")
        for name, before in self.below.items():
            if interop.read_file(name) != before:
                raise Failure("%s was written to" % name)

    def run(self, count):
        self.make()
        self.drive(count)
        self.judge()


def odd_size(rng, clusters, cluster):
    """Return a size of that many clusters, a multiple of 512, sometimes ending inside a cluster."""
    return clusters * cluster - rng.choice((0, 512, cluster // 2, cluster - 512))


def plan(rng):
    """Return (cluster size, table size, size in clusters, backing) of each case."""
    backings = [None, ("raw", 0.5), ("raw", 1), ("raw", 1.5), ("qed", 0.7), ("qed", 1.2),
                ("chain", 0.9), ("chain", 1.3)]
    geometries = [
        # 4 KiB clusters and one-cluster tables: an L2 table maps 512 clusters, so there are
        # several.
        (4 * KiB, 1, 1300), (4 * KiB, 2, 1500), (4 * KiB, 16, 700), (8 * KiB, 4, 300),
        (16 * KiB, 1, 200), (32 * KiB, 8, 100), (64 * KiB, 4, 100), (64 * KiB, 4, 60),
        (128 * KiB, 2, 50), (256 * KiB, 1, 40), (1 * MiB, 4, 12), (2 * MiB, 16, 7),
    ]
    for index, (cluster, table, clusters) in enumerate(geometries):
        for k in range(2):
            yield cluster, table, clusters, backings[(index + 4 * k) % len(backings)]
    yield 64 * KiB, 4, 1, ("raw", 1)
    yield 4 * KiB, 4, 3, None
    if not interop.SANITIZE:
        yield 64 * MiB, 1, 2, None
        yield 64 * MiB, 2, 2, ("raw", 0.3)


def run_one(rng, name, settings, count):
    cluster, table, clusters, backing = settings
    with interop.WorkDir():
        Case(rng, name, cluster, table, odd_size(rng, clusters, cluster), backing,
             bool(backing) and rng.random() < 0.6, rng.random() < 0.4).run(count)


def main(results):
    seed = interop.seed_from(sys.argv)
    if not interop.need_qemu(results, "differential"):
        return
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    rng = random.Random(seed)
    count = 150 if interop.SANITIZE else 500
    for number, settings in enumerate(plan(rng)):
        cluster, table, clusters, backing = settings
        name = "differential-%02d-%dk-t%d-%s" % (
            number, cluster // KiB, table, "%s%g" % backing if backing else "alone")
        # Each case has its own random numbers, so it can run alone.
        case_rng = random.Random("%d/%d" % (seed, number))
        if only in name:
            results.run(name, run_one, case_rng, name, settings,
                        count if cluster < 64 * MiB else 40)


interop.main(main)
