#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""qed-img bench where qemu-img has no counterpart: copy-on-read, and the null image.
test_qemu_cli.py tests what both have."""

import json
import os

import interop
from interop import KiB, MiB, QED_IMG, Failure, must


def depths(name):
    return [(run["start"], run["start"] + run["length"], run["depth"], run["zero"])
            for run in json.loads(must(QED_IMG, "map", "--output=json", name).out)]


def copy_on_read():
    data = os.urandom(MiB) + bytes(MiB) + os.urandom(2 * MiB)
    interop.write_file("golden", data)
    must(QED_IMG, "create", "-q", "-f", "qed", "-b", "golden", "-F", "raw", "top")
    must(QED_IMG, "bench", "-f", "qed", "-c", "8", "-s", "64k", "-S", "256k", "top")
    if any(run[2] == 0 for run in depths("top")):
        raise Failure("a plain bench kept what it read: %r" % depths("top"))
    # Each cluster of the first 2 MiB, with several concurrent requests for one cluster.
    must(QED_IMG, "bench", "-c", "512", "-s", "4k", "-d", "32", "--copy-on-read", "top")
    kept = [run for run in depths("top") if run[2] == 0]
    if [(run[0], run[1]) for run in kept if not run[3]] != [(0, MiB)]:
        raise Failure("data that is kept: %r" % kept)
    if [(run[0], run[1]) for run in kept if run[3]] != [(MiB, 2 * MiB)]:
        raise Failure("zeroes that are kept: %r" % kept)
    if os.stat("top").st_blocks * 512 > MiB + 512 * KiB:
        raise Failure("zeroes take space: %d bytes" % (os.stat("top").st_blocks * 512))
    must(QED_IMG, "convert", "-f", "qed", "-O", "raw", "top", "seen")
    if interop.read_file("seen") != data:
        raise Failure("a read changed the image")
    interop.check_image("top")


def null():
    for command in (("bench", "-c", "100"), ("bench", "-c", "100", "-w", "-d", "4",
                                             "--flush-interval=4"),
                    ("bench", "-c", "10", "-t", "none", "-f", "raw"), ("info",), ("map",)):
        must(QED_IMG, *command, "null-co://3G")
    if '"virtual-size": %d' % (3 << 30) not in must(QED_IMG, "info", "--output=json",
                                                    "null-co://3G").out:
        raise Failure("the size is not the one in the name")
    result = interop.run(QED_IMG, "bench", "null-co://3Q")
    if result.status != 1 or not result.err.endswith("'3Q' is not a size\n"):
        raise Failure(str(result))


def main(results):
    results.run("bench-copy-on-read", copy_on_read)
    results.run("bench-null", null)


interop.main(main)
