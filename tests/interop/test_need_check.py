#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""Images that were not closed cleanly, and damage that a check repairs: NEED_CHECK, leaks, bad
entries, and the three sorts of feature bits."""

import os
import shutil

import interop
from interop import Failure, KiB, MiB, must, run

CLUSTER = 64 * KiB
SIZE = 8 * MiB
IMAGE = "image.qed"
UNKNOWN = 1 << 20


def make():
    """Clusters 0, 1 and 16 hold 5, 5 and 6; cluster 2 is a zero cluster."""
    must(interop.QED_IMG, "create", "-q", "-f", "qed", IMAGE, str(SIZE))
    must(interop.QED_IO, "-f", "qed", "-c", "write -q -P 5 0 128k", "-c", "write -q -z 128k 64k",
         "-c", "write -q -P 6 1M 64k", IMAGE)


def read_back(corrupt=()):
    """Require the data that make() wrote; clusters @corrupt read as zeroes."""
    for cluster, value in ((0, 5), (1, 5), (2, 0), (3, 0), (16, 6)):
        value = 0 if cluster in corrupt else value
        must(interop.QED_IO, "-r", "-f", "qed", "-c",
             "read -q -P %d %d 64k" % (value, cluster * CLUSTER), IMAGE)


def leak(clusters):
    os.truncate(IMAGE, os.path.getsize(IMAGE) + clusters * CLUSTER)


def set_need_check():
    interop.write_header(IMAGE, features=interop.read_header(IMAGE)["features"] |
                         interop.F_NEED_CHECK)


def needs_check():
    return bool(interop.read_header(IMAGE)["features"] & interop.F_NEED_CHECK)


def claim(truth, what):
    if not truth:
        raise Failure(what)


def expect(status, text, *command):
    result = run(*command)
    claim(result.status == status and text in result.out,
          "expected status %d and '%s': %s" % (status, text, result))
    return result


def check(status, text, *extra):
    return expect(status, text, interop.QED_IMG, "check", *extra, IMAGE)


CLEAN = "No errors were found on the image."


# ---- NEED_CHECK ----

def opened_for_writing():
    make()
    leak(3)
    set_need_check()
    must(interop.QED_IO, "-f", "qed", "-c", "read -q -P 5 0 128k", IMAGE)
    claim(not needs_check(), "NEED_CHECK is still set")
    read_back()
    interop.check_image(IMAGE)


def opened_for_reading():
    make()
    leak(3)
    set_need_check()
    before = interop.read_file(IMAGE)
    read_back()
    must(interop.QED_IMG, "info", IMAGE)
    check(3, "3 leaked clusters")
    claim(interop.read_file(IMAGE) == before, "the image was changed")


def told_by_info():
    make()
    set_need_check()
    result = must(interop.QED_IMG, "info", IMAGE)
    claim("cleanly shut down: no" in result.out, "info does not tell: %s" % result)
    result = must(interop.QED_IMG, "info", "--output=json", IMAGE)
    claim('"dirty-flag": true' in result.out, "info does not tell: %s" % result)


def damaged_when_opened():
    """The reason for NEED_CHECK: an entry written before the cluster that it points to."""
    make()
    interop.poke64(IMAGE, interop.l2_entry_offset(IMAGE, 16), 1 << 40)
    set_need_check()
    must(interop.QED_IO, "-f", "qed", "-c", "read -q -P 5 0 128k", "-c", "read -q -P 0 1M 64k",
         "-c", "write -q -P 9 2M 64k", IMAGE)
    claim(not needs_check(), "NEED_CHECK is still set")
    read_back(corrupt=(16,))
    interop.check_image(IMAGE)


def cleared_by_repair():
    make()
    set_need_check()
    must(interop.QED_IMG, "check", "-r", "all", IMAGE)
    claim(not needs_check(), "NEED_CHECK is still set")


def never_set_by_us():
    """A killed writer leaves leaks at most; the image needs no check."""
    make()
    with interop.QedIo("-f", "qed", IMAGE) as io:
        io.quiet("write -q -P 7 3M 1M", "flush", "write -q -P 8 4M 1M")
        claim(not needs_check(), "NEED_CHECK is set")
        io.process.kill()
        io.process.wait()
    claim(not needs_check(), "NEED_CHECK is set")
    leaks, wrong = interop.scan(IMAGE)
    claim(not wrong, "; ".join(wrong))
    read_back()
    must(interop.QED_IO, "-r", "-f", "qed", "-c", "read -q -P 7 3M 1M", IMAGE)
    if leaks:
        check(3, "%d leaked clusters" % leaks)
    must(interop.QED_IMG, "check", "-r", "leaks", IMAGE)
    interop.check_image(IMAGE)
    read_back()


# ---- Repairing ----

def leaks():
    make()
    leak(2)
    check(3, "2 leaked clusters")
    expect(3, "", interop.QED_IMG, "check", "-q", IMAGE)
    expect(3, '"leaks": 2', interop.QED_IMG, "check", "--output=json", IMAGE)
    result = check(0, CLEAN, "-r", "leaks")
    claim("    2 leaked clusters\n    0 corruptions\n" in result.out, str(result))
    check(0, CLEAN)
    read_back()
    interop.check_image(IMAGE)


def leak_in_the_middle():
    make()
    interop.poke64(IMAGE, interop.l2_entry_offset(IMAGE, 0), 0)
    check(3, "1 leaked clusters")
    check(0, CLEAN, "-r", "leaks")
    read_back(corrupt=(0,))
    interop.check_image(IMAGE)


def leaks_only():
    """-r leaks repairs leaks and nothing else."""
    make()
    leak(2)
    interop.poke64(IMAGE, interop.l2_entry_offset(IMAGE, 16), 1 << 40)
    before = interop.peek64(IMAGE, interop.l2_entry_offset(IMAGE, 16))
    result = check(2, "1 errors were found", "-r", "leaks")
    claim(interop.peek64(IMAGE, interop.l2_entry_offset(IMAGE, 16)) == before,
          "the entry was changed: %s" % result)
    check(0, CLEAN, "-r", "all")
    read_back(corrupt=(16,))
    interop.check_image(IMAGE)


def bad_entry(value):
    make()
    interop.poke64(IMAGE, interop.l2_entry_offset(IMAGE, 16), value)
    check(2, "1 errors were found")
    expect(2, "", interop.QED_IMG, "check", "-q", IMAGE)
    result = check(0, CLEAN, "-r", "all")
    claim("1 corruptions" in result.out, str(result))
    read_back(corrupt=(16,))
    interop.check_image(IMAGE)


def shared_cluster():
    """Two guest clusters share a host cluster: each gets a copy with the same bytes."""
    make()
    shared = interop.peek64(IMAGE, interop.l2_entry_offset(IMAGE, 0))
    interop.poke64(IMAGE, interop.l2_entry_offset(IMAGE, 20), shared)
    check(2, "1 errors were found")
    check(0, CLEAN, "-r", "all")
    read_back()
    must(interop.QED_IO, "-f", "qed", "-c", "write -q -P 9 %d 64k" % (20 * CLUSTER), IMAGE)
    read_back()
    interop.check_image(IMAGE)


def data_over_table():
    """An entry that points into the L2 table: a write through it would destroy the table."""
    make()
    table = interop.peek64(IMAGE, interop.read_header(IMAGE)["l1_table_offset"])
    interop.poke64(IMAGE, interop.l2_entry_offset(IMAGE, 20), table)
    check(2, "errors were found")
    check(0, CLEAN, "-r", "all")
    interop.check_image(IMAGE)
    read_back()


def bad_table():
    make()
    interop.poke64(IMAGE, interop.read_header(IMAGE)["l1_table_offset"], 1 << 40)
    check(2, "errors were found")
    check(0, CLEAN, "-r", "all")
    interop.check_image(IMAGE)
    must(interop.QED_IO, "-r", "-f", "qed", "-c", "read -q -P 0 0 8M", IMAGE)


def qemu_repairs_ours():
    make()
    leak(2)
    interop.poke64(IMAGE, interop.l2_entry_offset(IMAGE, 16), 1 << 40)
    result = run("qemu-img", "check", "-f", "qed", "-r", "all", IMAGE)
    claim(result.status in (0, 3), str(result))
    must(interop.QED_IMG, "check", "-r", "leaks", IMAGE)
    interop.check_image(IMAGE)
    read_back(corrupt=(16,))


def not_checkable():
    interop.write_file("plain.raw", bytes(MiB))
    expect(63, "", interop.QED_IMG, "check", "plain.raw")


# ---- Feature bits ----

def autoclear():
    make()
    interop.write_header(IMAGE, autoclear_features=UNKNOWN | 1)
    before = interop.read_file(IMAGE)
    read_back()
    claim(interop.read_file(IMAGE) == before, "changed when opened for reading")
    must(interop.QED_IO, "-f", "qed", "-c", "read -q 0 4k", IMAGE)
    claim(interop.read_header(IMAGE)["autoclear_features"] == 0, "not cleared")
    read_back()


def autoclear_by_check():
    """A repair writes to the image, too."""
    make()
    interop.write_header(IMAGE, autoclear_features=UNKNOWN | 1)
    with open(IMAGE, "ab") as f:
        f.write(bytes(64 * 1024))
    must(interop.QED_IMG, "check", "-q", "-r", "leaks", IMAGE)
    claim(interop.read_header(IMAGE)["autoclear_features"] == 0, "not cleared")
    read_back()


def compatible():
    make()
    interop.write_header(IMAGE, compat_features=UNKNOWN | 1)
    must(interop.QED_IO, "-f", "qed", "-c", "write -q -P 5 0 128k", "-c", "truncate 9M", IMAGE)
    must(interop.QED_IMG, "check", "-r", "all", IMAGE)
    claim(interop.read_header(IMAGE)["compat_features"] == UNKNOWN | 1, "not kept")
    read_back()


def never_probe():
    """A raw backing file that looks like QED stays raw."""
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "inner.qed", "1M")
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "-b", "inner.qed", "-F", "raw", IMAGE)
    header = interop.read_header(IMAGE)
    claim(header["features"] == interop.F_BACKING | interop.F_NO_PROBE,
          "features are %#x" % header["features"])
    claim(header["image_size"] == os.path.getsize("inner.qed"), "the size is not the file's")
    must(interop.QED_IO, "-r", "-f", "qed", "-c", "read -q -P 0x51 0 1", IMAGE)
    # Without the bit the format is probed.
    interop.write_header(IMAGE, features=interop.F_BACKING)
    must(interop.QED_IO, "-r", "-f", "qed", "-c", "read -q -P 0 0 4k", IMAGE)


CASES = (opened_for_writing, opened_for_reading, told_by_info, damaged_when_opened,
         cleared_by_repair, never_set_by_us, leaks, leak_in_the_middle, leaks_only,
         shared_cluster, data_over_table, bad_table, not_checkable, autoclear, autoclear_by_check,
         compatible, never_probe)
BAD_ENTRIES = (("outside", 1 << 40), ("misaligned", 8 * CLUSTER + 512), ("odd", 7),
               ("header", 0x800), ("top-bit", 1 << 63))


def main(results):
    def case(name, function, *args):
        os.mkdir("case")
        os.chdir("case")
        results.run("need-check-" + name, function, *args)
        os.chdir("..")
        shutil.rmtree("case")

    for function in CASES:
        case(function.__name__.replace("_", "-"), function)
    for name, value in BAD_ENTRIES:
        case("bad-entry-" + name, bad_entry, value)
    if interop.need_qemu(results, "need-check-qemu"):
        case("qemu-repairs-ours", qemu_repairs_ours)


interop.main(main)
