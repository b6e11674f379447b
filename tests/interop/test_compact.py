#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
"""Zeroes are never allocated as data: a large backing file that is one third data, one third
written zeroes and one third holes is read through copy-on-read from end to end, and copied by
convert. The clusters allocated afterwards, counted with qemu-img map, are those with data and no
others."""

import json
import os
import random
import sys

import interop
from interop import Failure, GiB, KiB, MiB, must

# Data in runs that are not aligned to clusters, so some clusters hold both.
STRIPE = 3 * MiB


def make_base(name, size, rng):
    """Write the file; return the ranges with data."""
    ranges = []
    with open(name, "wb") as file:
        file.truncate(size)
        for start in range(0, size, STRIPE):
            third = STRIPE // 3
            shift = rng.randrange(0, 16) * 4 * KiB
            pieces = [b"data", b"zero", b"hole"]
            rng.shuffle(pieces)
            for i, piece in enumerate(pieces):
                begin = min(size, start + i * third + (shift if i else 0))
                end = min(size, start + (i + 1) * third + (shift if i < 2 else 0))
                if begin >= end or piece == b"hole":
                    continue
                file.seek(begin)
                if piece == b"data":
                    file.write(rng.randbytes(4 * KiB) * ((end - begin) // (4 * KiB)))
                    ranges.append((begin, end))
                else:
                    file.write(bytes(end - begin))
        file.flush()
        os.fsync(file.fileno())
    return ranges


def clusters_of(ranges, cluster):
    touched = set()
    for begin, end in ranges:
        touched.update(range(begin // cluster, -(-end // cluster)))
    return len(touched)


def allocated(image, cluster):
    """Return the numbers of (data, zero) clusters of the image itself, as QEMU sees them."""
    extents = json.loads(must("qemu-img", "map", "-f", "qed", "--output=json", image).out)
    data = sum(e["length"] for e in extents if e["depth"] == 0 and e["data"])
    zero = sum(e["length"] for e in extents
               if e["depth"] == 0 and e["present"] and e["zero"] and not e["data"])
    return data / cluster, zero / cluster


def expect(image, cluster, size, ranges, want_zero):
    data, zero = allocated(image, cluster)
    want = clusters_of(ranges, cluster)
    if data != want:
        raise Failure("%s: %g clusters of data instead of %d" % (image, data, want))
    if want_zero and zero != size // cluster - want:
        raise Failure("%s: %g zero clusters instead of %d" % (image, zero, size // cluster - want))
    interop.check_image(image)
    # The file has no space besides these, the header and the tables.
    header = interop.read_header(image)
    table = header["table_size"] * cluster
    tables = 1 + -(-size // (table // 8 * cluster))
    limit = (header["header_size"] + want) * cluster + tables * table
    if os.stat(image).st_size > limit or os.stat(image).st_blocks * 512 > limit + 64 * KiB:
        raise Failure("%s takes %d bytes, %d of disk; %d were expected" % (
            image, os.stat(image).st_size, os.stat(image).st_blocks * 512, limit))


def make_top(name, base, fmt, cluster):
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "-o", "cluster_size=%d" % cluster,
         "-b", base, "-F", fmt, name)


def read_through(base, fmt, ranges, size, cluster, extra):
    make_top("top.qed", base, fmt, cluster)
    reads = []
    for start in range(0, size, 8 * MiB):
        reads += ["aio_read -q %d %d" % (start, min(8 * MiB, size - start)), "aio_flush"]
    with interop.QedIo("-C", *extra, "-f", "qed", "top.qed") as io:
        io.quiet(*reads)
        io.quit()
    expect("top.qed", cluster, size, ranges, True)
    compare("top.qed", base, fmt)
    # All of the backing file was read, so it is no longer needed.
    interop.write_header("top.qed", features=0, backing_filename_offset=0, backing_filename_size=0)
    compare("top.qed", base, fmt)


def compare(image, base, fmt):
    result = interop.run("qemu-img", "compare", "-f", "qed", "-F", fmt, image, base)
    if result.status:
        raise Failure(str(result))


def converted(base, fmt, ranges, size, cluster, extra):
    must(interop.QED_IMG, "convert", *extra, "-f", fmt, "-O", "qed", "-o",
         "cluster_size=%d" % cluster, base, "top.qed")
    expect("top.qed", cluster, size, ranges, False)
    compare("top.qed", base, fmt)


def ends_in_hole():
    """A file may end in a hole: short sessions leave no clusters after its end."""
    must("qemu-img", "create", "-q", "-f", "qed", "hole.qed", "4M")
    must("qemu-io", "-f", "qed", "-c", "write -q -P 1 0 64k", "-c", "write -q -P 0 64k 64k",
         "hole.qed")
    must("fallocate", "--dig-holes", "hole.qed")
    size = os.stat("hole.qed").st_size
    for i in range(3):
        must(interop.QED_IO, "-f", "qed", "-c", "write -q -P 2 %d 512" % (MiB + i * 64 * KiB),
             "hole.qed")
        interop.check_image("hole.qed")
    if os.stat("hole.qed").st_size != size + 3 * 64 * KiB:
        raise Failure("the file grew by %d bytes" % (os.stat("hole.qed").st_size - size))


def main(results):
    rng = random.Random(interop.seed_from(sys.argv))
    if not interop.need_qemu(results, "compact"):
        return
    results.run("compact-ends-in-hole", ends_in_hole)
    size = GiB if not interop.SANITIZE else 96 * MiB
    ranges = make_base("base.raw", size, rng)
    results.run("compact-read", read_through, "base.raw", "raw", ranges, size, 64 * KiB, ())
    results.run("compact-convert", converted, "base.raw", "raw", ranges, size, 64 * KiB, ())

    # The same in other ways, with a smaller file.
    size //= 8
    ranges = make_base("base.raw", size, rng)
    results.run("compact-read-direct", read_through, "base.raw", "raw", ranges, size, 64 * KiB,
                ("-n",))
    results.run("compact-read-4k", read_through, "base.raw", "raw", ranges, size, 4 * KiB, ())
    results.run("compact-convert-4k", converted, "base.raw", "raw", ranges, size, 4 * KiB, ())
    results.run("compact-convert-256k-any-order", converted, "base.raw", "raw", ranges, size,
                256 * KiB, ("-W", "-m", "16"))
    # The same backing bytes, in a format that records zeroes.
    must("qemu-img", "convert", "-f", "raw", "-O", "qed", "-S", "0", "base.raw", "base.qed")
    os.unlink("base.raw")
    results.run("compact-read-from-qed", read_through, "base.qed", "qed", ranges, size, 64 * KiB,
                ())


interop.main(main)
