# SPDX-License-Identifier: GPL-2.0
"""Rows over block devices, in the virtual machine: one queue, 32 requests in flight, images on
tmpfs. The machine is emulated, and executes instructions about ten times slower: only the ratios
between the sides of a row are meaningful."""

import os
import time

from harness import MiB, QED_IMG, QEDCTL, AtLeast, AtMost, Rows, fio_iops, run

row = Rows()

SIZE = 64 * MiB
SECONDS = 3


class Devices:
    """The four devices, created once and shared by all rows of a boot."""

    def __init__(self, bench):
        self.folder = bench.memory
        self.paths = {}

    def image(self, name, program):
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            run(program, "create", "-q", "-f", "qed", path, SIZE)
            run(program, "bench", "-f", "qed", "-w", "--pattern=7", "-s", "1M", "-c", SIZE // MiB,
                path)
        return path

    def null(self):
        return run(QEDCTL, "create", "bench-null", "null-co://%d" % SIZE, "--no-dm", "--queues",
                   "1").strip()

    def qed(self):
        return run(QEDCTL, "create", "bench-qed", self.image("ours.qed", QED_IMG), "--no-dm",
                   "--queues", "1").strip()

    def nbd(self):
        run("modprobe", "nbd", "nbds_max=1")
        # For qemu-nbd's socket; the directory is missing in a machine without an init system.
        os.makedirs("/run/lock", exist_ok=True)
        image = self.image("theirs.qed", QED_IMG)
        run("qemu-nbd", "--connect=/dev/nbd0", "-f", "qed", "--cache=none", "--aio=io_uring", image)
        for _ in range(100):
            with open("/sys/block/nbd0/size", encoding="ascii") as file:
                if int(file.read()):
                    return "/dev/nbd0"
            time.sleep(0.1)
        return "/dev/nbd0"

    def loop(self):
        path = os.path.join(self.folder, "raw")
        with open(path, "wb") as file:
            for _ in range(SIZE // MiB):
                file.write(b"\7" * MiB)
        return run("losetup", "--find", "--show", "--direct-io=on", path).strip()

    def path(self, kind):
        if kind not in self.paths:
            self.paths[kind] = getattr(self, kind)()
        return self.paths[kind]


devices = []


def four(bench, rw, **settings):
    if not devices:
        devices.append(Devices(bench))
    settings = {"bs": "4k", "iodepth": 32, "runtime": SECONDS, "ramp_time": 1, **settings}
    sides = {}
    for kind in ("qed", "null", "nbd", "loop"):
        path = devices[0].path(kind)
        sides[kind] = lambda path=path: fio_iops(path, rw, "--time_based", "--norandommap",
                                                 size=SIZE, **settings)
    return sides


AIMS = [AtLeast("qed", 4, "nbd"), AtLeast("qed", 0.7, "null")]


@row("device-read", "4 KiB random reads through the device (emulated machine)", "IOPS", aims=AIMS)
def device_read(bench):
    return four(bench, "randread")


@row("device-overwrite", "4 KiB random overwrites through the device (emulated machine)", "IOPS",
     aims=AIMS)
def device_overwrite(bench):
    return four(bench, "randwrite")


@row("device-read-1", "the same reads, one at a time", "IOPS")
def device_read_1(bench):
    return four(bench, "randread", iodepth=1)


def resident(name):
    """Return MiB of a server's memory without the buffers of requests."""
    pid = int(run("pgrep", "-f", "qedd --name %s " % name).split()[0])
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as file:
        for line in file:
            if line.startswith("Rss:"):
                return int(line.split()[1]) / 1024
    return 0


@row("memory", "resident memory of qedd after these, its buffers included", "MiB",
     aims=[AtMost("qed", 32)])
def memory(bench):
    four(bench, "randread")["qed"]()
    return {"qed": lambda: resident("bench-qed")}


def remove_devices():
    run("qedctl", "remove", "--all", check=False)
    run("qemu-nbd", "--disconnect", "/dev/nbd0", check=False)


