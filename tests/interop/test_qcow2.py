#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
"""qcow2 images made by QEMU: our programs read, map and describe them as QEMU does.

The corpus has each feature of the format that a reader meets, alone and together; chains of three;
odd sizes; backing files that are shorter and longer. The expected contents are the data an image
was made from, or the output of `qemu-img convert`; maps and descriptions are compared verbatim.
"""

import json
import os
import random

import interop
from interop import Failure, KiB, MiB, must

# Programs start slowly with sanitizers; each feature is tested once then.
QUICK = bool(interop.SANITIZE)

# The QEMU version whose output is compared.
REFERENCE = (7, 2)

SIZE = 6 * MiB + 1536

CREATE_OPTIONS = (
    "", "compat=0.10", "cluster_size=512", "cluster_size=4k", "cluster_size=2M",
    "cluster_size=16k,extended_l2=on", "cluster_size=128k,extended_l2=on",
    "cluster_size=2M,extended_l2=on", "lazy_refcounts=on", "refcount_bits=1", "refcount_bits=64",
    "preallocation=falloc", "preallocation=metadata,cluster_size=32k",
)
COMPRESSED_OPTIONS = (
    "", "compat=0.10", "cluster_size=512", "cluster_size=4k,compat=0.10", "cluster_size=2M",
    "cluster_size=16k,extended_l2=on", "compression_type=zstd",
    "compression_type=zstd,cluster_size=512", "compression_type=zstd,cluster_size=2M",
    "compression_type=zstd,cluster_size=64k,extended_l2=on",
)
if QUICK:
    CREATE_OPTIONS = CREATE_OPTIONS[2:7:2]
    COMPRESSED_OPTIONS = COMPRESSED_OPTIONS[2:10:3]


def random_bytes(rng, size):
    """Return compressible and incompressible data, and zero runs of all lengths."""
    data = bytearray()
    while len(data) < size:
        length = rng.choice((512, 4 * KiB, 60 * KiB, 64 * KiB, 700 * KiB))
        word = rng.randbytes(rng.choice((1, 7, 64)))
        data += rng.choice((bytes(length), (word * length)[:length], rng.randbytes(length)))
    return bytes(data[:size])


def same_words(ours, theirs):
    """The same command line prints the same on both sides."""
    got, want = interop.run(*ours), interop.run(*theirs)
    if (got.status, got.out, got.err.replace(ours[0], "X")) != (
            want.status, want.out, want.err.replace(theirs[0], "X").replace("qemu-", "qed-")):
        first = next((a for a in zip(got.out.splitlines(), want.out.splitlines())
                      if a[0] != a[1]), "")
        raise Failure("not as QEMU: %s; %s; first difference %s" % (got, want, first))


def json_map(tool, name):
    """Return the map of @name printed by @tool, without which runs are compressed: only later versions of
    QEMU print it."""
    extents = []
    # Whether holes are looked for depends on the space that files have, which is final when written.
    must("sync", *os.listdir("."))
    for extent in json.loads(must(tool, "map", "--output=json", name).out):
        extent.pop("compressed", None)
        if extents and goes_on(extents[-1], extent):
            extents[-1]["length"] += extent["length"]
        else:
            extents.append(extent)
    return extents


def goes_on(before, extent):
    if any(before[key] != extent[key] for key in ("depth", "present", "zero", "data")):
        return False
    if "offset" not in before or "offset" not in extent:
        return "offset" not in before and "offset" not in extent
    return before["offset"] + before["length"] == extent["offset"]


def compare_tools(name):
    ours, theirs = json_map(interop.QED_IMG, name), json_map("qemu-img", name)
    if ours != theirs:
        first = next((a for a in zip(ours, theirs) if a[0] != a[1]), "one ends early")
        raise Failure("map: not as QEMU: %s" % (first,))
    # Output changes between QEMU versions; scripts rely on that of one version.
    if interop.qemu_version() != REFERENCE:
        return
    for verb in (("info",), ("info", "--output=json")):
        same_words((interop.QED_IMG, *verb, name), ("qemu-img", *verb, name))
    same_words((interop.QED_IO, "-r", "-c", "info", "-c", "map", "-c", "length", name),
               ("qemu-io", "-r", "-c", "info", "-c", "map", "-c", "length", name))


def read_randomly(rng, name, data):
    """Single reads of all sizes, several in flight."""
    commands = []
    for _ in range(20 if QUICK else 60):
        offset = rng.randrange(len(data))
        length = min(len(data) - offset, rng.choice((1, 512, 4096, rng.randrange(1, 100000))))
        value = data[offset]
        run = len(data[offset:offset + length]) - len(
            data[offset:offset + length].lstrip(bytes([value])))
        commands.append("aio_read -q -P %d %d %d" % (value, offset, run))
    with interop.QedIo("-r", name) as io:
        io.quiet(*commands, "aio_flush")
        io.quit()


def holds(rng, name, data):
    """Our programs read @data in @name, by every way there is."""
    flags = rng.choice(((), ("-W", "-m", "16"), ("-T", "none"), ("-S", "0")))
    must(interop.QED_IMG, "convert", *flags, "-O", "raw", name, "ours.raw")
    difference = interop.first_difference("ours.raw", data)
    if difference:
        raise Failure("%s: %s" % (name, difference))
    read_randomly(rng, name, data)


def holds_and_compares(rng, name, data):
    holds(rng, name, data)
    compare_tools(name)


def option(text):
    return ("-o", text) if text else ()


def made_by_convert(rng, options, compress):
    data = random_bytes(rng, SIZE)
    interop.write_file("source.raw", data)
    must("qemu-img", "convert", *(("-c",) if compress else ()), "-O", "qcow2", *option(options),
         "source.raw", "image.qcow2")
    holds_and_compares(rng, "image.qcow2", data)
    human = interop.run(interop.QED_IMG, "map", "image.qcow2")
    if compress != ("compressed" in human.err):
        raise Failure("compressed or not: %s" % human)


def scribble(rng, name, data, count=24):
    """Do random writes, zero writes (with and without unmap) and discards with qemu-io, in the
    image and in @data."""
    commands = []
    for _ in range(count):
        unit = rng.choice((512, 512, 4 * KiB, 64 * KiB))
        offset = rng.randrange(len(data) // unit) * unit
        length = min(len(data) - offset, rng.choice((1, 3, 16)) * unit)
        value = rng.randrange(1, 256)
        kind = rng.randrange(3)
        if kind == 0:
            commands += ["-c", "write -q -P %d %d %d" % (value, offset, length)]
            data[offset:offset + length] = bytes([value]) * length
        else:
            commands += ["-c", "write -q -z %s %d %d" % ("-u" if kind == 1 else "", offset,
                                                         length)]
            data[offset:offset + length] = bytes(length)
    must("qemu-io", "-f", "qcow2", *commands, name)


def written_to(rng, options):
    """Clusters of all kinds: allocated, zero with and without a host cluster, over compressed ones."""
    data = bytearray(random_bytes(rng, SIZE))
    interop.write_file("source.raw", data)
    compress = "prealloc" not in options and rng.random() < 0.5
    must("qemu-img", "convert", *(("-c",) if compress else ()), "-O", "qcow2", *option(options),
         "source.raw", "image.qcow2")
    scribble(rng, "image.qcow2", data)
    holds(rng, "image.qcow2", bytes(data))
    compare_tools("image.qcow2")


def with_snapshots(rng):
    """Internal snapshots share clusters with the active image, and are ignored."""
    data = bytearray(random_bytes(rng, SIZE))
    interop.write_file("source.raw", data)
    must("qemu-img", "convert", "-O", "qcow2", "source.raw", "image.qcow2")
    for name in ("one", "two"):
        must("qemu-img", "snapshot", "-c", name, "image.qcow2")
        scribble(rng, "image.qcow2", data)
    must(interop.QED_IMG, "convert", "-O", "raw", "image.qcow2", "ours.raw")
    difference = interop.first_difference("ours.raw", bytes(data))
    if difference:
        raise Failure(difference)


def grow_or_cut(data, size):
    return bytearray((data + bytes(max(0, size - len(data))))[:size])


def chain_of_three(rng, case):
    """base, middle, top: any format below, any options, backing files shorter and longer."""
    base = bytearray(random_bytes(rng, rng.choice((3, 6, 9)) * MiB + rng.choice((0, 512, 31744))))
    interop.write_file("base.raw", base)
    kind = ("raw", "qcow2", "qed")[case % 3]
    if kind != "raw":
        must("qemu-img", "convert", *(("-c",) if kind == "qcow2" else ()), "-O", kind, "base.raw",
             "base." + kind)
    must("qemu-img", "create", "-q", "-f", "qcow2", *option(rng.choice(CREATE_OPTIONS[:9])), "-b",
         "base." + kind, "-F", kind, "middle.qcow2", str(rng.choice((2, 6, 10)) * MiB + 512))
    middle = grow_or_cut(base, os.path.getsize("base.raw"))
    middle = grow_or_cut(middle, virtual_size("middle.qcow2"))
    scribble(rng, "middle.qcow2", middle)
    must("qemu-img", "create", "-q", "-f", "qcow2", *option(rng.choice(CREATE_OPTIONS[:9])), "-b",
         "middle.qcow2", "-F", "qcow2", "top.qcow2", str(rng.choice((3, 6, 11)) * MiB + 1024))
    top = grow_or_cut(middle, virtual_size("top.qcow2"))
    scribble(rng, "top.qcow2", top)
    must("qemu-img", "convert", "-O", "raw", "top.qcow2", "theirs.raw")
    difference = interop.first_difference("theirs.raw", bytes(top))
    if difference:
        raise Failure("the model is wrong: %s" % difference)
    holds_and_compares(rng, "top.qcow2", bytes(top))
    if interop.qemu_version() == REFERENCE:
        same_words((interop.QED_IMG, "info", "--backing-chain", "top.qcow2"),
                   ("qemu-img", "info", "--backing-chain", "top.qcow2"))


def virtual_size(name):
    for line in must("qemu-img", "info", name).out.splitlines():
        if line.startswith("virtual size"):
            return int(line.split("(")[1].split()[0])
    raise Failure("no size of %s" % name)


def below_qed(rng, options, compress):
    """A golden qcow2 image below a QED image: populated by reads, written over, compared by QEMU."""
    data = bytearray(random_bytes(rng, SIZE))
    interop.write_file("source.raw", data)
    must("qemu-img", "convert", *(("-c",) if compress else ()), "-O", "qcow2", *option(options),
         "source.raw", "golden.qcow2")
    before = interop.read_file("golden.qcow2")
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "-b", "golden.qcow2", "-F", "qcow2",
         "vm.qed")
    commands = []
    for _ in range(40):
        offset = rng.randrange(SIZE // 512) * 512
        length = min(SIZE - offset, rng.randrange(1, 300) * 512)
        if rng.random() < 0.4:
            value = rng.randrange(1, 256)
            commands += ["write -q -P %d %d %d" % (value, offset, length)]
            data[offset:offset + length] = bytes([value]) * length
        else:
            commands += ["read -q %d %d" % (offset, length)]
    with interop.QedIo("-C", "-f", "qed", "vm.qed") as io:
        io.quiet(*commands)
        io.quit()
    if interop.read_file("golden.qcow2") != before:
        raise Failure("the golden image was changed")
    interop.check_image("vm.qed")
    for tool, out in (("qemu-img", "theirs.raw"), (interop.QED_IMG, "ours.raw")):
        must(tool, "convert", "-O", "raw", "vm.qed", out)
        difference = interop.first_difference(out, bytes(data))
        if difference:
            raise Failure("%s: %s" % (tool, difference))


def small_cache(rng):
    """Many L2 slices, a smaller cache, and many requests in flight."""
    must("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=512", "image.qcow2", "40M")
    commands, reads = [], []
    for i in range(0, 40 * MiB, 160 * KiB):
        commands += ["-c", "write -q -P %d %d 1k" % (1 + i % 255, i)]
        reads.append("aio_read -q -P %d %d 1k" % (1 + i % 255, i))
    must("qemu-io", "-f", "qcow2", *commands, "image.qcow2")
    rng.shuffle(reads)
    with interop.QedIo("-r", "-f", "qcow2", "image.qcow2") as io:
        io.quiet(*reads, *reads, "aio_flush")
        io.quit()


def not_for_writing():
    must("qemu-img", "create", "-q", "-f", "qcow2", "image.qcow2", "1M")
    result = interop.run(interop.QED_IO, "-c", "write 0 4k", "image.qcow2")
    if result.status != 1 or "read-only" not in result.err:
        raise Failure(str(result))
    result = interop.run(interop.QED_IMG, "create", "-f", "qcow2", "new.qcow2", "1M")
    if result.status != 1 or "qcow2" not in result.err or len(result.err.splitlines()) != 1:
        raise Failure(str(result))
    if os.path.exists("new.qcow2"):
        raise Failure("something was made")


def below_by_an_option():
    """A discard or zero write does not expose a backing file that was given by an option."""
    must("qemu-img", "create", "-q", "-f", "qcow2", "base.qcow2", "1M")
    must("qemu-io", "-f", "qcow2", "-c", "write -q -P 5 0 1M", "base.qcow2")
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "alone.qed", "1M")
    options = "driver=qed,file.filename=alone.qed,backing.file.filename=base.qcow2"
    for commands in (("write -q -z 0 64k", "write -q -P 9 128k 64k", "discard 128k 64k"), ()):
        out = must(interop.QED_IO, "--image-opts", *("-c%s" % c for c in commands),
                   "-cread -P 0 0 64k", "-cread -P 0 128k 64k", "-cread -P 5 64k 64k",
                   options).out
        if "failed" in out:
            raise Failure(out)


def with_holes(rng, bits):
    """Clusters that were allocated and not written are holes of the file: map tells, whatever the width
    of the reference counts that it guesses them by."""
    options = "preallocation=metadata,refcount_bits=%d" % bits
    must("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, "image", "%dk" % rng.randrange(10000, 60000))
    must("qemu-io", "-f", "qcow2", "-c", "write -q -P 1 1M %dk" % rng.randrange(4, 400, 4), "image")
    extents = json_map(interop.QED_IMG, "image")
    if extents != json_map("qemu-img", "image") or not (extents[0]["zero"] and extents[0]["data"]):
        raise Failure("not as QEMU: %s" % extents)


def not_made():
    """No image is made, and the line says why; under QEMU's name it is QEMU's line."""
    os.symlink(interop.QED_IMG, "qemu-img")
    interop.write_file("raw", bytes(4096))
    line = "Format driver 'qcow2' does not support image creation"
    for args in (("create", "-f", "qcow2", "-o", "compat=1.1", "x", "1M"),
                 ("convert", "-f", "raw", "-O", "qcow2", "raw", "x")):
        for tool, more in (interop.QED_IMG, ": qcow2 is read-only here\n"), ("./qemu-img", "\n"):
            result = interop.run(tool, *args)
            if result.status != 1 or not result.err.endswith(line + more) or os.path.exists("x"):
                raise Failure(str(result))


def main(results):
    if not interop.need_qemu(results, "qcow2"):
        return
    rng = random.Random(interop.seed_from(["qcow2"]))

    def case(name, function, *args):
        results.run("qcow2-" + name, function, rng, *args)
        for left in os.listdir("."):
            os.unlink(left)

    for options in CREATE_OPTIONS:
        case("convert %s" % (options or "default"), made_by_convert, options, False)
        case("written %s" % (options or "default"), written_to, options)
    for options in COMPRESSED_OPTIONS:
        case("compressed %s" % (options or "default"), made_by_convert, options, True)
    for bits in (1, 2, 4, 8, 16, 32, 64):
        case("holes %d" % bits, with_holes, bits)
    for options in COMPRESSED_OPTIONS[::3]:
        case("below-qed compressed %s" % (options or "default"), below_qed, options, True)
    case("below-qed extended", below_qed, "cluster_size=64k,extended_l2=on", False)
    case("snapshots", with_snapshots)
    for i in range(3 if QUICK else 12):
        case("chain %d" % i, chain_of_three, i)
    case("small-cache", small_cache)
    results.run("qcow2-not-for-writing", not_for_writing)
    results.run("qcow2-not-made", not_made)
    results.run("qcow2-below-by-an-option", below_by_an_option)


interop.main(main)
