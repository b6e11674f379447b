# SPDX-License-Identifier: GPL-2.0
"""Shared by the rows of the benchmark: sides that are measured alternately, medians, aims, the
table.

A row is a function that gets a Bench and returns its sides: a dictionary from a side's name to a
function that makes one measurement and returns a number. It is registered by

    @row("name", "what is measured", "unit", aims=[AtLeast("ours", 4, "qemu"), AtMost("ours", 32)])

The sides of a row are measured alternately and repeatedly, so that other load on the machine
affects all of them; the median of each counts."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("QEDBLK_BUILD") or os.path.join(ROOT, "build"))
QED_IMG = os.path.join(BUILD, "qed-img")
QEDCTL = os.path.join(BUILD, "qedctl")

KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30

# Time limit of one program, in seconds.
TIMEOUT = 600


class Broken(Exception):
    """A measurement that failed."""


def run(*args, check=True):
    """Run a program; return its standard output."""
    done = subprocess.run([str(arg) for arg in args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT,
                          check=False)
    if check and done.returncode:
        raise Broken("%s: status %d: %s" % (" ".join(str(arg) for arg in args), done.returncode,
                                            done.stderr.decode(errors="replace").strip()))
    return done.stdout.decode(errors="replace")


class AtLeast:
    """@side's figure must be at least @factor times that of side @of."""

    def __init__(self, side, factor, of):
        self.side, self.factor, self.of = side, factor, of

    def judge(self, medians):
        if not medians.get(self.of) or self.side not in medians:
            return None
        got = medians[self.side] / medians[self.of]
        return {"aim": "%s at least %g x %s" % (self.side, self.factor, self.of), "got": got,
                "met": got >= self.factor}


class AtMost:
    """@side's figure must be at most @limit."""

    def __init__(self, side, limit):
        self.side, self.limit = side, limit

    def judge(self, medians):
        if self.side not in medians:
            return None
        got = medians[self.side]
        return {"aim": "%s at most %g" % (self.side, self.limit), "got": got,
                "met": got <= self.limit}


class Row:
    def __init__(self, name, what, unit, aims, sides):
        self.name, self.what, self.unit, self.aims, self.sides = name, what, unit, aims, sides


class Rows:
    """A table of rows, in order of definition."""

    def __init__(self):
        self.rows = []

    def __call__(self, name, what, unit, aims=()):
        def register(function):
            self.rows.append(Row(name, what, unit, aims, function))
            return function
        return register

    def chosen(self, words):
        """Return the rows whose names contain one of @words; all without any."""
        return [row for row in self.rows if not words or any(word in row.name for word in words)]


class Bench:
    """Directories for images, and clean-up. Rows make what they need in them."""

    def __init__(self, disk, memory, runs):
        self.disk, self.memory, self.runs = disk, memory, runs
        self.undo = []

    def at_exit(self, function, *args):
        self.undo.append((function, args))

    def clean_up(self):
        while self.undo:
            function, args = self.undo.pop()
            try:
                function(*args)
            except (Broken, OSError, subprocess.SubprocessError) as why:
                print("clean-up: %s" % why, flush=True)


def figure(value):
    """Return a number in short form, such as 31.2k."""
    for limit, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return "%.1f%s" % (value / limit, suffix)
    return "%.3g" % value


def measure(row, bench):
    """Return all measurements of a row, in the form written to JSON."""
    result = {"name": row.name, "what": row.what, "unit": row.unit}
    try:
        sides = row.sides(bench)
        figures = {name: [] for name in sides}
        for _ in range(bench.runs):
            for name, once in sides.items():
                figures[name].append(once())
    except (Broken, OSError, subprocess.SubprocessError) as why:
        result["error"] = str(why)
        return result
    finally:
        bench.clean_up()
    medians = {name: statistics.median(values) for name, values in figures.items()}
    result["sides"] = {name: {"median": medians[name], "all": values}
                       for name, values in figures.items()}
    result["aims"] = [verdict for verdict in (aim.judge(medians) for aim in row.aims) if verdict]
    return result


def print_row(result):
    print("\n%s: %s [%s]" % (result["name"], result["what"], result["unit"]))
    if "error" in result:
        print("    not measured: %s" % result["error"], flush=True)
        return
    for name, side in result["sides"].items():
        print("    %-12s %8s   (%s to %s)" % (name, figure(side["median"]),
                                              figure(min(side["all"])), figure(max(side["all"]))))
    for verdict in result["aims"]:
        print("    aim: %s: %.2f, %s" % (verdict["aim"], verdict["got"],
                                         "met" if verdict["met"] else "MISSED"))
    print(end="", flush=True)


# ---- The environment of the figures ----


def first_match(path, key):
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(key):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return ""


def version_of(*args):
    try:
        return run(*args).splitlines()[0] if shutil.which(args[0]) else "missing"
    except (Broken, IndexError):
        return "unknown"


def environment(bench):
    return {
        "kernel": platform.release(),
        "processor": first_match("/proc/cpuinfo", "model name"),
        "processors": os.cpu_count(),
        "memory": first_match("/proc/meminfo", "MemTotal"),
        "disk": run("df", "--output=fstype", bench.disk).split()[-1],
        "memory file system": run("df", "--output=fstype", bench.memory).split()[-1],
        "load before": os.getloadavg()[0],
        "qemu": version_of("qemu-img", "--version"),
        "fio": version_of("fio", "--version"),
        "qedblk": version_of("git", "-C", ROOT, "describe", "--always", "--dirty"),
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def write_json(path, report):
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=2)
        file.write("\n")
    os.replace(path + ".new", path)


# ---- Programs that rows run ----


def image_bench(program, *args):
    """Return requests per second of `qed-img bench` or `qemu-img bench`; @args must have -c COUNT."""
    count = int(args[args.index("-c") + 1])
    for line in run(program, "bench", *args).splitlines():
        if line.startswith("Run completed in "):
            return count / max(float(line.split()[3]), 1e-3)
    raise Broken("%s bench printed no time" % program)


def fio_jobs(*args):
    """Return fio's result, job by job: {"read": {...}, "write": {...}, ...}."""
    text = run("fio", "--output-format=json", "--direct=1", "--ioengine=io_uring",
               "--randrepeat=0", *args)
    return json.loads(text[text.index("{"):])["jobs"]


def fio(filename, rw, *options, **settings):
    """Return fio's result of one job."""
    settings = ["--%s=%s" % (key, value) for key, value in settings.items()]
    return fio_jobs("--name=bench", "--filename=%s" % filename, "--rw=%s" % rw, *options,
                    *settings)[0]


def fio_iops(filename, rw, *options, **settings):
    job = fio(filename, rw, *options, **settings)
    return job["read"]["iops"] + job["write"]["iops"]
