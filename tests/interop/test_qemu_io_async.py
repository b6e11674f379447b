#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# threads: yes
# timeout: 600
"""qemu-io and qed-io side by side: asynchronous requests, the order of the output, sessions on
standard input, exports, and an image that two programs open. side_by_side.py describes the
format of the lines."""

import os
import random
import re
import subprocess
import sys

import interop
import nbdkit
import side_by_side
from interop import Failure, must

# Several threads of QEMU do the requests of some commands, and their lines come in any order: those
# are compared sorted. All others have one order.

ORDERED = """
qemu-io -f qed -c 'aio_read 3M 1' -c length -c 'read 0 512' -c length a
qemu-io -f qed -c 'aio_read 3M 1' -c 'aio_write 3M 1' -c 'aio_write -z 3M 1' -c length -c aio_flush -c length a
qemu-io -f qed -c 'aio_read 3M 1' -c 'aio_read 4M 1' -c 'aio_read 0 0' -c length a
qemu-io -f qed -c 'aio_write 3M 1' -c quit -c length a
qemu-io -f qed -c 'aio_write 3M 1' -c close -c length a
qemu-io -f qed -c 'aio_write 3M 1' -c 'sleep 1' -c length a
qemu-io -f qed -c 'aio_write 3M 1' -c 'flush' -c length a
qemu-io -f qed -c 'aio_write 3M 1' -c 'foo' -c 'help x' -c 'alloc x' -c 'info' a
qemu-io -f qed -c 'aio_write 3M 1' -c 'reopen -r' -c length a
qemu-io -f qed -c 'aio_write 3M 1' -c 'reopen -c none' -c length a
qemu-io -f qed -c 'aio_read 0 64k' -c length -c aio_flush -c length a
qemu-io -f qed -c 'aio_read 0 64k' -c quit a
qemu-io -f qed -c 'aio_read -P 9 0 64k' -c length a
qemu-io -f qed -c 'aio_read -v 0 40' -c aio_flush -c 'aio_read -C 0 4k' -c aio_flush a
qemu-io -f qed -c 'aio_write -P 5 0 64k' -c aio_flush -c 'aio_read -P 5 0 64k' -c aio_flush -c aio_flush a
qemu-io -f qed -c 'aio_write -P 6 128k 64k' -c close -c 'open a' -c 'read -P 6 128k 64k' a
qemu-io -f qed -c 'aio_write -q -P 6 192k 64k' -c 'reopen -r' -c 'read -P 6 192k 64k' a
qemu-io -f raw -c 'aio_read 0 64k' -c 'length' -c 'aio_flush' base
qemu-io -f raw -c 'aio_write 4M 1' -c 'length' -c 'aio_flush' base
qemu-io -r -f raw -c 'aio_write 0 1' -c 'aio_read 0 512' -c 'length' base
qemu-io -c 'aio_flush' -c 'aio_read 0 1'
qemu-io -f qed -c 'aio_read -i 0 1' -c length -c 'aio_write -i 0 1' -c length a
"""

SORTED = """
qemu-io -f raw -c 'aio_write -P 6 0 4k' -c 'truncate 3M' -c 'read -P 1 64k 4k' base
qemu-io -f qed -c 'aio_read 0 64k' -c 'aio_read 64k 64k' -c 'aio_read 1M 64k' -c aio_flush a
qemu-io -f qed -c 'aio_write -P 1 0 64k' -c 'aio_write -P 2 64k 64k' -c 'aio_write -P 3 1M 64k' -c aio_flush a
qemu-io -f qed -c 'aio_write -P 1 0 64k' -c 'aio_read 512k 4k' -c 'aio_write 5M 1' -c 'aio_read 5M 1' a
qemu-io -f raw -c 'aio_write -P 1 0 64k' -c 'aio_write -z 64k 64k' -c 'aio_read 512k 64k' base
qemu-io -f qed -c 'aio_write -P 1 0 64k' -c 'write -P 2 64k 64k' -c 'aio_read 1M 64k' -c 'read -P 2 64k 64k' a
qemu-io -f qed -c 'aio_write -P 9 0 1M' -c 'aio_write -P 9 1M 1M' -c 'discard 64k 64k' a
"""

# Both streams in one file: standard output is written when its buffer is full, and at the end.
MERGED = """
qemu-io -f qed -c length -c foo -c length a
qemu-io -f qed -c 'read 0 512' -c 'read 0' -c 'open a' -c 'reopen -r -w' -c 'write 0 1' a
qemu-io -f qed -c length -c 'write -s nope 0 1' -c length -c 'write -s empty 0 1' -c 'reopen -o foo=1' a
qemu-io -f qed -r -c length -c 'write 0 1' -c 'read x 1' -c 'read 0x1k 1' a
qemu-io -f qed -c 'read -v 0 8k' -c foo a
qemu-io -c length -c 'help foo' -c 'foo'
qemu-io -c length nope
qemu-io -f qed -c length -c abort a
qemu-io -f qed -c length -c foo -c 'sigraise 15' a
"""

# Standard input; each entry is a session on image `a`.
SESSIONS = (
    "aio_read 3M 1\nlength\nlength\nquit\n",
    "aio_write 3M 1\n\n\nlength",
    "aio_read 0 64k\naio_flush\nlength\n",
    "foo\nlength\nread\nhelp nothing\nquit\nlength\n",
    "read -P 1 0 64k\nread -P 2 0 64k\nclose\nlength\nclose\nopen nope\nopen a\nlength\n",
    "reopen -r\nwrite 0 1\nreopen -w\nwrite -P 4 0 1\nread -P 4 0 1\n",
    "sleep 1\nlength\n\n   \n\tlength\nlength\t\n",
    "abort\n",
    "length\nsigraise 9\nlength\n",
    "length\r\nlength\n",
    "write 0 4k\nq\n",
    "q",
    "length\0foo\nlength\n",
)

# On an export; each entry is a list of commands.
EXPORT = (
    "-c length -c info -c map",
    "-c 'read -P 1 0 100k' -c 'read -P 0 100k 100k' -c 'read -v 102396 8'",
    "-c 'aio_read -P 1 0 64k' -c aio_flush -c 'readv -P 1 0 1k 1k'",
    "-c 'read 1M 1' -c 'read 1048575 2' -c 'alloc 0 1M' -c 'alloc 100k 4k'",
    "-c 'write 0 1' -c 'discard 0 1' -c 'truncate 1' -c 'flush' -c 'aio_write 0 1'",
    "-c 'reopen -r' -c 'read -P 1 0 4k' -c close -c length",
)


# On the same export, with a temporary image on top.
EXPORT_SNAPSHOT = (
    "-s -f raw -c 'write -P 9 0 4k' -c 'read -P 9 0 4k' -c 'read -P 1 4k 64k'",
)


def sorted_lines(side):
    return side[0], "\n".join(sorted(side[1].splitlines())), side[2]


def run_sorted(results, sides, title, lines):
    for number, line in enumerate(lines.strip().splitlines()):
        name = "qemu-io-%s-%02d (%s)" % (title, number, line)
        expected = sorted_lines(sides.theirs.run(line))
        got = sorted_lines(sides.ours.run(line))
        if expected == got:
            results.ok(name)
        else:
            results.not_ok(name, "QEMU: %s; ours: %s" % (side_by_side.show(expected),
                                                         side_by_side.show(got)))


def run_merged(results):
    with side_by_side.Sides() as sides:
        for number, line in enumerate(side_by_side.without_aborts(MERGED).strip().splitlines()):
            side_by_side.compare(results, "qemu-io-merged-%02d (%s)" % (number, line),
                                 sides.theirs, sides.ours, line, merged=True)


def run_sessions(results):
    for number, text in enumerate(SESSIONS):
        for merged in (False, True):
            with side_by_side.Sides() as sides:
                side_by_side.compare(results, "qemu-io-session-%d%s" % (
                    number, "-merged" * merged), sides.theirs, sides.ours, "qemu-io -f qed a",
                    text, merged)


# ---- Many requests ----


def storm(seed, count):
    """Return commands with @count requests in flight at once, which then verify what was written."""
    rng = random.Random(seed)
    blocks = list(range(512))  # of 4 KiB, all of the 2 MiB
    rng.shuffle(blocks)
    lines, expected = [], {}
    for i, block in enumerate(blocks[:count]):
        if i % 8 == 7:
            lines.append("aio_write -q -z %d 4k" % (block * 4096))
            expected[block] = 0
        else:
            expected[block] = rng.randrange(1, 256)
            lines.append("aio_write -q -P %d %d 1k 3k" % (expected[block], block * 4096))
    lines += ["aio_read -q 5M 4k"] * 20
    lines.append("aio_flush")
    lines += ["aio_read -q -P %d %d 4k" % (value, block * 4096)
              for block, value in sorted(expected.items())]
    lines.append("aio_flush")
    return lines


def check_storm(seed, arguments):
    with side_by_side.Sides() as sides:
        lines = storm(seed, 400)
        text = "".join(line + "\n" for line in lines)
        expected, got = (side.run("qemu-io %s flat" % arguments, text)
                         for side in (sides.theirs, sides.ours))
        if sorted_lines(expected) != sorted_lines(got):
            raise Failure("QEMU: %s; ours: %s" % (side_by_side.show(expected),
                                                  side_by_side.show(got)))
        if got[1].count("readv failed") != 20 or "Pattern" in got[1]:
            raise Failure(side_by_side.show(got))
        must("qemu-img", "compare", "theirs/flat", "ours/flat")
        interop.check_image("ours/flat")


def check_in_flight(seed, end):
    """All requests in flight complete, whatever ends the program."""
    with side_by_side.Sides() as sides:
        writes = [line for line in storm(seed, 300) if line.startswith("aio_write")]
        text = "".join(line + "\n" for line in writes) + end
        got = sides.ours.run("qemu-io -f qed flat", text)
        if got[0] or "failed" in got[1]:
            raise Failure(side_by_side.show(got))
        sides.theirs.run("qemu-io -f qed flat", text)
        must("qemu-img", "compare", "theirs/flat", "ours/flat")
        interop.check_image("ours/flat")


# ---- Exports ----


def compare_export(results, name, words, url):
    with side_by_side.Sides() as sides:
        side_by_side.compare(results, "qemu-io-export-" + name, sides.theirs, sides.ours,
                             "qemu-io %s %s" % (words, url))


def run_exports(results):
    if not nbdkit.have_nbdkit():
        results.skip("qemu-io-export", "nbdkit is not installed")
        return
    with nbdkit.Nbdkit("file", "template/base", options=("-r",)) as server:
        # Both sides run in directories of their own.
        url = server.url().replace("socket=", "socket=../")
        for number, words in enumerate(EXPORT):
            for extra in ("-r -f raw", "-r", "-r -f nbd"):
                compare_export(results, "%d %s" % (number, extra), extra + " " + words, url)
        for number, words in enumerate(EXPORT_SNAPSHOT):
            compare_export(results, "snapshot-%d" % number, words, url)


# ---- Times ----

REPORT = re.compile(r"(?:(\d+):(\d\d):)?(\d\d\.\d\d)(?: sec)? \(([0-9.]+) (?:([KMG]i)?B|bytes)/sec "
                    r"and ([0-9.]+) ops/sec\)")


def check_times(program, uri, seconds):
    """The time, the bytes per second and the requests per second on a line agree."""
    out = must(program, "-r", "-f", "raw", "-c", "read 0 64k", uri).out
    match = REPORT.search(out)
    if not match:
        raise Failure("no report in %r" % out)
    hours, minutes, rest, rate, unit, ops = match.groups()
    exact = 1 / float(ops)
    # Requests per second have four digits.
    known_to = exact * exact * 1e-4
    if abs(exact - 1) > known_to and bool(hours) != (exact >= 1):
        raise Failure("hours only from a second on: %r" % out)
    shown = 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(rest)
    scale = {None: 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}[unit]
    # Rounded to hundredths, not truncated.
    if exact < seconds - known_to or abs(shown - exact) > 0.005 + known_to:
        raise Failure("%s is not %s seconds: %r" % (shown, exact, out))
    if abs(float(rate) * scale * exact / 65536 - 1) > 0.001:
        raise Failure("%s times %s is not 64 KiB: %r" % (rate, exact, out))


def run_times(results):
    if not nbdkit.have_nbdkit():
        results.skip("qemu-io-times", "nbdkit is not installed")
        return
    for delay in (18, 996, 1237):
        with nbdkit.Nbdkit("--filter=delay", "file", "template/base",
                           "rdelay=%dms" % delay) as server:
            for program in ("qemu-io", interop.QED_IO):
                results.run("qemu-io-times-%s-%d" % (os.path.basename(program), delay),
                            check_times, program, server.url(), delay / 1000)


# ---- Two programs, one image ----


class Holder:
    """A program that holds an image open until `with` ends."""

    def __init__(self, side, *arguments):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [side.programs["qemu-io"], *arguments], cwd=side.directory, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.process.stdin.write(b"length\n")
        self.process.stdin.flush()
        out = b""
        while b"B\n" not in out:
            chunk = os.read(self.process.stdout.fileno(), 4096)
            if not chunk:
                raise Failure("the holder died: %s" % self.process.stderr.read())
            out += chunk

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.communicate(b"quit\n", timeout=interop.TIMEOUT)


HELD = (
    (("-f", "qed", "a"), "-f qed -c 'read 0 1' a"),
    (("-f", "qed", "a"), "-r -f qed -c 'read 0 1' a"),
    (("-f", "qed", "a"), "-r -U -f qed -c 'read 0 1' a"),
    (("-r", "-f", "qed", "a"), "-r -f qed -c 'read 0 1' a"),
    (("-r", "-f", "qed", "a"), "-f qed -c 'write 0 1' a"),
    (("-r", "-f", "qed", "a"), "-f qed -c 'read 0 1' top"),
    (("-f", "qed", "top"), "-r -f qed -c 'read 0 1' a"),
    (("-f", "qed", "top"), "-f qed -c 'read 0 1' a"),
    (("-s", "-f", "qed", "a"), "-r -f qed -c 'read 0 1' a"),
    (("-s", "-f", "qed", "a"), "-f qed -c 'read 0 1' a"),
)


def run_held(results):
    for number, (holder, words) in enumerate(HELD):
        with side_by_side.Sides() as sides:
            got = []
            for side in (sides.theirs, sides.ours):
                with Holder(side, *holder):
                    got.append(side.run("qemu-io " + words))
        name = "qemu-io-held-%d (%s; %s)" % (number, " ".join(holder), words)
        if got[0] == got[1]:
            results.ok(name)
        else:
            results.not_ok(name, "QEMU: %s; ours: %s" % tuple(got))


def main(results):
    seed = interop.seed_from(sys.argv)
    if not side_by_side.need_reference(results, "qemu-io-async"):
        return
    side_by_side.make_template()
    side_by_side.run_list(results, "qemu-io-ordered", ORDERED, ("a",))
    with side_by_side.Sides() as sides:
        run_sorted(results, sides, "sorted", SORTED)
        side_by_side.compare_images(results, "qemu-io-sorted", "base")
    run_merged(results)
    run_sessions(results)
    for arguments in ("-f qed", "-f qed -n", "-f qed -t writethrough"):
        results.run("qemu-io-storm (%s)" % arguments, check_storm, seed, arguments)
    for end in ("close\n", "quit\n", "", "reopen -r\n", "close\nopen -o driver=qed flat\nlength\n"):
        results.run("qemu-io-in-flight %r" % end, check_in_flight, seed, end)
    run_exports(results)
    run_times(results)
    run_held(results)


interop.main(main)
