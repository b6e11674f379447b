# SPDX-License-Identifier: GPL-2.0
"""Nothing that a run of the tests starts or makes outlives it, however the run ends.

Everything started here has QEDBLK_TEST=FOLDER in its environment, a folder below the run's own
one; that marks a process even when it has left its session and its parent is gone. A second
process, the guard, waits on a pipe whose other end only tests/run holds. When tests/run ends,
by kill -9 as well, the guard ends what is left and removes the run's folder. When the guard was
killed, too, the next run does that: the folder of a run that still lives is locked.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time

MARK = b"QEDBLK_TEST="
# Seconds that a process has after SIGTERM, and that all have to go after SIGKILL.
GRACE = 5
GONE = 10


def read_processes():
    """{pid: (parent, session, environment)} of what may be looked at."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/environ" % name, "rb") as file:
                environment = file.read().split(b"\0")
            with open("/proc/%s/stat" % name, "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] not in (b"Z", b"X"):
            found[int(name)] = (int(fields[1]), int(fields[3]), environment)
    return found


def processes_of(folder, session):
    """Those with the mark or of the session, and their descendants: some have another environment."""
    wanted = MARK + os.fsencode(folder)
    processes = read_processes()
    more = {pid for pid, (_, its_session, environment) in processes.items()
            if its_session == session or
            any(entry == wanted or entry.startswith(wanted + b"/") for entry in environment)}
    found = set()
    while more:
        found |= more
        more = {pid for pid, (parent, _, _) in processes.items() if parent in found} - found
    found.discard(os.getpid())
    return found


def send(number, pids):
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            pass


def end_processes(folder, session=None):
    """Ends the processes that belong to folder, or to the session."""
    # Only once: what begins afterwards cleans up.
    send(signal.SIGTERM, processes_of(folder, session))
    for number, seconds in ((None, GRACE), (signal.SIGKILL, GONE)):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            left = processes_of(folder, session)
            if not left:
                return
            if number:
                send(number, left)
            time.sleep(0.05)


def remove(folder):
    """Removes folder; first unmounts what is mounted in it."""
    with open("/proc/self/mountinfo", "rb") as file:
        # Bytes, of which the kernel writes some as \NNN.
        points = [line.split()[4].decode("unicode_escape").encode("latin-1") for line in file]
    for point in reversed(points):
        if point.startswith(os.fsencode(folder) + b"/"):
            subprocess.call(["umount", "-l", point], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(folder, ignore_errors=True)


def lock(path):
    """Returns a file descriptor that locks path, or None when somebody else holds the lock."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


class Run:
    """The folder of one run of the tests, and the guard."""

    def __init__(self, build):
        base = os.path.join(os.path.realpath(build), "test-tmp")
        os.makedirs(base, exist_ok=True)
        # Held until the new folder is locked: before that it looks like a dead run's.
        with open(os.path.join(base, ".lock"), "w") as whole:
            fcntl.flock(whole, fcntl.LOCK_EX)
            self.remove_dead(base)
            self.folder = tempfile.mkdtemp(prefix="run.", dir=base)
            self.held = lock(self.folder)
        os.environ["QEDBLK_TEST"] = self.folder
        self.start_guard()

    @staticmethod
    def remove_dead(base):
        for name in os.listdir(base):
            folder = os.path.join(base, name)
            held = lock(folder) if name.startswith("run.") else None
            if held is not None:
                end_processes(folder)
                remove(folder)
                os.close(held)

    def start_guard(self):
        reader, self.lifeline = os.pipe()
        self.guard = os.fork()
        if self.guard:
            os.close(reader)
            return
        try:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            os.close(self.lifeline)
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            os.read(reader, 1)
            end_processes(self.folder)
            remove(self.folder)
        finally:
            os._exit(0)

    def close(self):
        """Waits until the guard has ended what is left and removed the folder."""
        os.close(self.lifeline)
        os.waitpid(self.guard, 0)
        os.close(self.held)
