# SPDX-License-Identifier: GPL-2.0
"""Rows about copy-on-read and streaming. For copy-on-read all sides have the same path: an NBD
server on a unix socket, and fio's client."""

import json
import os
import re
import resource
import shutil
import subprocess
import time

from harness import BUILD, GiB, MiB, AtLeast, Broken, Rows, run

row = Rows()

FIRST_TOUCH = dict(bs="4k", iodepth=16)
STREAM = os.path.join(BUILD, "tests/bench/bench_stream")


class AtMostTimes(AtLeast):
    """@side's figure must be at most @factor times that of side @of."""

    def judge(self, medians):
        if not medians.get(self.of) or self.side not in medians:
            return None
        got = medians[self.side] / medians[self.of]
        return {"aim": "%s at most %g x %s" % (self.side, self.factor, self.of), "got": got,
                "met": got <= self.factor}


def golden(bench, size, holes):
    """Make a file of random data, written zeroes and (with @holes) holes, alternating by MiB."""
    path = os.path.join(bench.disk, "golden.raw")
    bench.at_exit(lambda: os.path.exists(path) and os.unlink(path))
    block = os.urandom(MiB)
    with open(path, "wb") as file:
        file.truncate(size)
        for i in range(size // MiB):
            if holes and i % 3 == 0:
                continue
            file.seek(i * MiB)
            file.write(bytes(MiB) if holes and i % 3 == 1 else block)
        file.flush()
        os.fsync(file.fileno())
    return path


class Server:
    """An NBD server for the duration of a measurement."""

    def __init__(self, sock, *command):
        self.sock = sock
        if os.path.exists(sock):
            os.unlink(sock)
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not os.path.exists(sock):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise Broken("%s does not serve" % command[0])
            time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def first_touch(bench, which, base, size):
    """Run fio once on a new overlay; return its read result."""
    sock, image = os.path.join(bench.disk, "sock"), os.path.join(bench.disk, "overlay")
    if os.path.exists(image):
        os.unlink(image)
    if which == "qemu":
        run("qemu-img", "create", "-q", "-f", "qed", "-b", base, "-F", "raw", image)
        server = Server(sock, "qemu-nbd", "-t", "-k", sock, "-e", "4", "--image-opts",
                        "driver=copy-on-read,file.driver=qed,file.file.driver=file,"
                        "file.file.filename=%s,file.file.cache.direct=on,"
                        "file.file.aio=io_uring" % image)
    else:
        server = Server(sock, "nbdkit", "-f", "-U", sock,
                        os.path.join(BUILD, "nbdkit-qed-plugin.so"), "image=" + image,
                        "backing=" + base, "backing-format=raw",
                        "copy-on-read=" + ("true" if which == "cor" else "false"))
    try:
        return fio_nbd(sock, size)
    finally:
        server.stop()
        os.unlink(image)


def fio_nbd(sock, size):
    text = run("fio", "--name=bench", "--output-format=json", "--ioengine=nbd",
               "--uri=nbd+unix:///?socket=" + sock, "--rw=randread", "--randrepeat=0",
               "--size=%d" % size, "--number_ios=4000",
               *("--%s=%s" % item for item in FIRST_TOUCH.items()))
    return json.loads(text[text.index("{"):])["jobs"][0]["read"]


def sides_of(bench, take):
    if not shutil.which("nbdkit") or not shutil.which("qemu-nbd"):
        raise Broken("nbdkit or qemu-nbd is missing")
    size = GiB
    base = golden(bench, size, holes=False)
    return {name: lambda which=which: take(first_touch(bench, which, base, size))
            for name, which in (("cor", "cor"), ("plain", "plain"), ("qemu-cor", "qemu"))}


@row("copy-on-read-rate", "4 KiB random first reads, 16 at once, over NBD", "IOPS",
     aims=[AtLeast("cor", 0.8, "plain")])
def cor_rate(bench):
    return sides_of(bench, lambda read: read["iops"])


@row("copy-on-read-p99", "the same: 99th percentile of the time a read takes", "us",
     aims=[AtMostTimes("cor", 1.3, "plain")])
def cor_p99(bench):
    return sides_of(bench, lambda read: read["clat_ns"]["percentile"]["99.000000"] / 1000)


# ---- Streaming: 1.5 GiB, of which a third is random, a third written zeroes, a third holes ----

STREAMED = 1536 * MiB


def stream_ours(bench, base, cpu):
    image = os.path.join(bench.disk, "stream.qed")
    out = run(STREAM, base, image)
    os.unlink(image)
    match = re.search(r"stream: ([0-9.]+) s, ([0-9.]+) s of a processor", out)
    return float(match.group(2)) if cpu else STREAMED / MiB / float(match.group(1))


def copy_direct(bench, base, cpu):
    """The same as cp --sparse=always, with O_DIRECT, which cp lacks."""
    copy = os.path.join(bench.disk, "copy.raw")
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run("dd", "if=" + base, "of=" + copy, "bs=1M", "iflag=direct", "oflag=direct", "conv=sparse",
        "status=none")
    took, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    os.unlink(copy)
    if cpu:
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return STREAMED / MiB / took


def qmp(file, execute, **arguments):
    file.write(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
    file.flush()


def stream_qemu(bench, base, cpu):
    """qemu-storage-daemon's block-stream job, to a QED image as well."""
    image = os.path.join(bench.disk, "stream.qed")
    run("qemu-img", "create", "-q", "-f", "qed", "-b", base, "-F", "raw", image)
    direct = "cache.direct=on,aio=io_uring"
    with subprocess.Popen(
            ["qemu-storage-daemon", "--chardev", "stdio,id=c", "--monitor", "c",
             "--blockdev", "driver=file,node-name=bf,filename=%s,%s" % (base, direct),
             "--blockdev", "driver=raw,node-name=b,file=bf,read-only=on",
             "--blockdev", "driver=file,node-name=of,filename=%s,%s" % (image, direct),
             "--blockdev", "driver=qed,node-name=o,file=of,backing=b"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii") as daemon:
        qmp(daemon.stdin, "qmp_capabilities")
        begin = time.monotonic()
        qmp(daemon.stdin, "block-stream", device="o", **{"job-id": "j"})
        for line in daemon.stdout:
            if "BLOCK_JOB_COMPLETED" in line:
                break
        took = time.monotonic() - begin
        with open("/proc/%d/stat" % daemon.pid, encoding="ascii") as file:
            words = file.read().split()
        qmp(daemon.stdin, "quit")
    os.unlink(image)
    if cpu:
        return (int(words[13]) + int(words[14])) / os.sysconf("SC_CLK_TCK")
    return STREAMED / MiB / took


def stream_sides(bench, cpu):
    if not os.path.exists(STREAM):
        raise Broken("%s is missing: make bench makes it" % STREAM)
    base = golden(bench, STREAMED, holes=True)
    return {"qed": lambda: stream_ours(bench, base, cpu),
            "copy": lambda: copy_direct(bench, base, cpu),
            "qemu": lambda: stream_qemu(bench, base, cpu)}


@row("stream", "streaming 1.5 GiB, two thirds of it zeroes, O_DIRECT", "MiB/s",
     aims=[AtLeast("qed", 0.85, "copy"), AtLeast("qed", 3, "qemu")])
def stream(bench):
    return stream_sides(bench, False)


@row("stream-cpu", "the same: seconds of a processor", "s",
     aims=[AtMostTimes("qed", 1, "qemu")])
def stream_cpu(bench):
    return stream_sides(bench, True)


@row("stream-reads", "4 KiB random reads, one at a time, beside it: 99th percentile", "us")
def stream_reads(bench):
    if not os.path.exists(STREAM):
        raise Broken("%s is missing: make bench makes it" % STREAM)
    base = golden(bench, STREAMED, holes=False)

    def p99(how):
        image = os.path.join(bench.disk, "stream.qed")
        out = run(STREAM, base, image, "--reads", how)
        os.unlink(image)
        return float(re.search(r"p99 ([0-9.]+) us", out).group(1))

    return {"beside": lambda: p99("beside"), "alone": lambda: p99("alone")}
