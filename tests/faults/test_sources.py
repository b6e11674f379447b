#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Images on sources where some reads fail: an NBD export with nbdkit's filter `error`, and the same
export as a local file, through nbdfuse, so that the kernel returns EIO for a file.

A command either prints the same as without failures, or ends with an error status and line."""

import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../interop"))

from interop import (Failure, MiB, QED_IMG, Results, WorkDir, must, read_file, run,
                     write_file)  # noqa: E402
from nbdkit import Nbdkit, wait_until  # noqa: E402

RATES = ("0%", "1%", "5%", "30%")
# Command words, in which IMAGE stands for the image; whether it writes out.raw.
COMMANDS = [
    (("convert", "-f", "qed", "-O", "raw", "IMAGE", "out.raw"), True),
    (("dd", "-f", "qed", "-O", "raw", "bs=1M", "if=IMAGE", "of=out.raw"), True),
    (("compare", "-f", "raw", "-F", "qed", "plain.raw", "IMAGE"), False),
    (("map", "-f", "qed", "--output", "json", "IMAGE"), False),
    (("info", "-f", "qed", "IMAGE"), False),
    (("check", "-f", "qed", "IMAGE"), False),
]


def prepare():
    """Make plain.raw, and image.qed with the same data: runs with gaps, so that many reads are
    needed."""
    data = bytearray(6 * MiB)
    for at in range(0, len(data), 192 << 10):
        data[at:at + (64 << 10)] = os.urandom(64 << 10)
    write_file("plain.raw", bytes(data))
    must(QED_IMG, "convert", "-O", "qed", "-o", "cluster_size=4096,table_size=2", "plain.raw", "image.qed")


def server(rate):
    return Nbdkit("--filter=error", "file", "image.qed", "error=EIO", "error-pread-rate=" + rate)


class Fuse:
    """The export as a file; a context manager that returns its name."""

    def __init__(self, export):
        self.name = "fuse.qed"
        self.export = export
        self.process = None

    def __enter__(self):
        write_file(self.name, b"")
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(["nbdfuse", "-r", self.name, self.export.url()],
                                        stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: os.path.getsize(self.name) or self.process.poll() is not None,
                       "nbdfuse")
            if self.process.poll() is not None:
                raise Failure("nbdfuse ended with %d" % self.process.returncode)
        except BaseException:
            self.__exit__()
            raise
        return self.name

    def __exit__(self, *unused):
        subprocess.call(["umount", self.name], stderr=subprocess.DEVNULL)
        if self.process.poll() is None:
            time.sleep(0.1)
            self.process.terminate()
        self.process.wait()


def judge(result, wanted, writes, image):
    if result.status < 0 or result.status > 100:
        raise Failure(str(result))
    if result.status:
        if not result.err.strip() and not result.out.strip():
            raise Failure("not a word: " + str(result))
        return 0
    if result.out.replace(image, "IMAGE") != wanted:
        raise Failure("status 0, and another output: " + str(result))
    if writes and read_file("out.raw") != read_file("plain.raw"):
        raise Failure("status 0, and another content: " + str(result))
    return 1


def expected(words, image):
    """Return the command's output without failing reads."""
    result = run(QED_IMG, *(word.replace("IMAGE", image) for word in words))
    if result.status:
        raise Failure(str(result))
    return result.out.replace(image, "IMAGE")


def try_image(image, rate, seen):
    """Run all commands on it.  @seen counts successes and failures."""
    for words, writes in COMMANDS:
        if "://" in image and words[0] == "check":
            continue
        key = (words, "://" in image)
        if rate == RATES[0]:
            seen[key] = expected(words, image)
        result = run(QED_IMG, *(word.replace("IMAGE", image) for word in words))
        seen["passed" if judge(result, seen[key], writes, image) else "failed"] += 1


def over_nbd(seen):
    for rate in RATES:
        with server(rate) as export:
            try_image(export.url(), rate, seen)


def over_fuse(seen):
    for rate in RATES:
        with server(rate) as export, Fuse(export) as name:
            try_image(name, rate, seen)


def some_of_both(results, name, function):
    seen = {"passed": 0, "failed": 0}

    def tried():
        function(seen)
        print("# %s: %d ended well, %d with an error" % (name, seen["passed"], seen["failed"]))
        if not seen["passed"] or not seen["failed"]:
            raise Failure("only one kind of end was seen")

    results.run(name, tried)


def why_no_fuse():
    if not shutil.which("nbdfuse"):
        return "no nbdfuse (run scripts/install-deps)"
    if os.geteuid():
        return "mounting needs root"
    return None if os.access("/dev/fuse", os.R_OK | os.W_OK) else "no /dev/fuse"


def main():
    results = Results()
    if not shutil.which("nbdkit"):
        results.skip("failing reads", "no nbdkit (run scripts/install-deps)")
        return results.status()
    with WorkDir():
        prepare()
        some_of_both(results, "failing reads over NBD", over_nbd)
        if why_no_fuse():
            results.skip("failing reads of a file", why_no_fuse())
        else:
            some_of_both(results, "failing reads of a file", over_fuse)
    return results.status()


if __name__ == "__main__":
    sys.exit(main())
