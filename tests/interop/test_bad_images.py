#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
"""Damaged and forbidden images: each gets one error line that names the file and the reason, exit
status 1, and is not modified."""

import hashlib
import os
import signal
import struct
import subprocess

import interop
from interop import Failure, GiB, KiB, MiB, must

IMAGE_SIZE = 8 * MiB
CLUSTER = 64 * KiB


def make_image(name="bad.qed", options="cluster_size=64k,table_size=4", backing=None):
    command = [interop.QED_IMG, "create", "-q", "-f", "qed", "-o", options]
    if backing:
        command += ["-u", "-b", backing, "-F", "raw"]
    must(*command, name, str(IMAGE_SIZE))
    if not backing:
        must(interop.QED_IO, "-f", "qed", "-c", "write -q -P 5 0 4k", "-c",
             "write -q -P 6 1M 64k", name)


def digest(name):
    if os.path.isdir(name):
        return "directory"
    return hashlib.sha256(interop.read_file(name)).hexdigest()


# Commands that open an image, for reading and for writing; {} is the image's name.
READERS = (
    (interop.QED_IMG, "info", "-f", "qed", "{}"),
    (interop.QED_IMG, "check", "-f", "qed", "{}"),
    (interop.QED_IMG, "map", "-f", "qed", "{}"),
    (interop.QED_IMG, "convert", "-f", "qed", "-O", "raw", "{}", "out.raw"),
    (interop.QED_IO, "-r", "-f", "qed", "-c", "read 0 4k", "{}"),
)
WRITERS = (
    (interop.QED_IMG, "check", "-r", "all", "-f", "qed", "{}"),
    (interop.QED_IO, "-f", "qed", "-c", "read 0 4k", "{}"),
)


if interop.SANITIZE:
    # Programs start slowly with sanitizers; one command of each sort covers the same code.
    READERS, WRITERS = READERS[2:4], WRITERS[1:]


def reasons(result):
    """Return the lines on standard error, without qemu-img's question for another process that uses
    the image."""
    return [line for line in result.err.splitlines()
            if not line.startswith("Is another process using the image [")]


def refuse(command, name, words, prefix=()):
    """Require one line on standard error with the file's name and one of @words, and status 1."""
    result = interop.run(*prefix, *(part.replace("{}", name) for part in command))
    lines = reasons(result)
    if result.status != 1:
        raise Failure("status is not 1: %s" % result)
    if len(lines) != 1:
        raise Failure("%d lines on standard error: %s" % (len(lines), result))
    if os.path.basename(name) not in lines[0]:
        raise Failure("the line does not name %s: %s" % (name, result))
    if not any(word.lower() in lines[0].lower() for word in words):
        raise Failure("the line has none of %s: %s" % (", ".join(words), result))


def check_refused(name, words, commands=READERS + WRITERS, prefix=()):
    before = digest(name) if os.path.exists(name) else None
    for command in commands:
        refuse(command, name, words, prefix)
    if before and digest(name) != before:
        raise Failure("%s was changed" % name)


# ---- Headers ----

def damage_header(fields, words, commands=READERS + WRITERS):
    make_image()
    interop.write_header("bad.qed", **fields)
    check_refused("bad.qed", words, commands)


HEADERS = {
    "magic": ({"magic": b"QEE\0"}, ["QED"]),
    "magic-zero": ({"magic": b"\0\0\0\0"}, ["QED"]),
    "cluster-size-zero": ({"cluster_size": 0}, ["cluster size"]),
    "cluster-size-small": ({"cluster_size": 2048}, ["cluster size"]),
    "cluster-size-odd": ({"cluster_size": 65535}, ["cluster size"]),
    "cluster-size-large": ({"cluster_size": 1 << 27}, ["cluster size"]),
    "table-size-zero": ({"table_size": 0}, ["table size"]),
    "table-size-odd": ({"table_size": 3}, ["table size"]),
    "table-size-large": ({"table_size": 32}, ["table size"]),
    "header-size-zero": ({"header_size": 0}, ["header"]),
    "header-size-huge": ({"header_size": 0xffffffff}, ["header", "L1"]),
    "feature-unknown": ({"features": 1 << 3}, ["feature"]),
    "feature-top-bit": ({"features": 1 << 63}, ["incomplete"]),
    "l1-outside": ({"l1_table_offset": 1 << 40}, ["L1"]),
    "l1-at-end": ({"l1_table_offset": 16 * MiB}, ["L1"]),
    "l1-zero": ({"l1_table_offset": 0}, ["L1"]),
    "l1-misaligned": ({"l1_table_offset": CLUSTER + 512}, ["L1"]),
    "l1-wraps": ({"l1_table_offset": (1 << 64) - CLUSTER}, ["L1"]),
    "size-not-sectors": ({"image_size": IMAGE_SIZE + 1}, ["size"]),
    "size-too-large": ({"image_size": 1 << 50}, ["size"]),
    "size-largest": ({"image_size": (1 << 64) - 512}, ["size"]),
    "backing-name-outside": ({"features": 1, "backing_filename_offset": CLUSTER - 4,
                              "backing_filename_size": 64}, ["backing"]),
    "backing-name-wraps": ({"features": 1, "backing_filename_offset": 0xffffffff,
                            "backing_filename_size": 2}, ["backing"]),
    "backing-name-huge": ({"features": 1, "backing_filename_offset": 64,
                           "backing_filename_size": 0x7fffffff}, ["backing"]),
}


# ---- Files ----

def truncated_header():
    make_image()
    os.truncate("bad.qed", 40)
    check_refused("bad.qed", ["QED"])


def truncated_before_l1():
    make_image()
    os.truncate("bad.qed", CLUSTER)
    check_refused("bad.qed", ["L1"])


def empty_file():
    interop.write_file("bad.qed", b"")
    check_refused("bad.qed", ["QED"])


def directory():
    os.mkdir("bad.qed")
    check_refused("bad.qed", ["directory", "to be a regular file"])
    os.rmdir("bad.qed")


def fifo():
    os.mkfifo("bad.qed")
    for command in READERS + WRITERS:
        refuse(command, "bad.qed", ["not a regular file"])
    os.unlink("bad.qed")


def missing():
    check_refused("missing.qed", ["No such file"])
    if os.path.exists("missing.qed"):
        raise Failure("missing.qed was made")


def no_permission(results):
    name = "bad-images-no-permission"
    if os.geteuid():
        os.chmod(".", 0o755)
        make_image()
        os.chmod("bad.qed", 0)
        results.run(name, check_refused, "bad.qed", ["Permission denied"])
        os.chmod("bad.qed", 0o600)
        return
    # Root may read everything, so another user runs the command; that user must reach this
    # directory.
    os.chmod(".", 0o755)
    prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    if interop.run(*prefix, interop.QED_IMG, "--version").status:
        results.skip(name, "another user cannot run the programs here")
        return
    make_image()
    os.chmod("bad.qed", 0o600)
    results.run(name, check_refused, "bad.qed", ["Permission denied"],
                tuple(c for c in READERS if "convert" not in c) + WRITERS, prefix)
    os.chmod("bad.qed", 0o644)
    results.run(name + "-to-write", check_refused, "bad.qed", ["Permission denied"], WRITERS,
                prefix)


# ---- Chains ----

# `info` opens one image only.
CHAIN_READERS = tuple(command for command in READERS if "info" not in command) + (
    (interop.QED_IMG, "info", "--backing-chain", "{}"),)


def name_for_a_terminal():
    """A backing file's name is printed in one line and without control characters."""
    make_image(backing="none\nqed-img: all is well\x1b[2J\xc2\x9b1m.raw")
    for command in READERS[2:]:
        result = interop.run(*(word.format("bad.qed") for word in command))
        if result.status != 1 or result.err.count("\n") != 1 or "\x1b" in result.err or \
                "none\\x0aqed-img" not in result.err:
            raise Failure("%s: %r" % (command, result.err))
    out = must(interop.QED_IMG, "info", "-f", "qed", "bad.qed").out
    if "\x1b" in out or not any(line.startswith("backing file: none\\x0aqed-img:")
                               for line in out.splitlines()):
        raise Failure("info: %r" % out)
    os.rename("bad.qed", "a\x1b[2Jb.qed")
    for verb in "info", "map":
        out = must(interop.QED_IMG, verb, "-f", "raw", "a\x1b[2Jb.qed").out
        if "\x1b" in out or "a\\x1b[2Jb.qed" not in out:
            raise Failure("%s: %r" % (verb, out))


def missing_backing():
    make_image(backing="gone.raw")
    for command in CHAIN_READERS + WRITERS:
        # `info` walks the chain image by image, and names the missing one.
        command = tuple(part.replace("{}", "bad.qed") for part in command)
        refuse(command, "gone.raw", ["No such file"])


def backing_is_directory():
    os.mkdir("dir.raw")
    make_image(backing="dir.raw")
    check_refused("bad.qed", ["dir.raw"], CHAIN_READERS[:-1] + WRITERS)
    os.rmdir("dir.raw")


def backing_loop(length):
    names = ["loop%d.qed" % i for i in range(length)]
    for i, name in enumerate(names):
        make_image(name, backing="./" + names[(i + 1) % length])
        # Without "never probe", the backing file is probed: all images of the chain are QED.
        interop.write_header(name, features=interop.F_BACKING)
    for command in CHAIN_READERS[:-1] + WRITERS:
        refuse(command, "loop0.qed", ["loop"])
    refuse(CHAIN_READERS[-1], "loop0.qed", ["loop"])
    for name in names:
        os.unlink(name)


def corrupt_backing():
    make_image("base.qed")
    interop.write_header("base.qed", table_size=5)
    make_image(backing="base.qed")
    interop.write_header("bad.qed", features=interop.F_BACKING)
    for command in CHAIN_READERS[:-1] + WRITERS:
        refuse(command, "base.qed", ["table size"])
    os.unlink("base.qed")


# ---- Damage in tables ----

def bad_l2_entry(value):
    """The image opens; a request that uses the entry fails with that error, and writes nothing."""
    make_image()
    interop.poke64("bad.qed", interop.l2_entry_offset("bad.qed", 16), value)
    before = digest("bad.qed")
    for command, status, text in (
            ((interop.QED_IO, "-r", "-f", "qed", "-c", "read 1M 4k", "bad.qed"), 1, "read failed"),
            ((interop.QED_IO, "-f", "qed", "-c", "read 1M 4k", "bad.qed"), 1, "read failed"),
            ((interop.QED_IO, "-f", "qed", "-c", "write 1M 4k", "bad.qed"), 1, "write failed"),
            ((interop.QED_IO, "-f", "qed", "-c", "discard 1M 64k", "bad.qed"), 1, "discard failed"),
            ((interop.QED_IMG, "check", "bad.qed"), 2, "1 errors were found"),
            ((interop.QED_IMG, "convert", "-O", "raw", "bad.qed", "out.raw"), 1, "error while")):
        result = interop.run(*command)
        if result.status != status or text not in result.out + result.err:
            raise Failure("expected status %d and '%s': %s" % (status, text, result))
    if digest("bad.qed") != before:
        raise Failure("the image was changed")


def bad_l1_entry(value):
    make_image()
    interop.poke64("bad.qed", interop.read_header("bad.qed")["l1_table_offset"], value)
    before = digest("bad.qed")
    for command in ((interop.QED_IO, "-r", "-f", "qed", "-c", "read 1M 4k", "bad.qed"),
                    (interop.QED_IO, "-f", "qed", "-c", "write 1M 4k", "bad.qed"),
                    (interop.QED_IMG, "convert", "-O", "raw", "bad.qed", "out.raw")):
        result = interop.run(*command)
        if result.status != 1:
            raise Failure("expected status 1: %s" % result)
    result = interop.run(interop.QED_IMG, "check", "bad.qed")
    if result.status != 2:
        raise Failure("expected status 2: %s" % result)
    if digest("bad.qed") != before:
        raise Failure("the image was changed")


def unused_l1_entry():
    """An entry beyond the image's size is checked too: growing the image would use it."""
    make_image()
    l1 = interop.read_header("bad.qed")["l1_table_offset"]
    interop.poke64("bad.qed", l1 + 8 * 100, 1 << 40)
    result = interop.run(interop.QED_IMG, "check", "bad.qed")
    if result.status != 2:
        raise Failure("expected status 2: %s" % result)


# ---- Others ----

def in_use(reader_allowed, *holder):
    """Open the image with the command @holder; other commands are refused or allowed meanwhile."""
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b"length\n")
        process.stdin.flush()
        process.stdout.readline()
        try:
            if not reader_allowed:
                check_refused("bad.qed", ["lock"], READERS)
            check_refused("bad.qed", ["lock"], WRITERS)
            before = digest("bad.qed")
            refuse((interop.QED_IMG, "create", "-q", "-f", "qed", "{}", "1M"), "bad.qed", ["lock"])
            refuse((interop.QED_IMG, "create", "-q", "-f", "raw", "{}", "1M"), "bad.qed", ["lock"])
            interop.write_file("source.raw", bytes(KiB))
            refuse((interop.QED_IMG, "convert", "-O", "raw", "source.raw", "{}"), "bad.qed",
                   ["lock"])
            if digest("bad.qed") != before:
                raise Failure("the image was changed")
            must(interop.QED_IMG, "info", "-U", "bad.qed")
        finally:
            process.stdin.close()
            process.wait(interop.TIMEOUT)
    must(interop.QED_IMG, "check", "-r", "all", "bad.qed")


def in_use_by_us():
    make_image()
    in_use(False, interop.QED_IO, "-f", "qed", "bad.qed")


def in_use_by_our_reader():
    make_image()
    in_use(True, interop.QED_IO, "-r", "-f", "qed", "bad.qed")


def in_use_by_qemu():
    make_image()
    in_use(False, "qemu-io", "-f", "qed", "bad.qed")


def refused_to_qemu():
    """The other direction: QEMU's programs respect our locks."""
    make_image()
    with interop.QedIo("-f", "qed", "bad.qed") as io:
        io.do("length")
        for command in (("qemu-img", "info", "bad.qed"),
                        ("qemu-io", "-f", "qed", "-c", "read 0 4k", "bad.qed")):
            result = interop.run(*command)
            if result.status != 1 or "lock" not in result.err:
                raise Failure("not refused: %s" % result)
        io.quit()
    must("qemu-img", "info", "bad.qed")


def lock_ends_with_death():
    make_image()
    with interop.QedIo("-f", "qed", "bad.qed") as io:
        io.do("length")
        io.process.send_signal(signal.SIGKILL)
        io.process.wait()
    must(interop.QED_IO, "-f", "qed", "-c", "write -q 0 4k", "bad.qed")


def convert_onto_itself():
    make_image()
    before = digest("bad.qed")
    result = interop.run(interop.QED_IMG, "convert", "-O", "qed", "bad.qed", "bad.qed")
    if result.status != 1 or len(reasons(result)) != 1:
        raise Failure("not refused in one line: %s" % result)
    if digest("bad.qed") != before:
        raise Failure("the image was changed")


def guessed_raw_stays_raw():
    """A write to a raw image with a probed format must not make it an image of another format."""
    interop.write_file("guest.raw", bytes(MiB))
    interop.write_file("header", struct.pack("<4sI", b"QED\0", 65536) + bytes(504))
    interop.write_file("qcow2", b"QFI\xfb" + bytes(508))
    for source in ("header", "qcow2"):
        for where, length in (("0", "512"), ("0", "4k"), ("0", "4")):
            result = interop.run(interop.QED_IO, "-c", "write -s %s %s %s" % (source, where, length),
                                 "guest.raw")
            if result.status != 1 or "write failed: Operation not permitted" not in result.out:
                raise Failure("not refused: %s" % result)
    if interop.read_file("guest.raw") != bytes(MiB):
        raise Failure("the image was changed")
    # Other data may be written there, and any data if the format was given.
    must(interop.QED_IO, "-c", "write -q -P 7 0 4k", "guest.raw")
    must(interop.QED_IO, "-f", "raw", "-c", "write -q -s header 0 512", "guest.raw")


def absurd_but_legal():
    """A header that allows large tables is served with little memory."""
    make_image(options="cluster_size=64M,table_size=16")
    must(interop.QED_IMG, "check", "bad.qed")
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "bad.qed", str(60 * 1024 * GiB))
    must(interop.QED_IO, "-f", "qed", "-c", "write -q %d 64k" % (59 * 1024 * GiB), "bad.qed")
    must(interop.QED_IMG, "check", "bad.qed")


def clean():
    for name in os.listdir("."):
        if os.path.isdir(name):
            os.rmdir(name)
        else:
            os.unlink(name)


def main(results):
    def case(name, function, *args):
        results.run("bad-images-" + name, function, *args)
        clean()

    for name, (fields, words) in HEADERS.items():
        case(name, damage_header, fields, words)
    for function in (truncated_header, truncated_before_l1, empty_file, directory, fifo, missing,
                     missing_backing, name_for_a_terminal, backing_is_directory, corrupt_backing, unused_l1_entry,
                     in_use_by_us, in_use_by_our_reader, lock_ends_with_death, convert_onto_itself,
                     guessed_raw_stays_raw, absurd_but_legal):
        case(function.__name__.replace("_", "-"), function)
    no_permission(results)
    clean()
    for length in (1, 2, 5):
        case("backing-loop-of-%d" % length, backing_loop, length)
    for name, value in (("outside", 1 << 40), ("misaligned", 8 * CLUSTER + 512), ("odd", 3),
                        ("header", CLUSTER // 2), ("top-bit", 1 << 63)):
        case("l2-entry-" + name, bad_l2_entry, value)
        case("l1-entry-" + name, bad_l1_entry, value)
    if interop.need_qemu(results, "bad-images-qemu"):
        case("in-use-by-qemu", in_use_by_qemu)
        case("refused-to-qemu", refused_to_qemu)


interop.main(main)
