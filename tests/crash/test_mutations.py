#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The tests must detect a driver that orders its writes wrongly.

Each mutant is a small edit of the QED driver, made in a copy and compiled. Its judges (the
power-loss simulator with a workload, or a case of a unit test) are linked with it instead of the
original, and each must fail: the simulator within a bounded number of crash images, and a replay
of its saved record must fail in the same way. An edit that no longer fits the source is a
failure: fix the edit.

  test_mutations.py [NAME...]
  test_mutations.py --qedd NAME FILE    makes FILE a qedd with that mutant, and ends
  test_mutations.py --table             writes the table in Documentation/ordering.rst, and ends

With QEDBLK_LONG set the simulator runs five times, to find mutants that are detected only by
chance.

timeout: 1200
"""

import concurrent.futures
import functools
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import mutants_image  # noqa: E402
import mutants_writer  # noqa: E402
from mutant import Unit  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("QEDBLK_BUILD", os.path.join(ROOT, "build"))
DRIVER = "userspace/format/qed"
ORDERING = os.path.join(ROOT, "Documentation/ordering.rst")
MUTANTS = mutants_writer.MUTANTS + mutants_image.MUTANTS
IMAGES = 20000
CRASH_SECONDS, UNIT_SECONDS = 300, 100
CRASH_RUNS = 5 if os.environ.get("QEDBLK_LONG") else 1
MOVING = "going on with the image"
PACKAGES = ("liburing", "devmapper", "liburcu-qsbr", "jansson", "zlib", "libzstd", "libedit",
            "libnbd")
# As in Makefile: programs that wrap blk_file_co_open().
WRAP = ("-Wl,--wrap=blk_file_co_open",)
WRAPPED = ("test_qed_opening", "test_qed_reopen")


class Wrong(Exception):
    """A mutant that does not fit, does not build, or is not detected."""


def run(command, seconds=CRASH_SECONDS, **variables):
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                encoding="utf-8", errors="replace", check=False, timeout=seconds,
                                env=dict(os.environ, **variables))
    except subprocess.TimeoutExpired:
        raise Wrong("%s takes longer than %d s" % (os.path.basename(command[0]), seconds))
    # Drop the driver's log, which has names of the run's directory; keep the simulator's verdict.
    result.stdout = "".join(line for line in result.stdout.splitlines(keepends=True)
                            if not line.startswith("qed_crash: "))
    result.stdout = re.sub(r"qedblk-crash-\w+", "qedblk-crash", result.stdout)
    return result


# ---- Building ----


@functools.lru_cache(maxsize=None)
def pkg_config(option, *packages):
    return run(["pkg-config", option, *packages]).stdout.split()


def edited(mutant):
    """Return the texts of the edited files, by name."""
    texts = {}
    for name, old, new in mutant.edits:
        if name not in texts:
            with open(os.path.join(ROOT, "userspace" if "/" in name else DRIVER, name)) as file:
                texts[name] = file.read()
        if texts[name].count(old) != 1:
            raise Wrong("the edit of %s does not fit any more" % name)
        texts[name] = texts[name].replace(old, new)
    return texts


def compile_edits(mutant, folder):
    objects = []
    for name, text in edited(mutant).items():
        source = os.path.join(folder, name.replace("/", "-"))
        with open(source, "w") as file:
            file.write(text)
        objects.append(source[:-2] + ".o")
        result = run([os.environ.get("CC", "gcc"), "-std=gnu11", "-O2", "-g", "-pthread", "-w",
                      "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64",
                      "-I" + os.path.join(ROOT, "userspace"), *pkg_config("--cflags", *PACKAGES),
                      "-c", "-o", objects[-1], source])
        if result.returncode:
            raise Wrong("does not compile: " + result.stdout)
    return objects


def objects_below(folder):
    folder = os.path.join(BUILD, "obj", folder)
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".o"))


def link(program, objects, flags=(), packages=()):
    # The library's copy of a mutated file is not linked, since all its symbols are already defined.
    result = run([os.environ.get("CC", "gcc"), "-pthread", "-Wl,--as-needed", *flags, "-o", program,
                  *objects, os.path.join(BUILD, "libqedtools.a"),
                  os.path.join(BUILD, "libqedblk.a"), *pkg_config("--libs", *packages, *PACKAGES)])
    if result.returncode:
        raise Wrong("does not link: " + result.stdout)


def link_judge(judge, objects, folder):
    """Link the judge's program with the mutant's objects."""
    if isinstance(judge, Unit):
        program = os.path.join(folder, judge.program)
        objects = objects + [os.path.join(BUILD, "obj/tests/unit", judge.program + ".o")]
        flags, packages = WRAP if judge.program in WRAPPED else (), ("cmocka",)
    else:
        program = os.path.join(folder, "qed_crash")
        objects = objects + objects_below("tests/crash")
        flags, packages = WRAP, ()
    if not os.path.exists(program):
        link(program, objects, flags, packages)
    return program


# ---- Judging ----


def run_case(program, judge, folder):
    return run([program], UNIT_SECONDS, QEDBLK_CASE=judge.case, CMOCKA_MESSAGE_OUTPUT="STDOUT",
               TMPDIR=folder)


def judged_by_unit(program, judge, folder):
    """Run a unit test's case. Raise Wrong if it passes; return its error messages."""
    result = run_case(program, judge, folder)
    if not result.returncode:
        raise Wrong("%s passes" % judge.name)
    failures = [line for line in result.stdout.splitlines() if ": failed: " in line]
    if not failures:
        raise Wrong("%s ended with %d: %s" % (judge.name, result.returncode, result.stdout[-2000:]))
    return [failures[0]]


def judged_by_crash(program, judge, folder):
    """The same for the simulator."""
    result = run([program, "--images", str(IMAGES), "--workload", judge.workload, "--keep", folder],
                 TMPDIR=folder)
    lines = result.stdout.splitlines()
    if result.returncode == 0:
        raise Wrong("%d crash images of %s, and nothing was noticed" % (IMAGES, judge.workload))
    if result.returncode != 1 or not any(line.startswith("not ok ") for line in lines):
        raise Wrong("ended with %d: %s" % (result.returncode, result.stdout[-2000:]))
    show_again(program, lines)
    return lines[:3 if lines[1].startswith("# ") else 1] + ["after " + lines[-1].lstrip("# ")]


def show_again(program, lines):
    """Replay the record: the bad crash image must appear again."""
    again = [line.split()[3:] for line in lines if line.startswith("# again: qed_crash ")]
    # Continuing with an image uses threads and timers, which differ between runs.
    if not again or any(MOVING in line for line in lines):
        return
    # Judging uses coroutines and a worker thread, so the first wrong sector may differ.
    for _ in range(3):
        result = run([program, *again[0]])
        if result.returncode == 1 and lines[1] in result.stdout.splitlines():
            return
    raise Wrong("the record does not show it again: " + result.stdout[-2000:])


def try_mutant(mutant):
    """Return the lines to print, and whether every judge detected the mutant."""
    lines = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            objects = compile_edits(mutant, folder)
            for judge in mutant.judges:
                program = link_judge(judge, objects, folder)
                lines.append("# %s, %s:" % (mutant.name, judge.name))
                if isinstance(judge, Unit):
                    said = judged_by_unit(program, judge, folder)
                else:
                    for _ in range(CRASH_RUNS):
                        said = judged_by_crash(program, judge, folder)
                lines += ["#     " + line.lstrip("# ")[:160] for line in said]
    except Wrong as wrong:
        return lines + ["not ok mutant %s: %s" % (mutant.name, wrong)], False
    return lines + ["ok mutant %s" % mutant.name], True


def try_original(judge):
    """Check that a case passes without a mutant."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(BUILD, "tests/unit", judge.program)
            result = run_case(program, judge, folder)
        if result.returncode or not re.search(r"OK \] %s$" % judge.case, result.stdout, re.M):
            raise Wrong("ended with %d: %s" % (result.returncode, result.stdout[-2000:]))
    except Wrong as wrong:
        return ["not ok original %s: %s" % (judge.name, wrong)], False
    return ["ok original %s" % judge.name], True


# ---- The table in ordering.rst ----


def place(what):
    """Sort key: rules before cases, both by number."""
    return what[0] != "R", int(what.lstrip("R"))


def table():
    """Return a row for each rule or case, mutant, and judge."""
    rows = {}
    for mutant in MUTANTS:
        for judge in mutant.judges:
            for what in judge.shows:
                rows.setdefault(what, []).append((mutant.name, judge.name))
    lines = [("Rule", "Mutant", "Workload of ``qed_crash``, or case of a unit test")]
    lines += [(what, *pair) for what in sorted(rows, key=place) for pair in rows[what]]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
            for line in lines]
    rule = "  ".join("=" * width for width in widths)
    return "\n".join([rule, text[0], rule, *text[1:], rule]) + "\n"


def read_ordering():
    """Return the text before the table, the table, and the text after it."""
    with open(ORDERING) as file:
        return re.fullmatch(r"(.*\n\.\. The table of mutants\.\n\n)(.*)(\n\.\. Its end\.\n.*)",
                            file.read(), re.S).groups()


def write_table():
    before, _, after = read_ordering()
    with open(ORDERING, "w") as file:
        file.write(before + table() + after)


def check_table():
    before, written, _ = read_ordering()
    text = before
    promised = re.findall(r"^(R\d+):", text, re.M) + re.findall(r"^\*\*(\d+)\.\*\*", text, re.M)
    shown = {what for mutant in MUTANTS for judge in mutant.judges for what in judge.shows}
    lacking = [what for what in promised if what not in shown]
    unknown = sorted(shown - set(promised), key=place)
    if lacking:
        return ["not ok table: no mutant of " + ", ".join(lacking)], False
    if unknown:
        return ["not ok table: ordering.rst does not have " + ", ".join(unknown)], False
    if table() != written:
        return ["not ok table: ordering.rst has another one; --table writes it"], False
    return ["ok table"], True


def check_names():
    names = [mutant.name for mutant in MUTANTS]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return ["not ok names: twice: " + ", ".join(twice)], False
    return ["ok names"], True


def mutant_server(name, file):
    mutant = next(m for m in MUTANTS if m.name == name)
    try:
        with tempfile.TemporaryDirectory() as folder:
            link(os.path.abspath(file),
                 compile_edits(mutant, folder) + objects_below("userspace/server"))
    except Wrong as wrong:
        print("mutant %s: %s" % (name, wrong), file=sys.stderr)
        return 1
    return 0


def main():
    names = sys.argv[1:]
    if names[:1] == ["--qedd"]:
        return mutant_server(names[1], names[2])
    if names == ["--table"]:
        write_table()
        return 0
    chosen = [m for m in MUTANTS if not names or m.name in names]
    cases = {judge.name: judge for m in chosen for judge in m.judges if isinstance(judge, Unit)}
    sys.stdout.reconfigure(line_buffering=True)
    results = []

    def show(lines, ok):
        print("\n".join(lines))
        results.append(ok)

    if not names:
        show(*check_names())
        show(*check_table())
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        work = [pool.submit(try_original, judge) for judge in cases.values()]
        work += [pool.submit(try_mutant, mutant) for mutant in chosen]
        for done in concurrent.futures.as_completed(work):
            show(*done.result())
    return 0 if chosen and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
