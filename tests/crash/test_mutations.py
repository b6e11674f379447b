#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The power-loss simulator must notice a driver that orders its writes wrongly.

Each mutation is a small edit of the QED driver, made in a copy, compiled, and linked to the
simulator in the place of the original; the simulator must then fail within a bounded number of
crash images, and the record that it keeps must show the same again. An edit that does not fit
the source any more is a failure: mend it.

  test_mutations.py [NAME...]
  test_mutations.py --qedd NAME FILE    makes FILE a qedd with that mutation, and ends

timeout: 1200
"""

import os
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
DRIVER = "userspace/format/qed"
IMAGES = 20000
MOVING = "going on with the image"


class Mutation:
    """edits: (file of the driver, or below userspace/, text, what it becomes). workload: where it
    must show."""

    def __init__(self, name, workload, *edits):
        self.name = name
        self.workload = workload
        self.edits = edits


MUTATIONS = (
    Mutation(
        "first-fdatasync-left-out", "copy-on-write",
        ("commit.c",
         "	ret = qed_co_flush_file(img);\n	if (ret || !(c->nr_batch",
         "	ret = c->nr_batch ? 0 : qed_co_flush_file(img);\n	if (ret || !(c->nr_batch")),
    Mutation(
        "second-fdatasync-left-out", "allocating-writes",
        ("commit.c",
         "		ret = write_l1(img);\n	if (!ret)\n		ret = qed_co_flush_file(img);\n",
         "		ret = write_l1(img);\n")),
    Mutation(
        "entries-written-before-data-is-flushed", "copy-on-write",
        ("commit.c",
         "	copy_batch(img);\n	ret = qed_co_flush_file(img);\n",
         "	copy_batch(img);\n	ret = write_slices(img);\n	if (!ret)\n"
         "		ret = qed_co_flush_file(img);\n")),
    Mutation(
        "entries-copied-after-the-flush", "copy-on-write",
        ("commit.c",
         "	copy_batch(img);\n	ret = qed_co_flush_file(img);\n",
         "	ret = qed_co_flush_file(img);\n	copy_batch(img);\n")),
    Mutation(
        "dropped-clusters-free-at-once", "discard-reuse",
        ("free_list.c",
         "	if (qed_run_list_add(&img->alloc.dropped, start, count))\n		return;\n",
         "	if (cluster_set_add(&img->alloc.free, start, count))\n		return;\n")),
    Mutation(
        "dropped-clusters-reused-before-the-commit", "discard-reuse",
        ("free_list.c",
         "	qed_keeper_commit(img, img->alloc.dropping > max_dropping(img) / 2);\n",
         "	qed_keeper_recycle(img);\n"),
        ("free_list.c",
         "	if (!a->waiting.nr && a->durable.nr) {\n",
         "	(void)qed_run_list_move(&a->durable, &a->dropped);\n"
         "	if (!a->waiting.nr && a->durable.nr) {\n")),
    Mutation(
        "freed-clusters-reused-under-requests", "discard-reuse",
        ("free_list.c",
         "	if (!a->waiting.nr || !inflight_passed(&img->node->inflight, a->ticket))\n",
         "	if (!a->waiting.nr)\n")),
    Mutation(
        "freed-clusters-not-punched", "discard-reuse",
        ("free_list.c",
         "	int ret = blk_file_co_write_zeroes(img->file, offset, bytes, true);\n",
         "	int ret = offset + bytes ? 0 : -1;\n")),
    Mutation(
        "punched-before-the-commit", "close-compacts",
        ("commit.c",
         "	copy_batch(img);\n",
         "	copy_batch(img);\n	for (size_t i = 0; i < img->alloc.committing.nr; i++)\n"
         "		(void)blk_file_co_write_zeroes(\n"
         "			img->file, img->alloc.committing.runs[i].start << img->cluster_bits,\n"
         "			img->alloc.committing.runs[i].count << img->cluster_bits, true);\n")),
    Mutation(
        "entry-set-before-the-copy-is-complete", "copy-on-write",
        ("copy.c",
         "	ret = fill_cluster(img, &fill, run.start << img->cluster_bits, &wrote);\n",
         "	ret = qed_co_set_entries(img, part->cluster, 1, run.start << img->cluster_bits, 0);\n"
         "	if (!ret)\n"
         "		ret = fill_cluster(img, &fill, run.start << img->cluster_bits, &wrote);\n")),
    Mutation(
        "who-joins-a-fill-too-late-is-left-out", "copy-on-write",
        ("copy.c",
         "	if (!pos)\n		close_fill(img, fill);\n", "")),
    Mutation(
        "populating-overwrites-newer-data", "copy-on-read",
        ("write.c",
         "			if (!(flags & BLK_REQ_POPULATE))\n",
         "			if (flags != UINT32_MAX)\n")),
    Mutation(
        "backing-file-dropped-before-the-flush", "streaming",
        ("backing.c",
         "		ret = qed_co_flush(node);\n",
         "		ret = 0;\n")),
    Mutation(
        "new-backing-file-before-the-flush", "rebased",
        ("backing.c",
         "		ret = qed_co_flush(node);\n",
         "		ret = 0;\n")),
    Mutation(
        "emptied-before-the-base-is-flushed", "committed",
        ("job/commit.c",
         "	ret = blk_co_flush(opts->base);\n",
         "	ret = 0;\n")),
    Mutation(
        "cut-before-l1-is-empty", "committed",
        ("empty.c",
         "	return ret ? ret : qed_co_flush_file(img);\n",
         "	return ret;\n")),
    Mutation(
        "longer-before-the-backing-file-is-hidden", "committed",
        ("resize.c",
         "	return ret ? ret : qed_co_flush(img->node);\n",
         "	return ret;\n")),
    Mutation(
        "made-without-the-mark", "converted",
        ("create.c",
         "		h->features |= QED_F_INCOMPLETE;\n",
         "		h->features |= 0;\n")),
    Mutation(
        "mark-gone-before-the-flush", "converted",
        ("header_io.c",
         "	int ret = qed_co_flush(node);\n",
         "	int ret = 0;\n")),
    Mutation(
        "mark-gone-without-a-flush", "converted",
        ("header_io.c",
         "	return ret ? ret : qed_co_flush_file(img);\n",
         "	return ret;\n")),
    Mutation(
        "discarding-shows-the-backing-file", "copy-on-read",
        ("zero.c",
         "		if (shows_backing(img))\n			return QED_L2_ZERO;\n", "")),
    Mutation(
        "short-way-for-a-dirty-entry", "fua",
        ("durable.c",
         "		if (!slice || slice->dirty || slice->committing)\n",
         "		if (!slice || slice->committing)\n")),
    Mutation(
        "short-way-beside-the-commit-of-its-entry", "fua",
        ("durable.c",
         "		if (!slice || slice->dirty || slice->committing)\n",
         "		if (!slice || slice->dirty)\n")),
    Mutation(
        "leak-scan-forgets-dropped-clusters", "leak-search",
        ("leak_scan.c",
         "	if (!scan->running || start >= scan->end)\n",
         "	if (scan->end || start >= scan->end)\n")),
    Mutation(
        "leak-scan-forgets-tables", "allocating-writes",
        ("leak_scan.c",
         "		ret = note_used(img, table >> img->cluster_bits, img->header.table_size);\n",
         "		ret = 0;\n")),
)


def run(command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            encoding="utf-8", errors="replace", check=False)
    # What the driver logs names the run's own folder; what the simulator says is the verdict.
    result.stdout = "".join(line for line in result.stdout.splitlines(keepends=True)
                            if not line.startswith("qed_crash: "))
    return result


def pkg_config(option, *packages):
    return run(["pkg-config", option, *packages]).stdout.split()


PACKAGES = ("liburing", "devmapper", "liburcu-qsbr", "jansson", "zlib", "libzstd", "libedit",
            "libnbd")


# What the simulator takes of qed-img, as in Makefile.
TOOL_OBJECTS = ("tools/qed-img/convert_copy.o", "tools/qed-img/progress.o")


def mutate(mutation, folder):
    """Writes the edited files to folder; returns their paths, or what is wrong."""
    texts = {}
    for name, old, new in mutation.edits:
        if name not in texts:
            with open(os.path.join(ROOT, "userspace" if "/" in name else DRIVER, name)) as file:
                texts[name] = file.read()
        if texts[name].count(old) != 1:
            return None, "the edit of %s does not apply any more" % name
        texts[name] = texts[name].replace(old, new)
    paths = []
    for name, text in texts.items():
        paths.append(os.path.join(folder, name.replace("/", "-")))
        with open(paths[-1], "w") as file:
            file.write(text)
    return paths, None


def objects_below(folder):
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".o"))


def build(sources, folder, build_dir, server=None):
    """Links the simulator (or, to that file, qedd) with the mutated files.

    Returns the program, or what is wrong.
    """
    compiler = os.environ.get("CC", "gcc")
    objects = []
    for source in sources:
        objects.append(source[:-2] + ".o")
        result = run([compiler, "-std=gnu11", "-O2", "-g", "-pthread", "-w", "-D_GNU_SOURCE",
                      "-D_FILE_OFFSET_BITS=64", "-I" + os.path.join(ROOT, "userspace"),
                      *pkg_config("--cflags", *PACKAGES), "-c", "-o", objects[-1], source])
        if result.returncode:
            return None, "does not compile: " + result.stdout
    main, flags = ("userspace/server", []) if server else \
        ("tests/crash", ["-Wl,--wrap=blk_file_co_open"])
    objects += objects_below(os.path.join(build_dir, "obj", main))
    if not server:
        objects += [os.path.join(build_dir, "obj", name) for name in TOOL_OBJECTS]
    program = server or os.path.join(folder, "qed_crash")
    # The library's own copy of a mutated file is not looked at: its names are all defined.
    result = run([compiler, "-pthread", "-Wl,--as-needed", *flags, "-o", program, *objects,
                  os.path.join(build_dir, "libqedtools.a"),
                  os.path.join(build_dir, "libqedblk.a"), *pkg_config("--libs", *PACKAGES)])
    if result.returncode:
        return None, "does not link: " + result.stdout
    return program, None


def noticed(program, mutation, folder):
    """Runs the simulator; returns None if it failed as it must, else what is wrong."""
    result = run([program, "--images", str(IMAGES), "--workload", mutation.workload,
                  "--keep", folder])
    lines = result.stdout.splitlines()
    if result.returncode == 0:
        return "%d crash images, and nothing was noticed" % IMAGES
    if result.returncode != 1 or not any(line.startswith("not ok ") for line in lines):
        return "ended with %d: %s" % (result.returncode, result.stdout[-2000:])
    for line in lines[:3 if lines[1].startswith("# ") else 1]:
        print("#     " + line.lstrip("# ")[:160])
    print("#     after %s" % lines[-1].lstrip("# "))
    return not_repeated(program, lines)


def not_repeated(program, lines):
    """Makes the bad crash image again; returns what is wrong, or None."""
    again = [line.split()[3:] for line in lines if line.startswith("# again: qed_crash ")]
    # Going on with an image takes threads and timers, which differ from run to run.
    if not again or any(MOVING in line for line in lines):
        return None
    # Judging takes coroutines and a worker thread, so the first wrong sector may be another.
    for _ in range(3):
        result = run([program, *again[0]])
        if result.returncode == 1 and lines[1] in result.stdout.splitlines():
            return None
    return "the record does not show it again: " + result.stdout[-2000:]


def try_mutation(mutation, build_dir):
    with tempfile.TemporaryDirectory() as folder:
        sources, wrong = mutate(mutation, folder)
        if not wrong:
            program, wrong = build(sources, folder, build_dir)
        if not wrong:
            wrong = noticed(program, mutation, folder)
    if wrong:
        print("not ok mutation %s: %s" % (mutation.name, wrong))
    else:
        print("ok mutation %s" % mutation.name)
    return not wrong


def mutant_server(name, file, build_dir):
    mutation = next(m for m in MUTATIONS if m.name == name)
    with tempfile.TemporaryDirectory() as folder:
        sources, wrong = mutate(mutation, folder)
        if not wrong:
            wrong = build(sources, folder, build_dir, os.path.abspath(file))[1]
    if wrong:
        print("mutation %s: %s" % (name, wrong), file=sys.stderr)
    return 1 if wrong else 0


def main():
    build_dir = os.environ.get("QEDBLK_BUILD", os.path.join(ROOT, "build"))
    if sys.argv[1:2] == ["--qedd"]:
        return mutant_server(sys.argv[2], sys.argv[3], build_dir)
    chosen = [m for m in MUTATIONS if not sys.argv[1:] or m.name in sys.argv[1:]]
    sys.stdout.reconfigure(line_buffering=True)
    results = [try_mutation(mutation, build_dir) for mutation in chosen]
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
