# SPDX-License-Identifier: GPL-2.0
"""Rows about changes of a live device, in the virtual machine: how long its requests wait.

fio reads and writes at random all the time, and notes how long each request took. The figure of a
change is the longest request of those that were in flight while the verb ran; a measurement is the
median of several changes."""

import os
import signal
import statistics
import subprocess
import time

import rows_vm
from harness import MiB, QEDCTL, AtMost, Broken, run

NAME = "bench-life"
SIZE = 64 * MiB
# Of a measurement; five of them are 50.
CHANGES = 10


def requests():
    """Return how many requests the device has served."""
    stats = dict(line.split()[:2] for line in run(QEDCTL, "stats", NAME).splitlines())
    return int(stats["read_ops"]) + int(stats["write_ops"])


def start_load(device, log):
    """Start fio, and wait until it has begun."""
    load = subprocess.Popen(["fio", "--name=load", "--filename=" + device, "--rw=randrw", "--bs=4k",
                             "--iodepth=8", "--ioengine=io_uring", "--direct=1", "--norandommap",
                             "--time_based", "--runtime=600", "--size=%d" % SIZE,
                             "--write_lat_log=" + log, "--log_unix_epoch=1"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while requests() < 1000:
        if load.poll() is not None or time.monotonic() > deadline:
            load.kill()
            raise Broken("fio does not begin")
        time.sleep(0.1)
    return load


def longest(log, windows):
    """Return the longest request, in ms, that was in flight in each of the windows (in ms)."""
    found = [0] * len(windows)
    with open(log + "_lat.1.log", encoding="ascii") as file:
        for line in file:
            end, nanoseconds = (int(word) for word in line.split(",")[:2])
            took = nanoseconds / 1e6
            for i, (first, last) in enumerate(windows):
                if end >= first and end - took <= last and took > found[i]:
                    found[i] = took
    return found


def now():
    return int(time.time() * 1000)


def pause(folder, change):
    """Return the median of the longest requests, in ms, during calls of @change(number)."""
    image, log = (os.path.join(folder, name) for name in ("life.qed", "life"))
    windows = []
    try:
        load = start_load(run(QEDCTL, "create", NAME, image, "--size", SIZE).strip(), log)
        try:
            for i in range(CHANGES):
                time.sleep(0.3)
                begin = now()
                change(i)
                windows.append((begin, now()))
        finally:
            load.send_signal(signal.SIGINT)
            load.wait()
        return statistics.median(longest(log, windows))
    finally:
        run(QEDCTL, "remove", NAME, check=False)
        for name in os.listdir(folder):
            if name.startswith("life"):
                os.unlink(os.path.join(folder, name))


@rows_vm.row("snapshot-pause", "the longest request while a snapshot is made (emulated machine)",
             "ms", aims=[AtMost("tmpfs", 50), AtMost("disk", 50)])
def snapshot_pause(bench):
    def snapshot(folder):
        return lambda: pause(folder, lambda i: run(QEDCTL, "snapshot", NAME,
                                                   os.path.join(folder, "life-%d.qed" % i)))
    return {"tmpfs": snapshot(bench.memory), "disk": snapshot(bench.disk),
            "no snapshot": lambda: pause(bench.memory, lambda i: run(QEDCTL, "status", NAME))}
