# SPDX-License-Identifier: GPL-2.0
"""nbdkit servers for the interop tests: started, killed, restarted, and always ended with the test."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import time

from interop import BUILD, Failure, must, patience, SANITIZE

# Time limit for a server to start, in seconds; sanitizers make a plugin slow.
START_LIMIT = 60


def wait_until(condition, what, limit=START_LIMIT):
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > limit and time.monotonic() - begin > patience(limit):
            raise Failure("%s: not in %d seconds" % (what, limit))
        time.sleep(0.02)


class Nbdkit:
    """A server on a unix socket or a TCP port; a context manager."""

    count = 0

    def __init__(self, *args, socket=None, options=(), env=None):
        Nbdkit.count += 1
        # A relative path: a socket's path has at most 107 bytes, and test directories are deeply
        # nested.
        self.socket = socket or "nbd%d.sock" % Nbdkit.count
        self.pid_file = os.path.abspath("nbd%d.pid" % Nbdkit.count)
        self.log_file = os.path.abspath("nbd%d.log" % Nbdkit.count)
        self.args, self.options, self.env = list(args), list(options), env
        self.command = ["nbdkit"]
        self.process = None

    def url(self, export="", query="", scheme="nbd+unix"):
        return "%s:///%s?socket=%s%s" % (scheme, export, self.socket, query)

    def start(self):
        for name in (self.socket, self.pid_file):
            if os.path.exists(name):
                os.unlink(name)
        with open(self.log_file, "ab") as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(
                [*self.command, "-f", "--exit-with-parent", "-P", self.pid_file,
                 # nbdkit makes a relative path absolute, and so too long.
                 "-U", "/proc/self/cwd/" + self.socket,
                 *self.options, *self.args], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.env} if self.env else None)
        wait_until(lambda: os.path.exists(self.pid_file) or self.process.poll() is not None,
                   "nbdkit")
        if self.process.poll() is not None:
            raise Failure("nbdkit %s: %s" % (" ".join(self.args), self.log()))
        return self

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as file:
            return file.read()

    def signal(self, number):
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            wait_until(self.is_stopped, "nbdkit stops")

    def is_stopped(self):
        """Return whether all threads are stopped, which takes a while after SIGSTOP."""
        tasks = "/proc/%d/task" % self.process.pid
        for task in os.listdir(tasks):
            with open("%s/%s/stat" % (tasks, task), encoding="ascii", errors="replace") as file:
                if file.read().rsplit(")", 1)[1].split()[0] != "T":
                    return False
        return True

    def kill(self):
        """Kill the server, as in a crash."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Stop the server cleanly; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGCONT)
        try:
            return self.process.wait(START_LIMIT)
        except subprocess.TimeoutExpired as timeout:
            self.kill()
            raise Failure("nbdkit does not end; it said: %s" % self.log()[-2000:]) from timeout

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.kill()


def have_nbdkit():
    return shutil.which("nbdkit") is not None


PLUGIN = os.path.join(BUILD, "nbdkit-qed-plugin.so")


def plugin_env():
    """Return the environment in which nbdkit, built without a sanitizer, loads a plugin built with
    one."""
    for name in ("address", "thread"):
        if name in SANITIZE:
            library = must("gcc", "-print-file-name=lib%csan.so" % name[0]).out.strip()
            # Leaks of nbdkit itself are not the plugin's.
            options = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "detect_leaks=0")))
            return {"LD_PRELOAD": library, "ASAN_OPTIONS": options}
    return {}


class Client:
    """A minimal NBD client, for requests that other clients do not send."""

    FUA, NO_HOLE, FAST_ZERO = 1, 2, 16
    READ, WRITE, DISCONNECT, FLUSH, TRIM, CACHE, ZEROES = range(7)

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        magic, option, _ = struct.unpack(">8s8sH", self.receive(18))
        if magic != b"NBDMAGIC" or option != b"IHAVEOPT":
            raise Failure("no NBD server")
        # Fixed newstyle, no zeroes; then NBD_OPT_EXPORT_NAME with an empty name.
        self.socket.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 1, 0))
        self.size, self.flags = struct.unpack(">QH", self.receive(10))

    def receive(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise Failure("the server hung up")
            data += more
        return data

    def request(self, command, offset=0, length=0, flags=0, data=b""):
        """Return the error number of the reply, and the data read."""
        self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, flags, command, 1, offset, length)
                            + data)
        magic, error, _ = struct.unpack(">IIQ", self.receive(16))
        if magic != 0x67446698:
            raise Failure("no reply: %#x" % magic)
        return error, self.receive(length) if command == self.READ and not error else b""

    def close(self):
        self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, 0, self.DISCONNECT, 0, 0, 0))
        self.socket.close()
