# SPDX-License-Identifier: GPL-2.0
"""The guard: no process or file of a test run outlives it, however the run ends.

Every process started here has QEDBLK_TEST=FOLDER in its environment, a directory below the run's
own, which marks it even after it has left its session and its parent is gone. A second process,
the guard, waits on a pipe whose other end only tests/run has open. When tests/run ends, even by
kill -9, the guard ends the remaining processes and removes the run's directory. If the guard was
killed, too, the next run does that: the directory of a live run is locked."""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time

MARK = b"QEDBLK_TEST="
# Seconds from SIGTERM to SIGKILL, and from SIGKILL until the processes must be gone.
GRACE = 5
GONE = 10


def read_processes():
    """Return {pid: (parent, session, environment)} of the processes that may be inspected."""
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
    """Return processes with the mark or of the session, and descendants, which may lack the mark."""
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
    """End the processes that belong to folder, or to the session."""
    # Only once: processes started afterwards are cleaning up.
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
    """Unmount all mounts in folder, then remove it."""
    with open("/proc/self/mountinfo", "rb") as file:
        # Bytes, of which the kernel writes some as \NNN.
        points = [line.split()[4].decode("unicode_escape").encode("latin-1") for line in file]
    for point in reversed(points):
        if point.startswith(os.fsencode(folder) + b"/"):
            subprocess.call(["umount", "-l", point], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(folder, ignore_errors=True)


def lock(path):
    """Return a file descriptor that locks path, or None when another process holds the lock."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


class Run:
    """The directory of a test run, and the guard."""

    def __init__(self, build):
        base = os.path.join(os.path.realpath(build), "test-tmp")
        os.makedirs(base, exist_ok=True)
        # Held until the new directory is locked: before that it looks like that of a dead run.
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
        """Wait until the guard has ended remaining processes and removed the directory."""
        os.close(self.lifeline)
        os.waitpid(self.guard, 0)
        os.close(self.held)
