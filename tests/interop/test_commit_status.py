#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""While a live commit ends, and its images are opened again and closed, its status can be asked for.

The server is nodev_qedd, which has no block device.
"""

import json
import os
import socket
import subprocess
import sys
import threading

import interop
from interop import BUILD, Failure, QED_IMG, QED_IO, must

QEDD = os.path.join(BUILD, "tests/interop/nodev_qedd")
QEDCTL = os.path.join(BUILD, "qedctl")
NAME = "commit-%d" % os.getpid()
ROUNDS = 8
CLIENTS = 6


def make_chain():
    """a.qed below b.qed below c.qed; b.qed has something to commit."""
    for image, backing in ("a.qed", None), ("b.qed", "a.qed"), ("c.qed", "b.qed"):
        above = ("-b", backing, "-F", "qed") if backing else ()
        must(QED_IMG, "create", "-q", "-f", "qed", *above, image, *(() if backing else ("4M",)))
    must(QED_IO, "-f", "qed", "-c", "write -q -P 7 0 1M", "b.qed")


class Client(threading.Thread):
    """Asks for the status until told to end; keeps what is wrong with an answer."""

    def __init__(self, over):
        super().__init__()
        self.over, self.wrong, self.seen = over, None, 0

    def run(self):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(os.path.join("run", NAME + ".sock"))
            with sock.makefile("rw") as file:
                while not self.over.is_set() and not self.wrong:
                    file.write('{"execute": "status"}\n')
                    file.flush()
                    self.look_at(file.readline())

    def look_at(self, line):
        commit = json.loads(line)["return"].get("commit") if line else {}
        if commit is None:
            return
        self.seen += 1
        names = [os.path.basename(commit.get(key, "")) for key in ("top", "base")]
        if names != ["b.qed", "a.qed"]:
            self.wrong = line or "the server is gone"


def ask_while_it_ends():
    make_chain()
    with open("log", "wb") as log:
        # pylint: disable=consider-using-with
        server = subprocess.Popen((QEDD, "--name", NAME, "--foreground", "--queues", "1", "--image",
                                   os.path.abspath("c.qed")), stdout=subprocess.PIPE, stderr=log)
    over = threading.Event()
    clients = [Client(over) for _ in range(CLIENTS)]
    try:
        if not server.stdout.readline():
            raise Failure("no server: %s" % interop.read_file("log"))
        for client in clients:
            client.start()
        must(QEDCTL, "commit", "--top", "b.qed", "--wait", NAME)
    finally:
        over.set()
        for client in clients:
            if client.ident:
                client.join()
        server.terminate()
        server.stdout.close()
        status = server.wait()
    for client in clients:
        if client.wrong:
            raise Failure("status: %s; %s" % (client.wrong, interop.read_file("log")))
    if status or not any(client.seen for client in clients):
        raise Failure("status %d: %s" % (status, interop.read_file("log")))
    must(QED_IO, "-f", "qed", "-c", "read -q -P 7 0 1M", "c.qed")
    must(QED_IMG, "check", "-q", "-f", "qed", "a.qed")


def rounds():
    for _ in range(ROUNDS):
        ask_while_it_ends()


def main():
    results = interop.Results()
    if os.geteuid():
        results.skip("the status of a live commit", "this is not root")
        return 0
    with interop.WorkDir():
        os.mkdir("run")
        os.environ["QEDBLK_RUN_DIR"] = os.path.abspath("run")
        results.run("its status while it ends", rounds)
    return results.status()


if __name__ == "__main__":
    sys.exit(main())
