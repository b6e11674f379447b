# SPDX-License-Identifier: GPL-2.0
"""nbdkit servers for the interop tests: started, killed, started again, always gone in the end."""

import os
import shutil
import signal
import subprocess
import time

from interop import Failure

# Seconds for a server to come up; sanitizers make a plugin slow.
START_LIMIT = 60


def wait_until(condition, what, limit=START_LIMIT):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise Failure("%s: not in %d seconds" % (what, limit))
        time.sleep(0.02)


class Nbdkit:
    """One server on a unix socket, or on a TCP port; a context manager."""

    count = 0

    def __init__(self, *args, socket=None, options=(), env=None):
        Nbdkit.count += 1
        self.socket = socket or os.path.abspath("nbd%d.sock" % Nbdkit.count)
        self.pid_file = os.path.abspath("nbd%d.pid" % Nbdkit.count)
        self.log_file = os.path.abspath("nbd%d.log" % Nbdkit.count)
        self.args, self.options, self.env = list(args), list(options), env
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
                ["nbdkit", "-f", "--exit-with-parent", "-U", self.socket, "-P", self.pid_file,
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

    def kill(self):
        """As a crash does it."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """In order; returns the exit status."""
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
