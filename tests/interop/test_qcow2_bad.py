#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
"""Hostile qcow2 images: a damaged or forbidden header gets one error line and status 1, a damaged
table an error for requests that use it and for no others. Nothing crashes or allocates much
memory."""

import os
import resource
import struct
import subprocess
import zlib

import interop
from interop import Failure, KiB, MiB, must

CLUSTER = 64 * KiB

# Name, format and offset of the header's fields.
FIELDS = {
    "magic": (">I", 0), "version": (">I", 4), "backing_offset": (">Q", 8),
    "backing_size": (">I", 16), "cluster_bits": (">I", 20), "size": (">Q", 24),
    "crypt": (">I", 32), "l1_size": (">I", 36), "l1_offset": (">Q", 40), "snapshots": (">I", 60),
    "snapshots_offset": (">Q", 64), "incompatible": (">Q", 72), "compatible": (">Q", 80),
    "autoclear": (">Q", 88), "refcount_order": (">I", 96), "header_length": (">I", 100),
    "compression": (">B", 104),
}

INFO = (interop.QED_IMG, "info", "-f", "qcow2", "{}")
READERS = (
    (interop.QED_IMG, "map", "-f", "qcow2", "{}"),
    INFO,
    (interop.QED_IMG, "convert", "-f", "qcow2", "-O", "raw", "{}", "out.raw"),
    (interop.QED_IO, "-r", "-f", "qcow2", "-c", "read 0 4k", "{}"),
)
# What needs more than the header.
DATA_READERS = READERS[:1] + READERS[2:]
if interop.SANITIZE:
    READERS = DATA_READERS = READERS[:1]


def get(data, field):
    fmt, place = FIELDS[field]
    return struct.unpack_from(fmt, data, place)[0]


def put(data, **fields):
    for field, value in fields.items():
        fmt, place = FIELDS[field]
        struct.pack_into(fmt, data, place, value)


def make(options="", size="4M", writes=("write -q -P 5 0 64k", "write -q -P 6 1M 128k")):
    must("qemu-img", "create", "-q", "-f", "qcow2", *(("-o", options) if options else ()),
         "bad.qcow2", size)
    commands = [word for line in writes for word in ("-c", line)]
    must("qemu-io", "-f", "qcow2", *commands, "bad.qcow2")
    return bytearray(interop.read_file("bad.qcow2"))


def limit_memory():
    # False sizes must not cost memory. (Sanitizers reserve terabytes of address space.)
    if not interop.SANITIZE:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


def run(*command):
    # pylint: disable=subprocess-popen-preexec-fn
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          preexec_fn=limit_memory, timeout=120)
    return interop.Result(command, done.returncode, done.stdout.decode(errors="replace"),
                          done.stderr.decode(errors="replace"))


def refused(words, readers=READERS):
    for command in readers:
        result = run(*(part.replace("{}", "bad.qcow2") for part in command))
        lines = result.err.splitlines()
        if result.status != 1 or len(lines) != 1 or "bad.qcow2" not in lines[0]:
            raise Failure("not refused in one line: %s" % result)
        if words.lower() not in lines[0].lower():
            raise Failure("the line lacks %r: %s" % (words, result))


def told(words="virtual size: 4 MiB"):
    """Require that `info`, which needs the header only, says @words."""
    result = run(*(part.replace("{}", "bad.qcow2") for part in INFO))
    if result.status or words not in result.out:
        raise Failure("no information: %s" % result)


# ---- Headers ----

HEADERS = {
    "magic": ({"magic": 0x514649fc}, "not in qcow2 format"),
    "version-0": ({"version": 0}, "version 0"),
    "version-1": ({"version": 1}, "version 1"),
    "version-4": ({"version": 4}, "version 4"),
    "clusters-small": ({"cluster_bits": 8}, "cluster size"),
    "clusters-large": ({"cluster_bits": 22}, "cluster size"),
    "clusters-huge": ({"cluster_bits": 0xffffffff}, "cluster size"),
    "size-top": ({"size": 1 << 63}, "8 EiB"),
    "size-beyond-l1": ({"size": 1 << 40}, "L1 table is too small"),
    "encrypted-odd": ({"crypt": 0xffffffff}, "encryption method 4294967295"),
    "l1-none": ({"l1_size": 0}, "L1 table is too small"),
    "l1-large": ({"l1_size": (32 << 20) // 8 + 1}, "L1 table too large"),
    "l1-huge": ({"l1_size": 0xffffffff}, "L1 table too large"),
    "l1-misaligned": ({"l1_offset": 3 * CLUSTER + 8}, "L1 table offset"),
    "l1-top": ({"l1_offset": (1 << 64) - CLUSTER}, "L1 table"),
    "backing-outside": ({"backing_offset": 1 << 40, "backing_size": 4}, "backing file offset"),
    "backing-top": ({"backing_offset": (1 << 64) - 1, "backing_size": 4}, "backing file offset"),
    "backing-in-header": ({"backing_offset": 8, "backing_size": 4}, "backing file offset"),
    "backing-long": ({"backing_offset": 512, "backing_size": 1024}, "too long"),
    "backing-huge": ({"backing_offset": 512, "backing_size": 0xffffffff}, "too long"),
    "backing-past-cluster": ({"backing_offset": CLUSTER - 4, "backing_size": 5}, "too long"),
    "refcount-order": ({"refcount_order": 7}, "Reference count"),
    "header-short": ({"header_length": 103}, "too short"),
    "header-long": ({"header_length": CLUSTER + 8}, "exceeds"),
    "header-huge": ({"header_length": 0xffffffff}, "exceeds"),
    "compression-unknown": ({"compression": 2, "incompatible": 8}, "compression type"),
    "compression-bit-alone": ({"incompatible": 8}, "ompression type"),
    "compression-no-bit": ({"compression": 1}, "ompression type"),
    "bit-unknown": ({"incompatible": 1 << 5}, "Unknown incompatible feature: 20"),
    "bits-unknown": ({"incompatible": 1 << 63 | 1 << 40}, "8000010000000000"),
}


# The same, but for `info`, which shows what is behind the words.
UNREADABLE = {
    "encrypted-aes": ({"crypt": 1}, "encrypted", "format: aes"),
    "encrypted-luks": ({"crypt": 2}, "encrypted", "format: luks"),
    "l1-outside": ({"l1_offset": 1 << 40}, "L1 table", "corrupt: false"),
    "data-file": ({"incompatible": 4}, "data file", "data file raw: false"),
}


def header(fields, words, info=None):
    data = make()
    put(data, **fields)
    interop.write_file("bad.qcow2", data)
    refused(words, DATA_READERS if info else READERS)
    if info:
        told(info)


def backing_name_ends():
    """A name ends at a NUL byte, so this one is empty: there is no backing file."""
    data = make()
    put(data, backing_offset=4096, backing_size=5)
    interop.write_file("bad.qcow2", data)
    must(interop.QED_IO, "-r", "-c", "read -q -P 6 1M 128k", "-c", "read -q -P 0 2M 1M",
         "bad.qcow2")
    if "backing" in must(interop.QED_IMG, "info", "bad.qcow2").out:
        raise Failure("info shows a backing file")


def feature_names():
    """Feature names come from the image, and are printed without control characters."""
    data = make()
    rows = b"".join(struct.pack(">BB46s", kind, bit, name) for kind, bit, name in (
        (1, 5, b"compatible thing"), (0, 5, b"weird feature"), (0, 6, b"red\x1b[31m"),
        (0, 255, b"no such bit")))
    data[104:112] = bytes(8)
    struct.pack_into(">II", data, 112, 0x6803f857, len(rows))
    put(data, header_length=112, incompatible=1 << 5 | 1 << 6 | 1 << 7)
    data[120:120 + len(rows) + 8] = rows + bytes(8)
    interop.write_file("bad.qcow2", data)
    refused("Unsupported qcow2 feature(s): weird feature, red?[31m, "
            "Unknown incompatible feature: 80")


def extensions():
    for kind, length, words in ((1, CLUSTER, "extension too large"),
                                (1, 0xffffffff, "extension too large"),
                                (0xe2792aca, 200, "too large"), (0x44415441, 1024, "data file name")):
        data = make()
        put(data, header_length=104)
        struct.pack_into(">II", data, 104, kind, length)
        data[112:2048] = bytes(1936)
        interop.write_file("bad.qcow2", data)
        refused(words)


def corrupt_bit():
    """An image marked as corrupt must not be written; its readable parts are read."""
    data = make()
    put(data, incompatible=2)
    interop.write_file("bad.qcow2", data)
    must(interop.QED_IO, "-r", "-c", "read -q -P 6 1M 128k", "bad.qcow2")
    if interop.have_qemu():
        must("qemu-img", "convert", "-f", "qcow2", "-O", "raw", "bad.qcow2", "qemu.raw")
        must(interop.QED_IMG, "convert", "-f", "qcow2", "-O", "raw", "bad.qcow2", "out.raw")
        if interop.read_file("out.raw") != interop.read_file("qemu.raw"):
            raise Failure("other bytes than qemu-img's")
    if "corrupt: true" not in must(interop.QED_IMG, "info", "bad.qcow2").out:
        raise Failure("info does not say so")


def dirty_bit():
    """A reader ignores wrong reference counts."""
    data = make()
    put(data, incompatible=1)
    interop.write_file("bad.qcow2", data)
    must(interop.QED_IO, "-r", "-c", "read -q -P 6 1M 128k", "bad.qcow2")
    if "cleanly shut down: no" not in must(interop.QED_IMG, "info", "bad.qcow2").out:
        raise Failure("info does not say so")


def subclusters_too_small():
    data = make("cluster_size=8k")
    put(data, incompatible=16)
    interop.write_file("bad.qcow2", data)
    refused("Extended L2")


def truncated():
    """A file that ends at any point: one error line, or zeroes and read errors, and never a crash."""
    data = make()
    for length in (0, 1, 4, 71, 72, 103, 104, 111, 200, 511, 4096, CLUSTER, 3 * CLUSTER,
                   3 * CLUSTER + 7):
        interop.write_file("bad.qcow2", data[:length])
        # The header has 112 bytes, and its extensions end before 4096.
        refused("bad.qcow2", READERS if length < 112 else DATA_READERS)
        if length >= 4096:
            told()
    for length in range(3 * CLUSTER + 8, len(data), 32 * KiB):
        interop.write_file("bad.qcow2", data[:length])
        result = run(interop.QED_IO, "-r", "-f", "qcow2", "-c", "read 0 4M", "bad.qcow2")
        if result.status not in (0, 1):
            raise Failure("at %d bytes: %s" % (length, result))


# ---- Tables ----

def l1_at(data):
    return get(data, "l1_offset")


def l2_at(data):
    return struct.unpack_from(">Q", data, l1_at(data))[0] & 0x00fffffffffffe00


def reads_fail(words="bad", good=True, where="0"):
    """Require that the damaged range cannot be read, with the reason on one line, and that the rest
    can."""
    result = run(interop.QED_IO, "-r", "-f", "qcow2", "-c", "read %s 4k" % where, "bad.qcow2")
    if result.status != 1 or "Input/output error" not in result.out or words not in result.err:
        raise Failure("not refused: %s" % result)
    if len(result.err.splitlines()) != 1:
        raise Failure("not one line: %s" % result)
    if good:
        must(interop.QED_IO, "-r", "-f", "qcow2", "-c", "read -q -P 6 1M 128k", "bad.qcow2")
    for command in READERS[:1] + READERS[2:3]:
        result = run(*(part.replace("{}", "bad.qcow2") for part in command))
        if result.status != 1:
            raise Failure("not refused: %s" % result)


L1_ENTRIES = {
    "misaligned": 4 * CLUSTER + 512, "outside": 1 << 40, "top": 0x00fffffffffffe00,
    "at-end": None,
}


def l1_entry(value):
    data = make()
    value = len(data) // CLUSTER * CLUSTER + CLUSTER if value is None else value
    struct.pack_into(">Q", data, l1_at(data), 1 << 63 | value)
    interop.write_file("bad.qcow2", data)
    reads_fail("bad L1 entry", good=False)


def l2_entry(value, options="", words="bad L2 entry"):
    data = make(options)
    struct.pack_into(">Q", data, l2_at(data), value)
    interop.write_file("bad.qcow2", data)
    # With large clusters all data is in the damaged one.
    reads_fail(words, good="2M" not in options)


L2_ENTRIES = {
    "misaligned": (1 << 63 | 5 * CLUSTER + 512,),
    "outside": (1 << 63 | 1 << 40,),
    "top": (1 << 63 | 0x00ffffffffff0000,),
    "zero-in-v2": (1, "compat=0.10"),
    "packed-outside": (1 << 62 | 1 << 50,),
    "packed-garbage": (1 << 62 | 5 * CLUSTER, "", "cannot inflate"),
    "packed-header": (1 << 62, "", "cannot inflate"),
    "packed-garbage-zstd": (1 << 62 | 5 * CLUSTER, "compression_type=zstd", "cannot inflate"),
    "packed-all-bits": (0x7fffffffffffffff, "compression_type=zstd"),
    "packed-all-bits-2m": (0x7fffffffffffffff, "cluster_size=2M", "bad L2 entry"),
}


def l2_table_cut():
    """A table cut off by the end of the file: missing entries are not treated as unallocated."""
    data = make("", "512M", ("write -q -P 6 1M 128k", "write -q -P 5 500M 64k"))
    table = l2_at(data)
    data = data + data[table:table + 30000]
    struct.pack_into(">Q", data, l1_at(data), 1 << 63 | len(data) // CLUSTER * CLUSTER)
    interop.write_file("bad.qcow2", data[:len(data) // CLUSTER * CLUSTER + 30000])
    reads_fail("ends inside of its L2 table", where="500M")


def tables_that_overlap():
    """All L1 entries refer to one table, which refers to itself: meaningless, but harmless."""
    data = make("", "8G")
    table = l2_at(data)
    for i in range(16):
        struct.pack_into(">Q", data, l1_at(data) + 8 * i, 1 << 63 | table)
    struct.pack_into(">Q", data, table, 1 << 63 | table)
    struct.pack_into(">Q", data, table + 8, 1 << 63)
    interop.write_file("bad.qcow2", data)
    for where in ("0", "512M", "7G"):
        must(interop.QED_IO, "-r", "-c", "read -q %s 4M" % where, "bad.qcow2")
    must(interop.QED_IMG, "map", "bad.qcow2")


def subclusters():
    """Subcluster bits that contradict each other, or an offset beyond the file."""
    options = "extended_l2=on,cluster_size=64k"
    for entry, bitmap in ((None, 1 | 1 << 32), (0, 1), (None, 0xffffffffffffffff)):
        data = make(options)
        table = l2_at(data)
        if entry is not None:
            struct.pack_into(">Q", data, table, entry)
        struct.pack_into(">Q", data, table + 8, bitmap)
        interop.write_file("bad.qcow2", data)
        reads_fail()
    # A request for the damaged range gets an error.
    data = make(options)
    struct.pack_into(">Q", data, l2_at(data) + 8, 0x0000000180000000 | 1 << 31 | 1 << 63)
    interop.write_file("bad.qcow2", data)
    reads_fail(where="62k")


def pack(data, packed, sectors):
    """Append compressed data to the file, and let cluster 0 refer to it."""
    place = len(data) + (-len(data)) % 512
    data = data + bytes(place - len(data)) + packed
    data += bytes((-len(data)) % 512)
    struct.pack_into(">Q", data, l2_at(data), 1 << 62 | (sectors - 1) << 54 | place)
    interop.write_file("bad.qcow2", data)


def deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -12)
    return packer.compress(data) + packer.flush()


def packed_lengths():
    """A stream that is too short fails, one that is too long is cut; no byte beyond the buffer is
    written."""
    pack(make(), deflate(b"x" * (CLUSTER - 1)), 1)
    reads_fail("cannot inflate")
    pack(make(), deflate(os.urandom(CLUSTER))[:400], 1)
    reads_fail("cannot inflate")
    pack(make(), deflate(b"x" * 100 * MiB), 255)
    must(interop.QED_IO, "-r", "-c", "read -q -P 120 0 64k", "bad.qcow2")
    # The sector count extends beyond the end of the file.
    pack(make(), deflate(b"x" * CLUSTER), 256)
    must(interop.QED_IO, "-r", "-c", "read -q -P 120 0 64k", "bad.qcow2")


def zstd_bombs():
    """Frames with windows of gigabytes, or without an end."""
    frame = b"\x28\xb5\x2f\xfd"
    for window in (0xa8, 0xff):
        pack(make("compression_type=zstd"), frame + bytes([0, window]) + b"\x01\0\0", 1)
        reads_fail("cannot inflate")
    # An RLE block of 2 MiB - 1 bytes, which is more than the maximum of a block.
    pack(make("compression_type=zstd"), frame + b"\0\x58\xfb\xff\xffA", 1)
    reads_fail("cannot inflate")


def backing_loop():
    for length in (1, 3):
        for i in range(length):
            must("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b",
                 "./loop%d.qcow2" % ((i + 1) % length), "-F", "qcow2", "loop%d.qcow2" % i, "1M")
        result = run(interop.QED_IO, "-r", "-c", "read 0 4k", "loop0.qcow2")
        if result.status != 1 or "loops back" not in result.err or len(
                result.err.splitlines()) != 1:
            raise Failure(str(result))


def strange_backing():
    for name, fmt, words in (("none.raw", "raw", "No such file"), (".", "raw", "regular file"),
                             ("bad.raw", "vmdk", "not supported"), ("bad.raw", "foo", "driver")):
        interop.write_file("bad.raw", bytes(MiB))
        must("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", name, "-F", "raw", "bad.qcow2",
             "1M")
        data = bytearray(interop.read_file("bad.qcow2"))
        at = data.find(struct.pack(">II", 0xe2792aca, 3))
        struct.pack_into(">I", data, at + 4, len(fmt))
        data[at + 8:at + 16] = fmt.encode().ljust(8, b"\0")
        interop.write_file("bad.qcow2", data)
        result = run(interop.QED_IO, "-r", "-c", "read 0 4k", "bad.qcow2")
        if result.status != 1 or words not in result.err or len(result.err.splitlines()) != 1:
            raise Failure(str(result))


def main(results):
    if not interop.need_qemu(results, "qcow2-bad"):
        return

    def case(name, function, *args):
        results.run("qcow2-bad-" + name, function, *args)
        for left in os.listdir("."):
            os.unlink(left)

    for name, (fields, *words) in (HEADERS | UNREADABLE).items():
        case(name, header, fields, *words)
    for name, value in L1_ENTRIES.items():
        case("l1-entry-" + name, l1_entry, value)
    for name, args in L2_ENTRIES.items():
        case("l2-entry-" + name, l2_entry, *args)
    for function in (backing_name_ends, feature_names, extensions, corrupt_bit, dirty_bit,
                     subclusters_too_small, truncated, l2_table_cut, tables_that_overlap, subclusters, packed_lengths,
                     zstd_bombs, backing_loop, strange_backing):
        case(function.__name__.replace("_", "-"), function)


interop.main(main)
