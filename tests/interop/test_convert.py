#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
"""qed-img convert: with any flags, the target holds the sources' bytes, as QEMU reads them."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import interop
from interop import Failure, KiB, MiB, must

SIZE = 9 * MiB + 1536


def random_bytes(rng, size):
    """Return data, with zero runs of all lengths."""
    data = bytearray()
    while len(data) < size:
        length = rng.choice((512, 4 * KiB, 60 * KiB, 64 * KiB, 700 * KiB))
        data += rng.choice((bytes(length), bytes([rng.randrange(1, 256)]) * length,
                            rng.randbytes(length)))
    return bytes(data[:size])


def write_sparse(name, data):
    with open(name, "wb") as file:
        file.truncate(len(data))
        for pos in range(0, len(data), 64 * KiB):
            if any(data[pos:pos + 64 * KiB]):
                file.seek(pos)
                file.write(data[pos:pos + 64 * KiB])


def convert(*args):
    result = must(interop.QED_IMG, "convert", *args)
    if result.out or result.err:
        raise Failure("not silent: %s" % result)


def holds(name, fmt, data):
    """Return whether QEMU reads @data in image @name."""
    if fmt == "qed":
        interop.check_image(name)
    must("qemu-img", "convert", "-f", fmt, "-O", "raw", name, "judge.raw")
    difference = interop.first_difference("judge.raw", data)
    os.unlink("judge.raw")
    if difference:
        raise Failure("%s: %s" % (name, difference))


FLAGS = (
    (), ("-W",), ("-m", "1"), ("-W", "-m", "16"), ("-S", "0"), ("-S", "512"), ("-S", "64k"),
    ("-S", "1M", "-W"), ("-t", "none", "-T", "none"), ("-t", "writethrough"),
    ("-t", "directsync", "-T", "directsync"), ("-U",), ("--salvage",), ("-q",),
)
TARGETS = ("cluster_size=64k,table_size=4", "cluster_size=4k,table_size=2",
           "cluster_size=1M,table_size=2")


def there_and_back(rng, flags):
    data = random_bytes(rng, SIZE)
    write_sparse("source.raw", data)
    options = rng.choice(TARGETS)
    convert(*flags, "-f", "raw", "-O", "qed", "-o", options, "source.raw", "copy.qed")
    holds("copy.qed", "qed", data)
    convert(*flags, "-f", "qed", "-O", "qed", "copy.qed", "again.qed")
    holds("again.qed", "qed", data)
    convert(*flags, "-f", "qed", "-O", "raw", "again.qed", "back.raw")
    holds("back.raw", "raw", data)
    # At most the space of the source, which has a hole for each 64 KiB of zeroes.
    used, most = (os.stat(name).st_blocks * 512 for name in ("back.raw", "source.raw"))
    if "-S" not in flags and used > most + 64 * KiB:
        raise Failure("back.raw is not sparse: %d bytes, source.raw %d" % (used, most))
    if flags == ("-S", "0") and os.stat("back.raw").st_blocks * 512 < SIZE:
        raise Failure("back.raw is sparse")


def make_chain(rng):
    """Make top.qed on middle.qed on base.raw; return the contents of each."""
    base = random_bytes(rng, 4 * MiB)
    interop.write_file("base.raw", base)
    must("qemu-img", "create", "-q", "-f", "qed", "-b", "base.raw", "-F", "raw", "middle.qed", "6M")
    must("qemu-io", "-f", "qed", "-c", "write -q -P 7 1M 1M", "-c", "write -q -z 2M 1M", "-c",
         "write -q -P 8 5M 64k", "middle.qed")
    middle = bytearray(base + bytes(2 * MiB))
    middle[1 * MiB:2 * MiB] = b"\7" * MiB
    middle[2 * MiB:3 * MiB] = bytes(MiB)
    middle[5 * MiB:5 * MiB + 64 * KiB] = b"\x08" * (64 * KiB)
    must("qemu-img", "create", "-q", "-f", "qed", "-b", "middle.qed", "-F", "qed", "top.qed", "7M")
    must("qemu-io", "-f", "qed", "-c", "write -q -P 9 0 64k", "-c", "write -q -z 1M 128k", "-c",
         "write -q -P 10 6M 64k", "-c", "write -q -z 6400k 128k", "top.qed")
    top = middle + bytes(MiB)
    top[:64 * KiB] = b"\x09" * (64 * KiB)
    top[MiB:MiB + 128 * KiB] = bytes(128 * KiB)
    top[6 * MiB:6 * MiB + 64 * KiB] = b"\x0a" * (64 * KiB)
    return bytes(middle), bytes(top)


def from_a_chain(rng):
    _, top = make_chain(rng)
    convert("-O", "qed", "top.qed", "flat.qed")
    for name in ("base.raw", "middle.qed"):
        os.rename(name, name + ".gone")
    holds("flat.qed", "qed", top)


def onto_a_backing_file(rng):
    """-B: only what is allocated in the top image is copied."""
    _, top = make_chain(rng)
    for flags in ((), ("-W",), ("-S", "0"), ("-o", "cluster_size=4k")):
        convert(*flags, "-O", "qed", "-B", "middle.qed", "-F", "qed", "top.qed", "copy.qed")
        holds("copy.qed", "qed", top)
        if os.stat("copy.qed").st_size > 2 * MiB:
            raise Failure("more was copied than the top image has")
    convert("-O", "qed", "-o", "backing_file=middle.qed,backing_fmt=qed", "top.qed", "copy.qed")
    holds("copy.qed", "qed", top)


def several_sources(rng):
    parts = [random_bytes(rng, size) for size in (MiB, 512, 2 * MiB + 512, 0, 64 * KiB)]
    names = []
    for i, part in enumerate(parts):
        names.append("part%d" % i)
        interop.write_file(names[-1], part)
    for flags in ((), ("-W", "-m", "16"), ("-S", "0")):
        convert(*flags, "-f", "raw", "-O", "qed", *names, "all.qed")
        holds("all.qed", "qed", b"".join(parts))


def over_an_existing_image(rng):
    """-n: the old contents are overwritten, up to the source's end."""
    data = random_bytes(rng, SIZE)
    write_sparse("source.raw", data)
    for fmt in ("qed", "raw"):
        for flags in ((), ("-W",), ("-S", "0")):
            must("qemu-img", "create", "-q", "-f", fmt, "target", "12M")
            must("qemu-io", "-f", fmt, "-c", "write -q -P 77 0 12M", "target")
            convert(*flags, "-n", "-f", "raw", "-O", fmt, "source.raw", "target")
            holds("target", fmt, data + b"\x4d" * (12 * MiB - SIZE))
            os.unlink("target")


def target_is_zero(rng):
    data = random_bytes(rng, SIZE)
    write_sparse("source.raw", data)
    must("qemu-img", "create", "-q", "-f", "qed", "target", "12M")
    convert("-n", "--target-is-zero", "-f", "raw", "-O", "qed", "source.raw", "target")
    holds("target", "qed", data + bytes(12 * MiB - SIZE))


def odd_sizes(rng):
    """A raw file that ends inside a sector is padded with zeroes."""
    for size in (0, 1, 511, 512, 513, 65537):
        data = rng.randbytes(size)
        interop.write_file("odd.raw", data)
        convert("-f", "raw", "-O", "qed", "odd.raw", "odd.qed")
        holds("odd.qed", "qed", data + bytes(-size % 512))


def salvage(rng):
    """With --salvage, unreadable ranges become zeroes; without, the copy fails."""
    data = bytearray(random_bytes(rng, 4 * MiB // 512 * 512))
    interop.write_file("source.raw", data)
    must("qemu-img", "convert", "-S", "0", "-f", "raw", "-O", "qed", "source.raw", "source.qed")
    interop.poke64("source.qed", interop.l2_entry_offset("source.qed", 9), 1 << 40)
    result = interop.run(interop.QED_IMG, "convert", "-O", "raw", "source.qed", "out.raw")
    if result.status != 1 or "error while reading" not in result.err:
        raise Failure("did not fail: %s" % result)
    must(interop.QED_IMG, "convert", "--salvage", "-O", "raw", "source.qed", "out.raw")
    data[9 * 64 * KiB:10 * 64 * KiB] = bytes(64 * KiB)
    difference = interop.first_difference("out.raw", data)
    if difference:
        raise Failure(difference)


def progress(rng):
    write_sparse("source.raw", random_bytes(rng, SIZE))
    out = must(interop.QED_IMG, "convert", "-p", "-O", "qed", "source.raw", "out.qed").out
    steps = [float(step) for step in re.findall(r"    \((\d+\.\d\d)/100%\)\r", out)]
    if re.sub(r"    \(\d+\.\d\d/100%\)\r", "", out) != "\n":
        raise Failure("unexpected output %r" % out)
    if len(steps) < 3 or steps[0] or steps[-1] != 100 or steps != sorted(steps):
        raise Failure("steps are %s" % steps)


def rate_and_signal(rng):
    """-r limits the rate; SIGUSR1 prints the progress."""
    interop.write_file("source.raw", rng.randbytes(12 * MiB))
    start = time.monotonic()
    with subprocess.Popen([interop.QED_IMG, "convert", "-r", "8M", "-O", "qed", "source.raw",
                           "out.qed"], stderr=subprocess.PIPE) as process:
        time.sleep(0.5)
        process.send_signal(signal.SIGUSR1)
        err = process.stderr.read().decode()
        status = process.wait()
    took = time.monotonic() - start
    if status or not re.fullmatch(r"(    \(\d+\.\d\d/100%\)\n)+", err):
        raise Failure("status %d, said %r" % (status, err))
    if took < 1:
        raise Failure("12 MiB at 8 MiB/s took %.2f s" % took)


def failed_target():
    """A target that cannot be written: one error line, status 1, the source unchanged."""
    interop.write_file("source.raw", b"x" * MiB)
    os.mkdir("target")
    result = interop.run(interop.QED_IMG, "convert", "-O", "qed", "source.raw", "target")
    if result.status != 1 or len(result.err.splitlines()) != 1 or "target" not in result.err:
        raise Failure(str(result))
    if interop.read_file("source.raw") != b"x" * MiB:
        raise Failure("the source was changed")


def full_disk(rng):
    """A file that cannot grow: the error is reported, and the program does not hang."""
    write_sparse("source.raw", random_bytes(rng, SIZE))
    script = "ulimit -f 2048; trap '' XFSZ; exec \"$@\""
    for verb, *names in (("convert", "source.raw", "out.qed"),
                         ("dd", "if=source.raw", "of=copied.qed")):
        result = interop.run("bash", "-c", script, "-", interop.QED_IMG, verb, "-O", "qed", *names)
        if result.status != 1 or "File too large" not in result.err or \
                len(result.err.splitlines()) != 1:
            raise Failure(str(result))
        is_refused(names[1].replace("of=", ""))


def is_refused(name):
    """No program opens the file as an image."""
    # A killed program's lock lasts until its last I/O completes, which may take a moment.
    for _ in range(100):
        ours, theirs = (interop.run(program, "info", "-f", "qed", name)
                        for program in (interop.QED_IMG, "qemu-img"))
        if "lock" not in ours.err + theirs.err:
            break
        time.sleep(0.05)
    if not ours.status or not theirs.status:
        raise Failure("half an image is opened: %s" % (theirs if ours.status else ours))
    if "incomplete" not in ours.err and "not in QED format" not in ours.err and \
            "No such file" not in ours.err:
        raise Failure(str(ours))


def killed(rng):
    """An interrupted conversion leaves no valid image; the next conversion succeeds."""
    data = rng.randbytes(8 * MiB)
    interop.write_file("source.raw", data)
    command = [interop.QED_IMG, "convert", "-r", "2M", "-f", "raw", "-O", "qed", "source.raw",
               "out.qed"]
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with subprocess.Popen(command) as process:
            time.sleep(rng.uniform(0.01, 0.35))
            process.send_signal(number)
            if process.wait() != -number:
                raise Failure("ended with %s after signal %s" % (process.returncode, number))
        is_refused("out.qed")
    convert("-f", "raw", "-O", "qed", "source.raw", "out.qed")
    holds("out.qed", "qed", data)


def caches(rng):
    """By default the copy is durable, data and file name; with -t unsafe there is no flush."""
    # LeakSanitizer stops the threads with ptrace, as strace does: they cannot run together.
    if not shutil.which("strace") or interop.SANITIZE:
        return
    write_sparse("source.raw", random_bytes(rng, SIZE))
    for flags, durable in (((), True), (("-t", "unsafe"), False)):
        must("strace", "-f", "-o", "calls", "-e", "trace=fsync", interop.QED_IMG, "convert", *flags,
             "-f", "raw", "-O", "qed", "source.raw", "out.qed")
        if ("fsync(" in interop.read_file("calls").decode()) != durable:
            raise Failure("%s: the folder is%s synchronized" % (flags, " not" * durable))


def in_case(function, *args):
    with interop.WorkDir():
        function(*args)


def measured(rng):
    """`measure` reports the size of the new image, if the source's allocation is known."""
    for options in TARGETS:
        cluster = {"64k": 64 * KiB, "4k": 4 * KiB, "1M": MiB}[options.split("=")[1].split(",")[0]]
        size = 24 * MiB
        data = bytearray(size)
        for at in range(0, size, cluster):
            if rng.random() < 0.4:
                data[at:at + cluster] = rng.randbytes(cluster)
        # A table without any data.
        data[4 * MiB:20 * MiB] = bytes(16 * MiB)
        interop.write_file("empty.raw", b"")
        os.truncate("empty.raw", size)
        with open("source.raw", "wb") as file:
            file.truncate(size)
            for at in range(0, size, cluster):
                if any(data[at:at + cluster]):
                    file.seek(at)
                    file.write(data[at:at + cluster])
        for name in ("source.raw", "empty.raw"):
            out = must(interop.QED_IMG, "measure", "-f", "raw", "-O", "qed", "-o", options,
                       name).out.split()
            required, full = int(out[2]), int(out[6])
            convert("-f", "raw", "-O", "qed", "-o", options, name, "copy.qed")
            taken = os.path.getsize("copy.qed")
            if required != taken or full < required:
                raise Failure("%s: required %d, fully allocated %d, and it takes %d" % (
                    name, required, full, taken))
            must(interop.QED_IO, "-f", "qed", "-c", "write -q -P 1 0 24M", "copy.qed")
            if os.path.getsize("copy.qed") != full:
                raise Failure("fully allocated %d, and it takes %d" % (
                    full, os.path.getsize("copy.qed")))


def main(results):
    seed = interop.seed_from(sys.argv)
    if not interop.need_qemu(results, "convert"):
        return
    for flags in FLAGS:
        results.run("convert (%s)" % " ".join(flags), in_case, there_and_back,
                    random.Random("%d/%s" % (seed, flags)), flags)
    for function in (from_a_chain, onto_a_backing_file, several_sources, over_an_existing_image,
                     target_is_zero, odd_sizes, salvage, measured, progress, rate_and_signal,
                     full_disk, killed, caches):
        results.run("convert-" + function.__name__.replace("_", "-"), in_case, function,
                    random.Random("%d/%s" % (seed, function.__name__)))
    results.run("convert-failed-target", in_case, failed_target)


interop.main(main)
