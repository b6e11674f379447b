# SPDX-License-Identifier: GPL-2.0
"""Rows about writes of zeroes, in the virtual machine: over the linear target, with zero detection
in the server, and with detection in the kernel's qed target."""

import mmap
import os
import subprocess
import time

import rows_vm
from harness import BUILD, MiB, QEDCTL, ROOT, AtMost, Broken, run

MIB = 1024
# In data that is half zero, pieces of this size alternate.
PIECE = 256 << 10
OPTIONS = {
    "linear": ("--target", "linear"),
    "server": ("--target", "linear", "--detect-zeroes", "on"),
    "kernel": ("--target", "qed", "--detect-zeroes", "on"),
}


def module_path():
    return os.path.join(BUILD, "modules", os.uname().release, "dm-qed.ko")


def build_module():
    """Run on the host, before the boot."""
    done = subprocess.run([os.path.join(ROOT, "tests/vm/build-module")], check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return done.returncode == 0


def load_module():
    if "dm_qed" not in run("lsmod"):
        run("insmod", module_path())


def write(chunk):
    """Write MIB of @chunk, repeated, in requests of 1 MiB; return the seconds until durable."""
    fd = os.open("/dev/mapper/bench-zero", os.O_WRONLY | os.O_DIRECT)
    try:
        start = time.monotonic()
        for _ in range(MIB):
            if os.write(fd, chunk) != MiB:
                raise Broken("short write")
        os.fsync(fd)
        return time.monotonic() - start
    finally:
        os.close(fd)


def counters():
    words = (line.split() for line in run(QEDCTL, "stats", "bench-zero").splitlines())
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdigit()}


def chunk_of(zeroes_only):
    # O_DIRECT needs aligned memory, which a mapping is.
    chunk = mmap.mmap(-1, MiB)
    if not zeroes_only:
        for offset in range(0, MiB, 2 * PIECE):
            chunk[offset:offset + PIECE] = os.urandom(PIECE)
    return chunk


# MiB copied to the server in the last measurement of a side, by (side, zeroes_only).
copied = {}


def seconds(bench, kind, zeroes_only):
    """Write once to a fresh image; return the seconds."""
    image = os.path.join(bench.memory, "zero.qed")
    run(QEDCTL, "create", "bench-zero", image, "--size", "%dM" % MIB, "--queues", "1",
        *OPTIONS[kind])
    try:
        result = write(chunk_of(zeroes_only))
        stats = counters()
    finally:
        run(QEDCTL, "remove", "bench-zero")
        os.unlink(image)
    # Zeroes detected in the server were copied to it first.
    copied[kind, zeroes_only] = (stats["write_bytes"] + stats["detected_zero_bytes"]) / MiB
    return result


def copied_mib(bench, kind, zeroes_only):
    if (kind, zeroes_only) not in copied:
        seconds(bench, kind, zeroes_only)
    return copied[kind, zeroes_only]


def sides(bench, figure, zeroes_only):
    load_module()
    return {kind: lambda kind=kind: figure(bench, kind, zeroes_only) for kind in OPTIONS}


@rows_vm.row("zero-writes", "1 GiB of zeroes written through the device (emulated machine)",
             "seconds")
def zero_writes(bench):
    return sides(bench, seconds, True)


@rows_vm.row("zero-writes-copied", "of it, copied to user space", "MiB",
             aims=[AtMost("kernel", 0)])
def zero_writes_copied(bench):
    return sides(bench, copied_mib, True)


@rows_vm.row("zero-writes-half", "1 GiB of data that is half zero (emulated machine)", "seconds")
def zero_writes_half(bench):
    return sides(bench, seconds, False)


@rows_vm.row("zero-writes-half-copied", "of it, copied to user space", "MiB",
             aims=[AtMost("kernel", MIB / 2)])
def zero_writes_half_copied(bench):
    return sides(bench, copied_mib, False)
