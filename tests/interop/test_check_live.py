#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""qedctl check finds in the image of a live server what qed-img check finds, and frees leaks.

The server is nodev_qedd, which has no block device.
"""

import json
import os
import struct
import subprocess
import sys

import interop
from interop import BUILD, Failure, MiB, QED_IMG, QED_IO, must

QEDD = os.path.join(BUILD, "tests/interop/nodev_qedd")
QEDCTL = os.path.join(BUILD, "qedctl")
NAME = "check-%d" % os.getpid()


class Server:
    def __init__(self, image, *options):
        self.args = (QEDD, "--name", NAME, "--foreground", "--queues", "1", "--image", image,
                     *options)

    def __enter__(self):
        with open("log", "wb") as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(self.args, stdout=subprocess.PIPE, stderr=log)
        if not self.process.stdout.readline():
            raise Failure("no server: %s" % interop.read_file("log"))

    def __exit__(self, *unused):
        self.process.stdout.close()
        self.process.terminate()
        if self.process.wait() and not unused[0]:
            raise Failure("the server failed: %s" % interop.read_file("log"))


def entries(image):
    """Return the file offset of the L2 table's first entry; the image has one table."""
    with open(image, "rb") as file:
        file.seek(40)
        l1, = struct.unpack("<Q", file.read(8))
        file.seek(l1)
        table, = struct.unpack("<Q", file.read(8))
    return table


def change(image, *changes):
    """Set entries: pairs of an index and the index of the entry that is copied, or None for 0."""
    table = entries(image)
    with open(image, "r+b") as file:
        for index, other in changes:
            entry = bytes(8)
            if other is not None:
                file.seek(table + 8 * other)
                entry = file.read(8)
            file.seek(table + 8 * index)
            file.write(entry)


def make(image, *changes):
    must(QED_IMG, "create", "-q", "-f", "qed", "-o", "cluster_size=4096,table_size=1", image,
         str(1 * MiB))
    must(QED_IO, "-f", "qed", "-c", "write -q -P 7 0 400k", image)
    change(image, *changes)


def expect(status, out, *args):
    result = interop.run(QEDCTL, "check", *args, NAME)
    if (result.status, result.out, result.err) != (status, out, ""):
        raise Failure("%s, wanted status %d and '%s'" % (result, status, out))


def expect_refused(status, line, *args):
    result = interop.run(QEDCTL, "check", *args, NAME)
    if (result.status, result.out, result.err) != (status, "", line + "\n"):
        raise Failure("%s, wanted status %d and '%s'" % (result, status, line))


def same(image, *options):
    """What is found is what qed-img finds, in the same words."""
    for args, img_args in ((), ()), (("--json",), ("--output=json",)):
        img = interop.run(QED_IMG, "check", "-f", "qed", *img_args, os.path.abspath(image))
        with Server(os.path.abspath(image), *options):
            expect(1 if img.status else 0, img.out, *args)


def clean():
    make("clean.qed")
    same("clean.qed")
    same("clean.qed", "--read-only")


def leaks():
    make("leaks.qed", (3, None), (40, None), (41, None))
    same("leaks.qed")
    with Server("leaks.qed"):
        allocated = "97/256 = 37.89% allocated, 2.06% fragmented, 0.00% compressed clusters\n"
        expect(0, "The following inconsistencies were found and repaired:\n\n"
                  "    3 leaked clusters\n    0 corruptions\n\n"
                  "Double checking the fixed image now...\n"
                  "No errors were found on the image.\n" + allocated, "--repair", "leaks")
        expect(0, "No errors were found on the image.\n" + allocated)
        found = json.loads(must(QEDCTL, "check", "--json", "--repair", "leaks", NAME).out)
        if "leaks" in found or "leaks-fixed" in found or found["check-errors"]:
            raise Failure("found again: %s" % found)
    must(QED_IMG, "check", "-q", "-f", "qed", "leaks.qed")
    must(QED_IO, "-f", "qed", "-c", "read -q -P 7 0 12k", "-c", "read -q -P 0 12k 4k", "-c",
         "read -q -P 7 16k 144k", "-c", "read -q -P 0 160k 8k", "-c", "read -q -P 7 168k 232k",
         "leaks.qed")


def repaired_as_json():
    make("json.qed", (5, None))
    with Server("json.qed"):
        found = json.loads(must(QEDCTL, "check", "--json", "--repair", "leaks", NAME).out)
    if found.get("leaks-fixed") != 1 or "leaks" in found:
        raise Failure("%s" % found)


def damaged():
    make("damaged.qed", (3, 4))
    same("damaged.qed")
    img = interop.run(QED_IMG, "check", "-f", "qed", "damaged.qed")
    with Server("damaged.qed"):
        expect(1, img.out, "--repair", "leaks")


def refused():
    must(QED_IMG, "create", "-q", "-f", "raw", "disk.raw", "1M")
    make("only.qed", (3, None))
    where = os.path.abspath(".")
    with Server("disk.raw"):
        expect_refused(1, "qedctl: check %s: %s/disk.raw: This image format does not support "
                          "checks" % (NAME, where))
    with Server("only.qed", "--read-only"):
        expect_refused(1, "qedctl: check %s: %s/only.qed: image is open read-only: Operation not "
                          "permitted" % (NAME, where), "--repair", "leaks")
    expect_refused(3, "qedctl: check %s: no such device" % NAME)
    expect_refused(2, "qedctl: check %s: --repair: 'all' is not leaks" % NAME, "--repair", "all")


def main():
    results = interop.Results()
    if os.geteuid():
        results.skip("a check of a live image", "this is not root")
        return 0
    with interop.WorkDir():
        os.mkdir("run")
        os.environ["QEDBLK_RUN_DIR"] = os.path.abspath("run")
        results.run("nothing is found in a clean image", clean)
        results.run("leaks are found and freed", leaks)
        results.run("and told as JSON", repaired_as_json)
        results.run("damage is found, and left alone", damaged)
        results.run("what cannot be checked or repaired is refused", refused)
    return results.status()


if __name__ == "__main__":
    sys.exit(main())
