# SPDX-License-Identifier: GPL-2.0
"""Rows without block devices: qed-img bench, qemu-img bench, and fio on a raw file as the limit.
Unless stated otherwise: O_DIRECT, 32 requests in flight, io_uring on all sides."""

import os

from harness import GiB, KiB, MiB, QED_IMG, AtLeast, Rows, fio_iops, fio_jobs, image_bench, run

row = Rows()

# The distance between requests: an odd number of 4 KiB blocks, so that all blocks of an image whose
# size is a power of two are visited once before any is visited again; and large, so that
# consecutive requests are not neighbours on disk.
STEP = 40503 * 4 * KiB
COMMON = ("-t", "none", "-i", "io_uring", "-d", "32")


def fresh(path):
    if os.path.exists(path):
        os.unlink(path)
    return path


def remove(bench, *paths):
    for path in paths:
        bench.at_exit(lambda path=path: os.path.exists(path) and os.unlink(path))


def sparse(path, size):
    with open(fresh(path), "wb") as file:
        file.truncate(size)
    return path


def full(path, size):
    """Make a raw file of @size nonzero bytes."""
    block = os.urandom(MiB)
    with open(fresh(path), "wb") as file:
        for _ in range(size // MiB):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return path


# ---- Allocating writes: each measurement starts with an empty image ----


def allocating(bench, size, options, ours_count, qemu_count, backing=None):
    """Run both programs on new images. QEMU is slow at this, so it gets fewer requests."""
    ours, theirs = os.path.join(bench.disk, "ours.qed"), os.path.join(bench.disk, "qemu.qed")
    over = ("-b", backing, "-F", "raw") if backing else ()
    remove(bench, ours, theirs)

    def qed():
        run(QED_IMG, "create", "-q", "-f", "qed", *over, fresh(ours), size)
        return image_bench(QED_IMG, "-f", "qed", "-w", *COMMON, *options, "-c", str(ours_count),
                           ours)

    def qemu():
        run("qemu-img", "create", "-q", "-f", "qed", *over, fresh(theirs), size)
        return image_bench("qemu-img", "-f", "qed", "-w", *COMMON, *options, "-c", str(qemu_count),
                           theirs)

    return {"qed": qed, "qemu": qemu}


def raw_writes(bench, size, rw, **settings):
    path = os.path.join(bench.disk, "raw")
    remove(bench, path)
    return lambda: fio_iops(sparse(path, size), rw, iodepth=32, size=size, **settings)


@row("alloc-random", "4 KiB random allocating writes, no backing file, on disk", "IOPS",
     aims=[AtLeast("qed", 12, "qemu"), AtLeast("qed", 0.85, "raw")])
def alloc_random(bench):
    sides = allocating(bench, 4 * GiB, ("-s", "4k", "-S", str(STEP)), 30000, 3000)
    sides["raw"] = raw_writes(bench, 4 * GiB, "randwrite", bs="4k", number_ios=30000)
    return sides


@row("alloc-backing", "4 KiB random allocating writes over a backing file, on disk", "IOPS",
     aims=[AtLeast("qed", 12, "qemu")])
def alloc_backing(bench):
    backing = full(os.path.join(bench.disk, "golden"), GiB)
    remove(bench, backing)
    sides = allocating(bench, GiB, ("-s", "4k", "-S", str(STEP)), 10000, 1500, backing=backing)
    sides["raw"] = copying(bench, backing, GiB)
    return sides


def copying(bench, source, size):
    """The disk's limit: a cluster read and one written for each request, and nothing else."""
    target = os.path.join(bench.disk, "raw")
    remove(bench, target)
    common = ("--bs=64k", "--iodepth=16", "--size=%d" % size, "--number_ios=10000")

    def clusters():
        reads, writes = fio_jobs("--name=read", "--filename=%s" % source, "--rw=randread", *common,
                                 "--name=write", "--filename=%s" % sparse(target, size),
                                 "--rw=randwrite", *common)
        return min(reads["read"]["iops"], writes["write"]["iops"])

    return clusters


@row("alloc-sequential", "64 KiB sequential allocating writes, on disk", "IOPS",
     aims=[AtLeast("qed", 0.9, "raw")])
def alloc_sequential(bench):
    sides = allocating(bench, 2 * GiB, ("-s", "64k"), 16384, 4096)
    sides["raw"] = raw_writes(bench, 2 * GiB, "write", bs="64k", number_ios=16384)
    return sides


@row("flush-32", "4 KiB random allocating writes, a flush after every 32, on disk", "IOPS",
     aims=[AtLeast("qed", 4, "qemu")])
def flush_32(bench):
    options = ("-s", "4k", "-S", str(STEP), "--flush-interval=32")
    return allocating(bench, 4 * GiB, options, 6400, 1600)


# ---- Durable writes ----


@row("fua", "4 KiB random overwrites of allocated clusters with FUA, 16 at once, on disk", "IOPS")
def fua(bench):
    size = 256 * MiB
    ours, theirs, raw = (os.path.join(bench.disk, name) for name in ("ours.qed", "qemu.qed", "raw"))
    remove(bench, ours, theirs, raw)
    full(raw, size)
    for program, image in ((QED_IMG, ours), ("qemu-img", theirs)):
        run(program, "create", "-q", "-f", "qed", fresh(image), size)
        run(program, "bench", "-f", "qed", "-w", "--pattern=7", "-s", "1M", "-c", size // MiB, image)
    # The last -t and -d override: no page cache, and each write with FUA.
    options = ("-f", "qed", *COMMON, "-t", "directsync", "-d", "16", "-w", "-s", "4k", "-S", str(STEP),
               "-c", "20000")
    return {
        "qed": lambda: image_bench(QED_IMG, *options, ours),
        "qemu": lambda: image_bench("qemu-img", *options, theirs),
        "raw": lambda: fio_iops(raw, "randwrite", "--norandommap", "--sync=dsync", bs="4k",
                                iodepth=16, size=size, number_ios=20000),
    }


# ---- Allocated clusters, in memory: the CPU is the limit ----


def allocated(bench, write):
    size = GiB
    ours, theirs, raw = (os.path.join(bench.memory, name) for name in
                         ("ours.qed", "qemu.qed", "raw"))
    remove(bench, ours, theirs, raw)
    full(raw, size)
    for program, image in ((QED_IMG, ours), ("qemu-img", theirs)):
        run(program, "create", "-q", "-f", "qed", fresh(image), size)
        run(program, "bench", "-f", "qed", "-w", "--pattern=7", "-s", "1M", "-c", size // MiB, image)
    options = ("-f", "qed", *COMMON, "-s", "4k", "-S", str(STEP), "-c", "300000")
    if write:
        options += ("-w",)
    return {
        "qed": lambda: image_bench(QED_IMG, *options, ours),
        "qemu": lambda: image_bench("qemu-img", *options, theirs),
        "raw": lambda: fio_iops(raw, "randwrite" if write else "randread", "--norandommap",
                                bs="4k", iodepth=32, size=size, number_ios=300000),
    }


@row("read", "4 KiB random reads of allocated clusters, on tmpfs", "IOPS",
     aims=[AtLeast("qed", 0.95, "raw")])
def read(bench):
    return allocated(bench, False)


@row("overwrite", "4 KiB random overwrites of allocated clusters, on tmpfs", "IOPS",
     aims=[AtLeast("qed", 0.95, "raw")])
def overwrite(bench):
    return allocated(bench, True)
