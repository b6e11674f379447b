#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
"""qed-img and qed-io with a failure at every point: the Nth allocation, read, write, flush, ... of
a command fails, once or from then on (BUILD/tests/faults/qed-img, see inject.h).

A command succeeds completely with status 0, or ends with an error status and line. It never crashes
or hangs; sources are unchanged; the target image has its contents from before or after, and is
consistent for qed-img and qemu-img; no other file is left behind.

FAULT_TRIES is the number of points tried for each command and kind (3; 0: all), SEED selects them.
ONLY="COMMAND KIND:N:ERROR[:on]" tries one."""

import errno
import os
import random
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../interop"))

from interop import (BUILD, Failure, MiB, QED_IMG, QED_IO, Results, WorkDir, have_qemu, must,
                     read_file, run, seed_from, write_file)  # noqa: E402

SHORT = 1000
KINDS = [("alloc", errno.ENOMEM), ("alloc", errno.ENOMEM, "on"), ("read", errno.EIO),
         ("read", SHORT), ("write", errno.EIO), ("write", errno.ENOSPC, "on"), ("write", SHORT),
         ("flush", errno.EIO), ("flush", errno.EIO, "on"), ("fallocate", errno.ENOSPC, "on"),
         ("fallocate", errno.EOPNOTSUPP, "on"), ("truncate", errno.ENOSPC, "on"),
         ("call", errno.EIO)]
TIME_LIMIT = 120
# The source images of a try, made by tools without failures.
SOURCES = ("base.raw", "base.qed", "other.qed", "over.qed", "leaky.qed", "source.qcow2")


class Command:
    """A command line, and what it may change."""

    def __init__(self, name, *words, target=None, changes=(), program="qed-img", view=None,
                 statuses=(1,)):
        self.name, self.words, self.program = name, words, program
        self.target = target      # a new file
        self.changes = changes    # images of SOURCES that it may write to
        # The image whose contents after a failure are those from before, or those of a success.
        self.view = view
        self.statuses = statuses  # of failures


COMMANDS = [
    Command("create", "create", "-q", "-f", "qed", "new.qed", "4M", target="new.qed"),
    Command("create over a backing file", "create", "-q", "-f", "qed", "-F", "qed", "-b", "base.qed",
            "new.qed", target="new.qed"),
    Command("check", "check", "over.qed"),
    Command("check that repairs", "check", "-r", "all", "leaky.qed", changes=("leaky.qed",),
            view="leaky.qed", statuses=(1, 2, 3)),
    Command("convert to qed", "convert", "-O", "qed", "-o", "cluster_size=4096", "base.raw", "new.qed",
            target="new.qed"),
    Command("convert to raw", "convert", "-O", "raw", "over.qed", "new.raw", target="new.raw"),
    Command("convert over a backing file", "convert", "-O", "qed", "-F", "qed", "-B", "base.qed",
            "over.qed", "new.qed", target="new.qed"),
    Command("convert from qcow2", "convert", "-O", "qed", "source.qcow2", "new.qed",
            target="new.qed"),
    Command("dd", "dd", "-O", "qed", "if=base.qed", "of=new.qed", "bs=65536", target="new.qed"),
    Command("commit", "commit", "-q", "over.qed", changes=("over.qed", "base.qed"), view="over.qed"),
    Command("rebase", "rebase", "-F", "qed", "-b", "other.qed", "over.qed", changes=("over.qed",),
            view="over.qed"),
    Command("rebase to nothing", "rebase", "-b", "", "over.qed", changes=("over.qed",),
            view="over.qed"),
    Command("resize", "resize", "-q", "over.qed", "6M", changes=("over.qed",), view="over.qed"),
    # A failure may leave the old size, and zeroes behind the new end.
    Command("resize to less", "resize", "-q", "--shrink", "over.qed", "2M", changes=("over.qed",)),
    Command("compare", "compare", "base.raw", "base.qed", statuses=(1, 2, 3, 4)),
    Command("map", "map", "--output", "json", "over.qed"),
    Command("info for people", "info", "over.qed"),
    Command("check as JSON", "check", "--output", "json", "over.qed"),
    Command("check of qcow2", "check", "source.qcow2"),
    Command("measure of qcow2", "measure", "-O", "qcow2", "source.qcow2"),
    Command("info", "info", "--backing-chain", "--output", "json", "over.qed"),
    Command("measure", "measure", "--output", "json", "-O", "qed", "over.qed"),
    Command("qed-io", "-c", "write -P 7 100k 300k", "-c", "write -z -u 1M 128k", "-c", "discard 0 64k",
            "-c", "flush", "-c", "read -P 7 100k 300k", "over.qed", changes=("over.qed",), program="qed-io"),
]


def prepare():
    """Make the source images, small and with clusters of all kinds."""
    noise = random.Random(1)
    data = bytearray(3 * MiB)
    for at in range(0, len(data), 65536):
        if noise.random() < 0.6:
            length = noise.choice((512, 4096, 65536))
            data[at:at + length] = noise.randbytes(length)
    write_file("base.raw", bytes(data))
    geometry = "cluster_size=16384,table_size=2"
    must(QED_IMG, "convert", "-O", "qed", "-o", geometry, "base.raw", "base.qed")
    data[65536:131072] = noise.randbytes(65536)
    write_file("other.raw", bytes(data))
    must(QED_IMG, "convert", "-O", "qed", "-o", geometry, "other.raw", "other.qed")
    os.unlink("other.raw")
    must(QED_IMG, "create", "-q", "-f", "qed", "-o", geometry, "-F", "qed", "-b", "base.qed", "over.qed")
    must(QED_IO, "-c", "write -P 3 40k 100k", "-c", "write -z 512k 64k", "-c", "write -P 4 2M 300k",
         "over.qed")
    shutil.copy("base.qed", "leaky.qed")
    with open("leaky.qed", "ab") as file:
        file.write(bytes(5 * 16384))
    must(QED_IMG, "convert", "-O", "raw", "over.qed", "view.raw")
    if have_qemu():
        must("qemu-img", "convert", "-c", "-O", "qcow2", "base.raw", "source.qcow2")


class Judge:
    """The clean images, and the results of commands without failures."""

    def __init__(self, clean):
        self.clean = clean
        self.old_view = {}

    def view(self, name):
        """Return the contents of image @name, which must be valid."""
        result = run(QED_IMG, "convert", "-O", "raw", name, "judge.raw")
        if result.status:
            raise Failure("cannot be read afterwards: " + str(result))
        content = read_file("judge.raw")
        os.unlink("judge.raw")
        return content

    def consistent(self, name, leaks):
        """Check with qed-img and qemu-img; status 3 means leaks only."""
        good = (0, 3) if leaks else (0,)
        result = run(QED_IMG, "check", name)
        if result.status not in good:
            raise Failure("%s is not consistent: %s" % (name, result))
        if have_qemu():
            result = run("qemu-img", "check", "-f", "qed", name)
            if result.status not in good:
                raise Failure("%s is not consistent for QEMU: %s" % (name, result))


def put_back(clean, command=None):
    """Restore the working directory: copy again what @command (None: any) may have changed."""
    for name in os.listdir("."):
        if not command or name not in SOURCES or name in command.changes:
            os.unlink(name)
    for name in os.listdir(clean):
        if not os.path.exists(name):
            shutil.copy(os.path.join(clean, name), name)


def execute(command, fault=None, counts=None):
    env = dict(os.environ, LC_ALL="C")
    if fault:
        env["QEDBLK_FAULT"] = fault
    if counts:
        env["QEDBLK_FAULT_COUNT"] = counts
    program = os.path.join(BUILD, "tests/faults", command.program)
    try:
        done = subprocess.run([program, *command.words], env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIME_LIMIT,
                              check=False)
    except subprocess.TimeoutExpired as timeout:
        raise Failure("hangs") from timeout
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


class Clean:
    """The result of the command without failures."""

    def __init__(self, command, judge):
        self.status, self.out, self.err = execute(command, counts="counts")
        with open("counts", encoding="ascii") as file:
            self.counts = {kind: int(number) for kind, number in
                           (line.split() for line in file)}
        os.unlink("counts")
        if self.status or self.err:
            raise Failure("without a failure: status %d, %s" % (self.status, self.err))
        self.files = set(os.listdir("."))
        self.views = {name: judge.view(name) for name in self.images(command)}

    @staticmethod
    def images(command):
        return [name for name in (command.target, *command.changes) if name]


def without_speed(text):
    """Remove timing, which differs from run to run."""
    return re.sub(r"[0-9.:]+ (sec|[KMG]iB/sec|ops/sec).*", "", re.sub(r"[0-9.]+ ?(ops|sec)[^\n]*", "", text))


def judge_failure(command, judge, status, out, err):
    if status not in command.statuses:
        raise Failure("status %d: %s" % (status, err))
    # Errors that check finds in an image are not errors of check; qed-io prints as qemu-io does.
    lines = (err if status == 1 and command.program == "qed-img" else out + err).strip().splitlines()
    if not lines:
        raise Failure("status %d and not a word" % status)
    if any("Assertion" in line or "Sanitizer" in line for line in lines):
        raise Failure(err)
    for name in command.changes:
        judge.consistent(name, leaks=True)


def judge_success(command, judge, clean, out):
    if without_speed(out) != without_speed(clean.out):
        raise Failure("status 0, and it printed: " + out)
    for name, content in clean.views.items():
        if judge.view(name) != content:
            raise Failure("status 0, and %s has another content" % name)
        if name.endswith(".qed"):
            judge.consistent(name, leaks=True)


def judge_try(command, judge, clean, result):
    status, out, err = result
    if status < 0 or status > 100:
        raise Failure("ended with %d: %s" % (status, err))
    left = set(os.listdir(".")) - clean.files
    if left:
        raise Failure("left behind: " + " ".join(sorted(left)))
    for name in os.listdir("."):
        if name in SOURCES and name not in command.changes and \
                read_file(name) != read_file(os.path.join(judge.clean, name)):
            raise Failure("%s was changed" % name)
    if status == 0:
        judge_success(command, judge, clean, out)
        return
    judge_failure(command, judge, status, out, err)
    if command.view:
        now = judge.view(command.view)
        if now not in (clean.views[command.view], judge.old_view[command.view]):
            raise Failure("status %d, and %s shows neither the old nor the new content"
                          % (status, command.view))


def try_one(command, judge, clean, fault):
    put_back(judge.clean, command)
    try:
        judge_try(command, judge, clean, execute(command, fault))
    except Failure as failure:
        raise Failure("ONLY='%s %s': %s" % (command.name, fault, failure)) from failure


def try_command(command, judge, tries, chance):
    put_back(judge.clean)
    clean = Clean(command, judge)
    places = 0
    for kind, error, *on in KINDS:
        calls = clean.counts[kind]
        # Spread over all calls, at other points in each run.
        step = max(1, calls // tries if tries else 1)
        for nth in range(1 + chance.randrange(step), calls + 1, step):
            try_one(command, judge, clean, ":".join([kind, str(nth), str(error), *on]))
            places += 1
    print("# %s: %d places" % (command.name, places), flush=True)


def main():
    results = Results()
    chance = random.Random(seed_from(sys.argv))
    tries = int(os.environ.get("FAULT_TRIES", "3"))
    only = os.environ.get("ONLY")
    with WorkDir() as folder:
        os.mkdir("clean")
        os.chdir("clean")
        prepare()
        os.chdir("..")
        os.mkdir("work")
        os.chdir("work")
        judge = Judge(os.path.join(folder, "clean"))
        view = read_file(os.path.join(judge.clean, "view.raw"))
        os.unlink(os.path.join(judge.clean, "view.raw"))
        judge.old_view = {"over.qed": view, "leaky.qed": read_file(os.path.join(judge.clean, "base.raw"))}
        for command in COMMANDS:
            if "source.qcow2" in command.words and not have_qemu():
                results.skip(command.name, "no qemu-img to make its source")
            elif not only:
                results.run(command.name, try_command, command, judge, tries, chance)
            elif only.rpartition(" ")[0] == command.name:
                put_back(judge.clean, command)
                results.run(only, try_one, command, judge, Clean(command, judge), only.split()[-1])
    return results.status()


if __name__ == "__main__":
    sys.exit(main())
