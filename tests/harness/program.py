# SPDX-License-Identifier: GPL-2.0
"""Test programs on this machine: discovery, running with a time limit, results."""

import glob
import os
import pty
import re
import signal
import subprocess
import tempfile
import threading
import time
import tty

import guard
import report

SANITIZERS = ("address,undefined", "thread")
# Seconds; sanitized programs get SLOWER times as long.
TIME_LIMITS = {"self": 180, "format": 120, "unit": 300, "interop": 600, "extend": 600, "fuzz": 120,
               "crash": 1200, "faults": 900, "vm": 900, "kunit": 2400, "module": 2400, "iotests": 1800}
SLOWER = 3
# make check-long: tests do more, with this factor on their time limits.
LONGER = 20 if os.environ.get("QEDBLK_LONG") else 1
TIMEOUT_MARK = re.compile(r"^[ \t]*(?:#|//|/\*|\*)[ \t]*timeout:\s*(\d+)\b", re.MULTILINE)
PLAIN_ONLY_MARK = re.compile(r"^[ \t]*(?:#|//|/\*|\*)[ \t]*sanitized: no\b", re.MULTILINE)
THREADS_MARK = re.compile(r"^[ \t]*(?:#|//|/\*|\*)[ \t]*threads: yes\b", re.MULTILINE)
# How many crash images `make check` judges without io_uring.
THREADS_IMAGES = "1500"


class Test:
    """A program to run. Its log is in the build directory, so clones do not collide."""

    def __init__(self, layer, path, source, build, sanitizer, logs, extra=None):
        self.layer = layer
        self.path = path
        self.build = build
        self.sanitizer = sanitizer
        self.extra = extra or {}  # of its environment
        self.name = os.path.splitext(os.path.basename(source))[0]
        mark = "[%s]" % sanitizer if sanitizer else "[threads]" if extra else ""
        self.title = "%s%s %s" % (layer, mark, self.name)
        folder = os.path.join(logs, (layer + mark).replace(",", "-"))
        os.makedirs(folder, exist_ok=True)
        self.log = os.path.join(folder, self.name + ".log")
        self.limit = TIME_LIMITS[layer] * (SLOWER if sanitizer else 1) * LONGER
        if layer in ("unit", "interop", "crash", "faults"):
            self.limit = time_limit(source, TIME_LIMITS[layer]) * (SLOWER if sanitizer else 1)
            self.limit *= LONGER


def time_limit(source, default):
    """Return the time limit near the top of a test's source, in seconds."""
    with open(source, errors="replace") as file:
        match = TIMEOUT_MARK.search(file.read(2000))
    return int(match.group(1)) if match else default


def has_mark(source, mark):
    """Return whether the head of a test's source has this comment."""
    with open(source, errors="replace") as file:
        return mark.search(file.read(2000)) is not None


def discover(root, build, layers, only):
    logs = os.path.join(build, "test-logs")
    tests = []

    # What add() adds is for the engine without io_uring.
    threads = None
    # Only tests with the mark for that.
    marked = False

    def add(layer, path, source, where=build, sanitizer=""):
        if only not in source or (sanitizer and has_mark(source, PLAIN_ONLY_MARK)):
            return
        if not marked or has_mark(source, THREADS_MARK):
            tests.append(Test(layer, path, source, where, sanitizer, logs, threads))

    def add_unit(where, sanitizer=""):
        for folder in ("tests/unit", "tests/kunit"):
            for source in sorted(glob.glob(os.path.join(root, folder, "test_*.c"))):
                name = os.path.splitext(os.path.basename(source))[0]
                add("unit", os.path.join(where, folder, name), source, where, sanitizer)

    def add_interop(where, sanitizer=""):
        for suffix in ("sh", "py"):
            for source in sorted(glob.glob(os.path.join(root, "tests/interop/test_*." + suffix))):
                add("interop", source, source, where, sanitizer)

    def add_fuzz(where, sanitizer=""):
        for source in sorted(glob.glob(os.path.join(root, "tests/fuzz/fuzz_*.c"))):
            name = os.path.splitext(os.path.basename(source))[0]
            add("fuzz", os.path.join(where, "tests/fuzz", name), source, where, sanitizer)

    def add_crash(where, sanitizer=""):
        for source in glob.glob(os.path.join(root, "tests/crash/qed_crash.c")):
            add("crash", os.path.join(where, "tests/crash/qed_crash"), source, where, sanitizer)

    def add_faults(where, sanitizer=""):
        for source in glob.glob(os.path.join(root, "tests/faults/engine.c")):
            add("faults", os.path.join(where, "tests/faults/engine"), source, where, sanitizer)

    if "self" in layers:
        script = os.path.join(root, "tests/run-selftest")
        add("self", script, script)
    if "format" in layers:
        script = os.path.join(root, "scripts/check-format")
        add("format", script, script)
    if "unit" in layers:
        add_unit(build)
    if "interop" in layers:
        add_interop(build)
    if "extend" in layers:
        script = os.path.join(root, "tests/extend/test_extend.sh")
        add("extend", script, script)
    if "fuzz" in layers:
        add_fuzz(build)
    if "crash" in layers:
        add_crash(build)
        for source in sorted(glob.glob(os.path.join(root, "tests/crash/test_*.py"))):
            add("crash", source, source)
    if "faults" in layers:
        add_faults(build)
        for source in sorted(glob.glob(os.path.join(root, "tests/faults/test_*.py"))):
            add("faults", source, source)
    if "kunit" in layers:
        script = os.path.join(root, "tests/kunit/run-kunit")
        add("kunit", script, script)
    if "module" in layers:
        script = os.path.join(root, "tests/kunit/run-builds")
        add("module", script, script)
    if "iotests" in layers:
        script = os.path.join(root, "tests/iotests/run-iotests")
        add("iotests", script, script)
    if "vm" in layers:
        script = os.path.join(root, "tests/vm/selftest")
        add("vm", script, script)
    if "threads" in layers or "threads-all" in layers:
        threads = {"QEDBLK_AIO": "threads"}
        marked = "threads-all" not in layers
        if marked:
            threads["CRASH_IMAGES"] = THREADS_IMAGES
        add_unit(build)
        add_interop(build)
        add_crash(build)
        threads, marked = None, False
    if "sanitized" in layers:
        for sanitizer in SANITIZERS:
            where = os.path.join(build, "sanitize-" + sanitizer.replace(",", "-"))
            add_unit(where, sanitizer)
            add_interop(where, sanitizer)
            add_crash(where, sanitizer)
            add_faults(where, sanitizer)
            # Fuzzers are single-threaded: run them only with the memory sanitizer.
            if sanitizer != "thread":
                add_fuzz(where, sanitizer)
    return tests


def environment(test, folder):
    env = dict(os.environ)
    reports = "log_path=" + test.log + ".sanitizer"
    env.update(
        QEDBLK_BUILD=test.build, QEDBLK_SANITIZE=test.sanitizer, TMPDIR=folder, QEDBLK_TEST=folder,
        CMOCKA_MESSAGE_OUTPUT="TAP", LC_ALL="C.UTF-8",
        # Reports go to separate files: a script that expects a tool to fail would accept the
        # sanitizer's exit status.
        ASAN_OPTIONS="exitcode=86:detect_stack_use_after_return=0:" + reports,
        UBSAN_OPTIONS="print_stacktrace=1:" + reports,
        LSAN_OPTIONS="exitcode=86:" + reports,
        TSAN_OPTIONS="exitcode=86:second_deadlock_stack=1:atexit_sleep_ms=50:" + reports,
        **test.extra)
    return env


def command_line(test):
    # gcc 12's thread sanitizer does not support the address layouts of newer kernels.
    if test.sanitizer and subprocess.call(["setarch", "-R", "true"],
                                          stderr=subprocess.DEVNULL) == 0:
        return ["setarch", "-R", test.path]
    return [test.path]


# Set when the run ends early: no thread starts another program then.
stopping = False
start_lock = threading.Lock()


def stop(run):
    """End the running tests, and let none start."""
    global stopping
    with start_lock:
        stopping = True
    guard.end_processes(run.folder)


def start(command, **options):
    """Start a program that is part of the run; return its Popen, or None when the run is ending.
    The lock makes sure that stop() sees the process."""
    with start_lock:
        return None if stopping else subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)


def collect(source, outcome, log):
    """Read the test's output until the other end is closed."""
    with open(source, "rb", closefd=True) as stream, open(log, "w") as file:
        while True:
            try:
                line = stream.readline()
            except OSError:
                break  # End of file on a pseudo-terminal.
            if not line:
                break
            text = line.decode(errors="replace")
            file.write(text)
            file.flush()
            outcome.take_line(text.rstrip("\r\n"))


def execute(test, outcome, folder):
    """Run the program; return None when it exited with 0, else how it ended."""
    # On a terminal stdio writes line by line, so the log of a crash or hang shows how far it got.
    master, slave = pty.openpty()
    tty.setraw(slave)
    try:
        process = start(command_line(test), stdout=slave, stderr=slave,
                        env=environment(test, folder), start_new_session=True)
        if process is None:
            os.close(master)
            return "not begun"
    except OSError as error:
        os.close(master)
        return "cannot run %s: %s" % (test.path, error.strerror)
    finally:
        os.close(slave)
    reader = threading.Thread(target=collect, args=(master, outcome, test.log), daemon=True)
    reader.start()
    try:
        status = process.wait(test.limit)
    except subprocess.TimeoutExpired:
        status = None
    guard.end_processes(folder, process.pid)
    process.wait()
    reader.join(5)
    if status is None:
        return "time limit of %d s reached" % test.limit
    if status < 0:
        return "killed by %s" % signal.Signals(-status).name
    return "exit status %d" % status if status else None


def take_sanitizer_reports(test, outcome):
    for path in sorted(glob.glob(glob.escape(test.log) + ".sanitizer.*")):
        with open(path, errors="replace") as file:
            text = file.read()
        os.unlink(path)
        with open(test.log, "a") as log:
            log.write(text)
        outcome.failed.append("sanitizer report: " + next(
            (line for line in text.splitlines() if "Sanitizer" in line or "runtime error" in line),
            path))


def run(test, parent):
    """Run a test to its end, with its own directory in parent. Return its Outcome."""
    outcome = report.Outcome(test.title, test.log)
    for old in glob.glob(glob.escape(test.log) + "*"):
        os.unlink(old)
    folder = tempfile.mkdtemp(prefix=test.name + ".", dir=parent)
    start = time.monotonic()
    try:
        ending = execute(test, outcome, folder)
    finally:
        guard.remove(folder)
    outcome.seconds = time.monotonic() - start
    outcome.finish(ending)
    take_sanitizer_reports(test, outcome)
    return outcome
