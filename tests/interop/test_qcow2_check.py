#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
"""`check` and `measure` of qcow2 images: counts, words, JSON and exit status are those of QEMU.

Images of many kinds are made by QEMU, and damaged by a seeded script: reference counts, entries of
all tables, header fields, the file's length. The same is found where the counts do not fit in
memory, and no image makes a check use much memory."""

import json
import os
import random
import re
import resource
import shutil
import struct
import subprocess

import interop
from interop import Failure, GiB, KiB, MiB, must

QUICK = bool(interop.SANITIZE)

# The QEMU version whose output is compared.
REFERENCE = (7, 2)

OFFSET = 0x00fffffffffffe00
COPIED, PACKED = 1 << 63, 1 << 62

SECRET = ("--object", "secret,id=s,data=password")

# Name, options of create, commands of qemu-io, commands of qemu-img with {} for the image.
WRITES = ("write -q 0 1M", "write -q 3M 200k", "write -q -z 4M 300k", "discard -q 0 64k")
KINDS = {
    "plain": ("", WRITES, ()),
    "v2": ("compat=0.10", WRITES, ("snapshot -c s {}",)),
    "clusters-512": ("cluster_size=512", ("write -q 0 200k", "write -q 2M 9k"), ()),
    "clusters-2M": ("cluster_size=2M", WRITES, ()),
    "refcounts-1": ("refcount_bits=1", WRITES, ()),
    "refcounts-2": ("refcount_bits=2,cluster_size=4k", WRITES, ("snapshot -c s {}",) * 2),
    "refcounts-4": ("refcount_bits=4", WRITES, ("snapshot -c s {}",) * 3),
    "refcounts-8": ("refcount_bits=8,cluster_size=512", ("write -q 0 300k",), ()),
    "refcounts-32": ("refcount_bits=32", WRITES, ("snapshot -c s {}",)),
    "refcounts-64": ("refcount_bits=64,cluster_size=1k", WRITES, ()),
    "subclusters": ("extended_l2=on,cluster_size=32k",
                    WRITES + ("write -q 2M 3k", "write -q -z 2060k 5k", "discard -q 3M 4k"), ()),
    "snapshots": ("cluster_size=4k", WRITES,
                  ("snapshot -c one {}", "snapshot -c two {}", "snapshot -d one {}")),
    "bitmaps": ("cluster_size=4k", WRITES,
                ("bitmap --add -g 512 {} first", "bitmap --add --disable {} second")),
    "data-file": ("data_file=data.raw,cluster_size=4k", WRITES, ()),
    "dirty": ("lazy_refcounts=on", WRITES, ()),
}


def commands_of(kind):
    """Return what qemu-io does at first, and, between commands of qemu-img, later."""
    _, writes, verbs = KINDS[kind]
    return writes, [(verb, "write -q %dk 33k" % (i * 40)) for i, verb in enumerate(verbs)]


def write(name, *lines):
    must("qemu-io", *(word for line in lines for word in ("-c", line)), name)


def make(kind, name):
    options = KINDS[kind][0]
    writes, later = commands_of(kind)
    must("qemu-img", "create", "-q", "-f", "qcow2", *(("-o", options) if options else ()), name,
         "6M")
    write(name, *writes)
    for verb, line in later:
        must("qemu-img", *verb.format(name).split())
        write(name, line)
    if kind == "dirty":
        subprocess.run(("qemu-io", "-c", "write -q 5M 128k", "-c", "abort", name),
                       stderr=subprocess.DEVNULL, check=False)


def make_packed(options, name):
    make("plain", "unpacked")
    must("qemu-img", "convert", "-c", "-O", "qcow2", *(("-o", options) if options else ()),
         "unpacked", name)
    write(name, "write -q 128k 64k", "write -q 5M 10k")


def make_all():
    names = []
    for kind in KINDS:
        make(kind, kind)
        names.append(kind)
    for options in ("", "cluster_size=4k,compression_type=zstd", "extended_l2=on"):
        name = "packed-" + (options or "plain").split("=")[0]
        make_packed(options, name)
        names.append(name)
    must("qemu-img", "create", "-q", "-f", "qcow2", "-b", "plain", "-F", "qcow2", "overlay")
    write("overlay", "write -q 1M 100k")
    return names + ["overlay"]


# ---- Damage ----

class Image:
    """The bytes of an image, and where its tables are."""

    def __init__(self, name):
        self.data = bytearray(interop.read_file(name))
        self.bits = self.get(">I", 20)
        self.cluster = 1 << self.bits
        v3 = self.get(">I", 4) >= 3
        self.order = self.get(">I", 96) if v3 else 4
        self.step = 16 if v3 and self.get(">Q", 72) & 16 else 8

    def get(self, fmt, place):
        if place + struct.calcsize(fmt) > len(self.data):
            return 0
        return struct.unpack_from(fmt, self.data, place)[0]

    def put(self, fmt, place, value):
        if place + struct.calcsize(fmt) <= len(self.data):
            struct.pack_into(fmt, self.data, place, value)

    def table(self, offset, entries, mask=OFFSET):
        """Return places of entries that are not 0, and what they refer to."""
        words = [(offset + 8 * i, self.get(">Q", offset + 8 * i)) for i in range(entries)]
        return [(place, word & mask) for place, word in words if word]

    def l1(self):
        return self.table(self.get(">Q", 40), self.get(">I", 36))

    def l2(self):
        return [offset for _, offset in self.l1()]

    def blocks(self):
        return self.table(self.get(">Q", 48), self.get(">I", 56) * self.cluster // 8, ~511)

    def clusters(self):
        return len(self.data) // self.cluster


def some_offset(rng, image):
    """Return a file offset that is, or is not, that of a cluster, of metadata or of data."""
    tables = [0, image.get(">Q", 40), image.get(">Q", 48)] + image.l2()
    return rng.choice((rng.choice(tables), rng.randrange(image.clusters() + 3) * image.cluster,
                       rng.randrange(image.clusters()) * image.cluster + 512,
                       image.clusters() * image.cluster, 1 << 40, 0)) & OFFSET


def some_entry(rng, image, old):
    return rng.choice((
        old ^ COPIED, old ^ (1 << rng.randrange(64)), 0, some_offset(rng, image),
        some_offset(rng, image) | COPIED, old + image.cluster, old & ~OFFSET,
        PACKED | rng.randrange(image.clusters()) * image.cluster + rng.randrange(3) * 700,
        some_offset(rng, image) | 1, rng.getrandbits(64)))


def damage_count(rng, image):
    blocks = [offset for _, offset in image.blocks() if offset + image.cluster <= len(image.data)]
    if not blocks:
        return
    block, bits = rng.choice(blocks), 1 << image.order
    index = rng.randrange(min(image.clusters() + 4, image.cluster * 8 // bits))
    if bits < 8:
        image.data[block + index * bits // 8] ^= rng.choice((1, 1 << index * bits % 8,
                                                             rng.randrange(256)))
        return
    fmt = {8: ">B", 16: ">H", 32: ">I", 64: ">Q"}[bits]
    place = block + index * bits // 8
    image.put(fmt, place, rng.choice((0, 1, 2, 3, (1 << bits) - 1, image.get(fmt, place) ^ 1)))


def damage_l1(rng, image):
    if image.l1():
        place = rng.choice(image.l1())[0]
        image.put(">Q", place, some_entry(rng, image, image.get(">Q", place)))


def damage_l2(rng, image):
    if not image.l2():
        return
    table = rng.choice(image.l2())
    used = [place for place, _ in image.table(table, image.cluster // 8)]
    place = rng.choice(used + [table + 8 * rng.randrange(image.cluster // 8)])
    if image.step == 16 and rng.randrange(2):
        place ^= 8
    image.put(">Q", place, some_entry(rng, image, image.get(">Q", place)))


def damage_reftable(rng, image):
    place = image.get(">Q", 48) + 8 * rng.choice((0, 0, 0, 1, 2))
    old = image.get(">Q", place)
    image.put(">Q", place, rng.choice((old ^ 512, old | 1 << rng.randrange(9), 0,
                                       some_offset(rng, image), old + (1 << 40), 1 << 63)))


def damage_header(rng, image):
    fmt, place, values = rng.choice((
        (">Q", 40, (some_offset(rng, image),)),  # L1
        (">I", 36, (1, 2, 100, 5000)),
        (">Q", 48, (some_offset(rng, image),)),  # refcount table
        (">I", 56, (0, 1, 2, 1 << 20)),
        (">I", 60, (0, 1, 5, 65537)),  # snapshots
        (">Q", 64, (some_offset(rng, image) & ~511,)),
        (">Q", 24, (1 * MiB, 1536, 5 * MiB + 512)),  # size
        (">Q", 72, (1, 2, 3)), (">Q", 88, (0, 1))))
    if place >= 72 and image.get(">I", 4) < 3:
        return
    image.put(fmt, place, rng.choice(values) | (image.get(fmt, place) & 0x1c if place == 72 else 0))


def damage_snapshot(rng, image):
    table = image.get(">Q", 64)
    if not table:
        return
    fmt, place, value = rng.choice((
        (">Q", 0, some_offset(rng, image)), (">I", 8, rng.choice((1, 9, 700, (4 << 20) + 1))),
        (">H", 12, rng.randrange(9)), (">H", 14, rng.randrange(99)),
        (">I", 36, rng.choice((0, 8, 16, 99, 1025)))))
    image.put(fmt, table + place, value)


def damage_anywhere(rng, image):
    """The directory and tables of bitmaps, and whatever else is there."""
    words = [i for i in range(0, len(image.data) - 8, 8) if image.get(">Q", i) and
             i > image.cluster]
    metadata = [i for i in words if image.get(">Q", i) < 1 << 40]
    place = rng.choice(metadata or words)
    image.put(">Q", place, some_entry(rng, image, image.get(">Q", place)))


def damage_length(rng, image):
    if rng.randrange(2):
        del image.data[rng.randrange(3 * image.cluster, len(image.data)):]
    else:
        image.data += rng.randbytes(rng.choice((512, image.cluster, 3 * image.cluster + 1024)))


DAMAGES = (damage_count, damage_count, damage_l1, damage_l2, damage_l2, damage_l2, damage_reftable,
           damage_header, damage_snapshot, damage_anywhere, damage_length)


# ---- Comparing ----

def without_warnings(text):
    """Leave out what QEMU says of bitmaps that another program has not kept."""
    text = re.sub(r"qemu-img: warning: .*\n(Some clusters may be leaked, run 'qemu-img check -r' "
                  r"on the image file to fix\.)?", "", text)
    return re.sub(r"qed-img: warning: .*\n", "", text)


def programs(name, rest=("check",)):
    """Return the command lines of both programs; only QEMU needs a password."""
    if name.startswith("luks"):
        opts = "driver=qcow2,file.filename=%s" % name
        return ((interop.QED_IMG, *rest, "--image-opts", opts),
                ("qemu-img", *rest, *SECRET, "--image-opts", opts + ",encrypt.key-secret=s"))
    return ((interop.QED_IMG, *rest, "-f", "qcow2", name),
            ("qemu-img", *rest, "-f", "qcow2", name))


def compare(name, rest=("check",)):
    """Both sides print the same; where a check cannot be done, both end with status 1."""
    ours, theirs = programs(name, rest)
    got, want = interop.run(*ours), interop.run(*theirs)
    if want.status < 0 or want.status > 128:  # QEMU crashes
        return got
    # Only QEMU opens the key slots.
    if name.startswith("luks") and "Could not open" in want.err:
        return got
    if got.status != want.status:
        raise Failure("status: %s; QEMU: %s" % (got, want))
    if got.status == 1 and "Check failed\n" not in want.err:
        if len([line for line in got.err.splitlines() if line.startswith("qed-img: ")]) != 1:
            raise Failure("not one line that says why: %s" % got)
        return got
    want.out = want.out.replace(",encrypt.key-secret=s", "")
    err = without_warnings(got.err).replace("qed-img:", "qemu-img:")
    if (got.out, err) != (want.out, without_warnings(want.err)):
        pairs = zip((got.out + err).splitlines(),
                    (want.out + without_warnings(want.err)).splitlines())
        raise Failure("not as QEMU: %s; QEMU: %s; first difference %s" % (
            str(got)[:600], str(want)[:600], next((p for p in pairs if p[0] != p[1]), "length")))
    return got


def compare_both(name):
    """As text, and as JSON."""
    result = compare(name)
    compare(name, ("check", "--output=json"))
    return result


def intact(names):
    for name in names:
        result = compare_both(name)
        if result.status != (2 if name == "dirty" else 0):
            raise Failure("%s: %s" % (name, result))


def in_passes(name, single):
    """With memory for few counts the same is found, in several passes."""
    opts = "driver=qcow2,file.filename=%s,refcount-cache-size=64" % name
    several = interop.run(interop.QED_IMG, "check", "--image-opts", opts)
    lines = (sorted(single.err.splitlines()), single.status)
    if several.out != single.out or (sorted(several.err.splitlines()), several.status) != lines:
        raise Failure("in passes: %s; in one: %s" % (several, single))


def damaged(rng, names, rounds):
    statuses = set()
    for i in range(rounds):
        name = rng.choice(names)
        image = Image(name)
        for _ in range(rng.choice((1, 1, 2, 3))):
            rng.choice(DAMAGES)(rng, image)
        damaged_name = ("luks-" if name.startswith("luks") else "") + "damaged"
        interop.write_file(damaged_name, image.data)
        try:
            result = compare(damaged_name, ("check",) if i % 4 else ("check", "--output=json"))
            if i % 4 and result.status != 1:
                in_passes(damaged_name, result)
        except Failure as failure:
            raise Failure("round %d, %s: %s" % (i, name, failure)) from failure
        statuses.add(result.status)
    if rounds > 50 and statuses != {0, 1, 2, 3}:
        raise Failure("not all exit statuses were seen: %s" % statuses)


def make_luks(name):
    """Make an encrypted image. QEMU measures the time of a key, and fails if it saw none pass."""
    create = ("qemu-img", "create", "-q", "-f", "qcow2", *SECRET, "-o",
              "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10,cluster_size=4k",
              name, "1M")
    for _ in range(20):
        result = interop.run(*create)
        if "accurate CPU usage" not in result.err:
            break
    if result.status:
        raise Failure(str(result))


def encrypted():
    make_luks("luks")
    must("qemu-io", *SECRET, "--image-opts",
         "driver=qcow2,file.filename=luks,encrypt.key-secret=s", "-c", "write -q 0 100k")
    if compare_both("luks").status:
        raise Failure("errors in a new image")


# ---- What needs no QEMU to compare with ----

def limit_memory():
    if not interop.SANITIZE:
        resource.setrlimit(resource.RLIMIT_AS, (768 * MiB, 768 * MiB))


def check_bounded(name):
    # pylint: disable=subprocess-popen-preexec-fn
    done = subprocess.run((interop.QED_IMG, "check", "--output=json", "-f", "qcow2", name),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          preexec_fn=limit_memory, timeout=interop.patience(20))
    return interop.Result(("check", name), done.returncode, done.stdout.decode(),
                          done.stderr.decode(errors="replace")[:2000])


def sparse_tables():
    """Tables of terabytes that are holes: neither memory nor time."""
    must("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=2M", "sparse", "1P")
    image = Image("sparse")
    place, entries = image.get(">Q", 40), min(image.get(">I", 36), 2048)
    with open("sparse", "r+b") as file:
        file.seek(place)
        for i in range(entries):
            file.write(struct.pack(">Q", COPIED | GiB + i * 2 * MiB))
        file.truncate(GiB + entries * 2 * MiB)
    result = check_bounded("sparse")
    # Each table's count is 0, so the table has an error, and its flag.
    if result.status != 2 or json.loads(result.out)["corruptions"] != 2 * entries:
        raise Failure(str(result))


def many_clusters():
    """A file of more clusters than there is memory for 64-bit counts."""
    must("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=512,refcount_bits=64",
         "many", "1M")
    os.truncate("many", (20 if not QUICK else 1) * GiB)
    result = check_bounded("many")
    if result.status:
        raise Failure(str(result))
    os.truncate("many", 512 << 31)
    result = check_bounded("many")
    if result.status != 1 or "File too large" not in result.err:
        raise Failure(str(result))


def shared_tables():
    """A few MiB of tables that entries name again and again: an end, and one line that says why."""
    must("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=2M", "shared", "1T")
    write("shared", "write -q 0 1")
    image = Image("shared")
    place, entry = image.get(">Q", 40), image.get(">Q", image.get(">Q", 40))
    for i in range(image.get(">I", 36), image.cluster // 8):
        image.put(">Q", place + 8 * i, entry)
    image.put(">I", 36, image.cluster // 8)
    interop.write_file("shared", image.data)
    # With the memory for counts the bound is smaller, too.
    opts = "driver=qcow2,file.filename=shared,refcount-cache-size=64"
    result = interop.run(interop.QED_IMG, "check", "-q", "--image-opts", opts)
    if result.status != 1 or "the same tables too often" not in result.err.splitlines()[-1]:
        raise Failure(str(result)[-600:])


def control_characters():
    """Names in an image cannot write to the terminal."""
    make("snapshots", "names")
    image = Image("names")
    table = image.get(">Q", 64)
    image.put(">Q", table, image.get(">Q", table) + 8)
    text = table + 40 + image.get(">I", table + 36)
    image.data[text:text + 3] = b"\x1b\n\x7f"
    interop.write_file("names", image.data)
    result = interop.run(interop.QED_IMG, "check", "names")
    if result.status != 2 or "ERROR snapshot \\x1b" not in result.err or "\x1b" in result.err:
        raise Failure(str(result))


def no_repair():
    before = interop.read_file("plain")
    for what in ("leaks", "all"):
        result = interop.run(interop.QED_IMG, "check", "-r", what, "plain")
        if result.status != 63 or "qcow2 is read-only here" not in result.err or \
                len(result.err.splitlines()) != 1:
            raise Failure(str(result))
    if interop.read_file("plain") != before:
        raise Failure("the image was changed")


# Each verb that would write to a qcow2 image, or make one, and its line.
NO_WRITER = "format qcow2 cannot be written to"
NO_MAKER = "Format driver 'qcow2' does not support image creation: qcow2 is read-only here"
WRITERS = (
    ("create -f qcow2 new 1M", NO_MAKER), ("create -f qcow2 -o compat=1.1 new 1M", NO_MAKER),
    ("create -f qcow2 -o help", NO_MAKER), ("create -f qcow2 -b plain -F qcow2 new", NO_MAKER),
    ("convert -O qcow2 plain new", NO_MAKER), ("convert -c -O qcow2 plain new", NO_MAKER),
    ("convert -n -O qcow2 plain plain2", NO_WRITER), ("dd -O qcow2 if=plain of=new", NO_MAKER),
    ("resize plain +1M", NO_WRITER), ("resize --shrink plain 1M", NO_WRITER),
    ("commit overlay", NO_WRITER), ("commit -d above", NO_WRITER),
    ("amend -f qcow2 -o compat=0.10 plain", NO_WRITER), ("rebase -u -b '' overlay", NO_WRITER),
    ("rebase -b plain2 -F qcow2 overlay", NO_WRITER), ("snapshot -c new plain", NO_WRITER),
    ("snapshot -a new plain", NO_WRITER), ("snapshot -d new plain", NO_WRITER),
    ("bitmap --add plain new", NO_WRITER), ("bench -w -c 1 plain", NO_WRITER),
)


def no_writer():
    shutil.copy("plain", "plain2")
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "-b", "plain", "-F", "qcow2", "above")
    before = [interop.read_file(name) for name in ("plain", "plain2", "overlay")]
    for line, words in WRITERS:
        args = [word.replace("''", "") for word in line.split()]
        result = interop.run(interop.QED_IMG, *args)
        if result.status != 1 or words not in result.err or len(result.err.splitlines()) != 1:
            raise Failure(str(result))
        if os.path.exists("new"):
            raise Failure("%s: left a file" % line)
    if [interop.read_file(name) for name in ("plain", "plain2", "overlay")] != before:
        raise Failure("an image was changed")


# ---- measure ----

MEASURE_OPTIONS = (
    "", "compat=0.10", "cluster_size=512", "cluster_size=2M", "extended_l2=on", "refcount_bits=1",
    "refcount_bits=64,cluster_size=1k", "preallocation=metadata", "preallocation=falloc",
    "preallocation=full", "backing_file=x", "lazy_refcounts=on,compression_type=zstd",
    "data_file=x,data_file_raw=on", "size=1M", "cluster_size=3k", "cluster_size=256",
    "cluster_size=4M", "refcount_bits=3", "refcount_bits=128", "compat=0.10,refcount_bits=8",
    "compat=2", "extended_l2=on,cluster_size=8k", "preallocation=some", "nocow=on",
)


def measured(names):
    for name in names:
        for target in ("qcow2", "raw"):
            compare_measure("-O", target, name)
            compare_measure("-O", target, "--output=json", name)
    for options in MEASURE_OPTIONS[1:]:
        for source in (("bitmaps",), ("unpacked.raw",), ("--size", "3G")):
            compare_measure("-O", "qcow2", "-o", options, *source)
    for size in ("0", "1", "511", "512", "64k", "1T", "64T", "1P", "2E"):
        compare_measure("-O", "qcow2", "--size", size)


def compare_measure(*args):
    got = interop.run(interop.QED_IMG, "measure", *args)
    want = interop.run("qemu-img", "measure", *args)
    if (got.status, got.out, got.err.replace("qed-img:", "qemu-img:")) != (
            want.status, want.out, want.err):
        raise Failure("measure: %s; QEMU: %s" % (got, want))


def inconsistent_bitmap():
    """A bitmap that was in use when a program ended."""
    image = Image("bitmaps")
    at = image.data.find(struct.pack(">I", 0x23852875), 104) + 8
    directory = image.get(">Q", at + 16)
    image.put(">I", directory + 12, image.get(">I", directory + 12) | 1)
    interop.write_file("in-use", image.data)
    compare_measure("-O", "qcow2", "in-use")
    compare_both("in-use")


def snapshot_beyond_files():
    """A snapshot whose L1 table lies where no file has bytes."""
    image = Image("snapshots")
    place = image.get(">Q", 64)
    image.put(">Q", place, image.get(">Q", place) | 1 << 63)
    interop.write_file("beyond", image.data)
    compare_both("beyond")


def main(results):
    if not interop.need_qemu(results, "qcow2-check"):
        return
    seed = interop.seed_from([])
    rng = random.Random(seed)
    names = make_all()
    must("qemu-img", "convert", "-O", "raw", "plain", "unpacked.raw")
    results.run("no-repair", no_repair)
    results.run("no-writer", no_writer)
    results.run("sparse-tables", sparse_tables)
    results.run("many-clusters", many_clusters)
    results.run("control-characters", control_characters)
    results.run("shared-tables", shared_tables)
    # Words differ between QEMU's versions.
    if interop.qemu_version() != REFERENCE:
        return
    results.run("intact", intact, names)
    results.run("encrypted", encrypted)
    results.run("measure", measured, ("plain", "v2", "subclusters", "bitmaps", "overlay",
                                      "packed-plain", "unpacked.raw"))
    results.run("inconsistent-bitmap", inconsistent_bitmap)
    results.run("snapshot-beyond-files", snapshot_beyond_files)
    rounds = int(os.environ.get("ROUNDS", 20 if QUICK else 120))
    results.run("damaged", damaged, rng, names + ["luks"], rounds)


interop.main(main)
