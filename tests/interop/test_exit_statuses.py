#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The exit statuses of qedctl and qedd: 0 done, 1 failed, 2 usage, 3 not there, 4 busy.

A table of command lines, most of them for each verb. Each that fails prints one line. The server is
nodev_qedd, which has no block device: it stands beside a copy of qedctl, where qedctl looks for it.
"""

import os
import shutil
import signal
import sys
import time

import interop
from interop import BUILD, Failure, QED_IMG, must

DONE, FAILED, USAGE, NOT_THERE, BUSY = range(5)

# Verbs of one device, and what follows its name.
VERBS = {
    "remove": [], "recover": [], "info": [], "status": [], "stats": [], "table": [],
    "suspend": [], "resume": [], "stream": [], "reload": [], "resize": ["1G"],
    "message": ["stats", "reset"], "trace": ["start", "x"], "set": ["on-full=error"],
    "check": [], "partitions": [], "commit": [], "snapshot": ["new.qed"],
}
OTHER_VERBS = {"create", "ls", "features", "version"}

QEDCTL_ROWS = [
    # What is done.
    (DONE, "version"), (DONE, "features"), (DONE, "help create"), (DONE, "ls"), (DONE, "status live"),
    (DONE, "stats live"), (DONE, "info live"), (DONE, "remove --all --help"),
    # What is no command line.
    (USAGE, ""), (USAGE, "crate"), (USAGE, "ls x"), (USAGE, "create a"), (USAGE, "create a b c"),
    (USAGE, "create a b --size 3x"), (USAGE, "create a b --depth 0"), (USAGE, "create a/b c"),
    (USAGE, "create a b --cache fast"), (USAGE, "create a b --stream-base x"),
    (USAGE, "snapshot live"), (USAGE, "snapshot live nbd://host/x"),
    (USAGE, "resize live much"), (USAGE, "reload --target zero live"), (USAGE, "trace live go"),
    (USAGE, "stream live --pause --cancel"), (USAGE, "remove --all live"), (USAGE, "stats live dead"),
    # What is not there.
    (NOT_THERE, "create new none.qed --no-dm"),
    (NOT_THERE, "create new none/new.qed --size 1M --no-dm"),
    (NOT_THERE, "create new new.qed --backing none.raw --no-dm"),
    (NOT_THERE, "create new orphan.qed --no-dm"),
    (NOT_THERE, "create new over.qed --prefetch none.trace --no-dm"),
    (NOT_THERE, "create new free.qed --backing-dir none --no-dm"),
    # What is in use.
    (BUSY, "create live new.qed --size 1M --no-dm"), (BUSY, "create new used.qed --no-dm"),
    (BUSY, "recover live"), (BUSY, "remove live"), (BUSY, "trace live start y"),
    (BUSY, "snapshot live new.qed"),  # since a trace is recorded
    # What fails for another reason.
    (FAILED, "create new text --no-dm"), (FAILED, "create new free.qed --backing none.raw --no-dm"),
    (FAILED, "create new new.qed --size 1M --cluster-size 5000 --no-dm"),
    (FAILED, "stream live --base none.raw"), (FAILED, "trace live stop none"),
    (FAILED, "stats dead"), (FAILED, "stream dead"), (FAILED, "trace dead stop"), (FAILED, "table live"),
]
# With names, the last that fails counts.
QEDCTL_ROWS += [(NOT_THERE, "remove live gone"), (BUSY, "remove gone live")]
# At last, since it clears away the dead one.
LAST_ROWS = [(BUSY, "remove --all"), (DONE, "ls")]

QEDD_ROWS = [
    (DONE, "--help"), (DONE, "--version"),
    (USAGE, ""), (USAGE, "--name new"), (USAGE, "--image free.qed"), (USAGE, "--nmae new"),
    (USAGE, "--name new --image free.qed word"), (USAGE, "--name new --image free.qed --depth"),
    (USAGE, "--name new --image free.qed --depth 5000"), (USAGE, "--name a/b --image free.qed"),
    (USAGE, "--name new --image free.qed --foreground=yes"),
    (USAGE, "--name new --image free.qed --read-only --discard unmap --stream"),
]
# The same with the server as a child, which goes into the background, and in the foreground.
for _foreground in "", " --foreground":
    QEDD_ROWS += [(status, "--name new --image " + rest + _foreground) for status, rest in (
        (NOT_THERE, "none.qed"), (NOT_THERE, "none/new.qed --size 1M"), (NOT_THERE, "orphan.qed"),
        (NOT_THERE, "over.qed --prefetch none.trace"), (NOT_THERE, "free.qed --backing-dir none"),
        (BUSY, "used.qed"), (FAILED, "text"), (FAILED, "new.qed --size 1M --cluster-size 5000"),
    )]
    QEDD_ROWS.append((BUSY, "--name live --image free.qed" + _foreground))


def judge(program, row):
    wanted, line = row
    done = interop.run(program, *line.split())
    lines = done.err.splitlines()
    if done.status != wanted:
        raise Failure("wanted %d: %s" % (wanted, done))
    # In the foreground, and with several names, there may be more.
    if wanted and (not lines or not lines[-1].startswith(os.path.basename(program) + ": ") or
                   (len(lines) > 1 and " --foreground" not in line and "gone" not in line)):
        raise Failure("not one line: %s" % done)


def judge_list(qedctl):
    """Each verb has its rows here."""
    listed = {line.split()[0] for line in must(qedctl, "help").out.splitlines()
              if line.startswith("  ")}
    if listed != set(VERBS) | OTHER_VERBS:
        raise Failure("the verbs are %s" % " ".join(sorted(listed)))


def verb_rows():
    for verb, rest in VERBS.items():
        yield NOT_THERE, " ".join([verb, "gone"] + rest)
        yield USAGE, verb
        yield USAGE, " ".join([verb, "live"] + rest + ["--no-such-option"])
        yield USAGE, " ".join([verb, "a/b"] + rest)
    yield USAGE, "create new free.qed --no-such-option"


def pid_of(name):
    with open("run/%s.lock" % name, encoding="ascii") as lock:
        return int(lock.read())


def end(pid):
    """End the server, which refuses the first signal, since its device is in use."""
    give_up = time.monotonic() + interop.patience(20)
    while os.path.exists("run/live.lock") and time.monotonic() < give_up:
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.05)
    if os.path.exists("run/live.lock"):
        os.kill(pid, signal.SIGKILL)
        raise Failure("the server does not end")


def prepare(results):
    """Return qedctl and qedd, with a live device, one whose server was killed, and their images."""
    os.mkdir("bin")
    shutil.copy(os.path.join(BUILD, "qedctl"), "bin/qedctl")
    shutil.copy(os.path.join(BUILD, "tests/interop/nodev_qedd"), "bin/qedd")
    os.environ["QEDBLK_RUN_DIR"] = os.path.abspath("run")
    for image in "used", "free", "killed":
        must(QED_IMG, "create", "-q", "-f", "qed", image + ".qed", "1M")
    must(QED_IMG, "create", "-q", "-f", "qed", "-u", "-b", "none.raw", "-F", "raw", "orphan.qed", "1M")
    with open("text", "w", encoding="ascii") as file:
        file.write("no image, but a text\n" * 100)
    must(QED_IMG, "create", "-q", "-f", "qed", "-b", "text", "-F", "raw", "over.qed", "1M")
    qedctl, qedd = os.path.abspath("bin/qedctl"), os.path.abspath("bin/qedd")
    os.environ["NODEV_USED"] = "1"
    must(qedd, "--name", "live", "--image", "used.qed")
    must(qedd, "--name", "dead", "--image", "killed.qed")
    os.kill(pid_of("dead"), signal.SIGKILL)
    must(qedctl, "trace", "live", "start", "boot.trace")
    results.ok("a live device and a dead one")
    return qedctl, qedd


def main():
    if os.geteuid():
        print("skip exit statuses: not root")
        return 0
    results = interop.Results()
    with interop.WorkDir():
        qedctl, qedd = prepare(results)
        results.run("all verbs are tried", judge_list, qedctl)
        for row in QEDCTL_ROWS + list(verb_rows()) + LAST_ROWS:
            results.run("qedctl %s: %d" % (row[1], row[0]), judge, qedctl, row)
        for row in QEDD_ROWS:
            results.run("qedd %s: %d" % (row[1], row[0]), judge, qedd, row)
        left = [name for name in os.listdir(".") if name.startswith("new")]
        if left:
            results.not_ok("what fails leaves no image", " ".join(left))
        results.run("the server ends", end, pid_of("live"))
    return results.status()


sys.exit(main())
