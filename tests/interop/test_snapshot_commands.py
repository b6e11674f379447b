#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Snapshots of a server's image: what is refused, a server that is killed, and many commands at
once. Whatever becomes of them, the images show what the device had.

The server is nodev_qedd, which has no block device: nothing is written meanwhile. test_device_snapshot
in the virtual machine has guests.
"""

import json
import os
import random
import subprocess
import sys
import time

import interop
from interop import BUILD, Failure, MiB, QED_IMG, QED_IO, must
from test_server_verbs import Client

QEDD = os.path.join(BUILD, "tests/interop/nodev_qedd")
NAME = "snapshot-%d" % os.getpid()
SANITIZED = bool(os.environ.get("QEDBLK_SANITIZE"))


def run_file(suffix):
    return os.path.join(os.environ["QEDBLK_RUN_DIR"], NAME + suffix)


class Server:
    """A server, and the one that takes over from it after kill()."""

    def __init__(self, *options):
        self.start(["--image", "top.qed", *options], {})

    def start(self, options, environment):
        with open("log", "ab") as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(
                [QEDD, "--name", NAME, "--foreground", "--queues", "1", *options],
                env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=log)
        if not self.process.stdout.readline():
            raise Failure("no server: %s" % interop.read_file("log")[-600:])
        self.process.stdout.close()

    def client(self):
        return Client(run_file(".sock"))

    def ask(self, verb, **arguments):
        return self.client().ask(verb, **arguments)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def recover(self):
        with open(run_file(".json"), encoding="utf-8") as file:
            described = json.load(file)
        self.start(["--recover", *(option for option in described["options"]
                                   if not option.startswith("--queues"))], {"NODEV_WAITING": "1"})
        image = self.ask("status")["return"]["image"]
        if image != described["image"]:
            raise Failure("recovered with %s, not %s" % (image, described["image"]))
        return image

    def stop(self):
        self.process.terminate()
        if self.process.wait():
            raise Failure("the server failed: %s" % interop.read_file("log")[-600:])


def expect_error(answer, text):
    if text not in answer.get("error", {}).get("desc", ""):
        raise Failure("%s, not the error '%s'" % (answer, text))


def expect_good(answer):
    if "return" not in answer:
        raise Failure("%s" % answer)


def path(name):
    return os.path.abspath(name)


def make_top(*options):
    """Make top.qed, over base.raw, and what it shows: now.raw."""
    for name in os.listdir("."):
        if name.endswith(".qed"):
            os.unlink(name)
    with open("base.raw", "wb") as file:
        file.write(os.urandom(2 * MiB))
        file.truncate(4 * MiB)
    must(QED_IMG, "create", "-q", "-f", "qed", "-o", "cluster_size=4096", "-F", "raw", "-b",
         "base.raw", "top.qed")
    for at in range(0, 4096, 400):
        must(QED_IO, "-f", "qed", "-c", "write -q -P %d %dk 36k" % (at % 255 + 1, at), "top.qed")
    must(QED_IMG, "convert", "-f", "qed", "-O", "raw", "top.qed", "now.raw")


def shows_the_same(image):
    must(QED_IMG, "compare", "-f", "qed", "-F", "raw", image, "now.raw")


def refused():
    make_top()
    os.symlink("nothing", "link.qed")
    os.mkfifo("fifo.qed")
    server = Server()
    try:
        for name in ("top.qed", "base.raw", "now.raw", "link.qed"):
            expect_error(server.ask("snapshot", file=path(name)), "File exists")
        expect_error(server.ask("snapshot", file=path("fifo.qed")), "Not a regular file")
        expect_error(server.ask("snapshot", file=path(".")), "Is a directory")
        expect_error(server.ask("snapshot", file="new.qed"), "not an absolute file name")
        expect_error(server.ask("snapshot", file=path("none/new.qed")), "No such file")
        expect_error(server.ask("snapshot", file=path("base.raw/new.qed")), "Not a directory")
        for driver in ("raw", "qcow2", "nbd"):
            expect_error(server.ask("snapshot", file=path("new.qed"), format=driver),
                         "cannot be that of a snapshot")
        expect_error(server.ask("snapshot", file=path("new.qed"), format="x"), "Unknown driver")
        expect_error(server.ask("snapshot", file="/" + 200 * "new/" + 900 * "n"), "")
        os.rename("top.qed", "moved.qed")
        expect_error(server.ask("snapshot", file=path("new.qed")), "No such file")
        must(QED_IMG, "create", "-q", "-f", "qed", "top.qed", "1M")
        expect_error(server.ask("snapshot", file=path("new.qed")), "no longer the image")
        os.rename("moved.qed", "top.qed")
        if os.path.exists("new.qed") or os.path.exists("nothing"):
            raise Failure("something is left")
        expect_good(server.ask("snapshot", file=path("new.qed")))
    finally:
        server.stop()
    shows_the_same("new.qed")
    server = Server("--read-only")
    try:
        expect_error(server.ask("snapshot", file=path("newer.qed")), "the device is read-only")
    finally:
        server.stop()


def long_names():
    """A name that the header of an image has no room for is refused, with nothing left."""
    make_top()
    folder = os.path.join(os.getcwd(), *["f" * 200] * 6)
    os.makedirs(folder)
    os.symlink(folder, "far")
    os.rename("top.qed", "far/top.qed")
    os.rename("base.raw", "far/base.raw")
    server = Server("--image", os.path.join(folder, "top.qed"))
    try:
        expect_error(server.ask("snapshot", file=path("new.qed")), "")
        if os.path.exists("new.qed"):
            raise Failure("the new image is left")
    finally:
        server.stop()
    shows_the_same("far/top.qed")


def chain_of(image):
    """Return the names in @image and those below, which must be absolute ones."""
    names = []
    while image:
        names.append(image)
        info = json.loads(must(QED_IMG, "info", "-U", "--output=json", image).out)
        image = info.get("backing-filename")
        if image and not image.startswith("/") and image != "base.raw":
            raise Failure("%s is over %s" % (names[-1], image))
    return names


def are_sound(image):
    """The image of a server that has stopped is good; those below may have leaked clusters."""
    must(QED_IMG, "check", "-q", "-f", "qed", image)
    for name in chain_of(image):
        if not name.endswith(".qed"):
            continue
        status = interop.run(QED_IMG, "check", "-q", "-f", "qed", name).status
        if status not in (0, 3):
            raise Failure("%s: status %d of a check" % (name, status))


def killed(rounds, rng):
    make_top()
    server = Server()
    image, made = path("top.qed"), 0
    try:
        for number in range(rounds):
            new = path("k%d.qed" % number)
            client = server.client()
            client.send("snapshot", {"file": new})
            time.sleep(rng.random() * (0.3 if SANITIZED else 0.06))
            server.kill()
            now = server.recover()
            if now not in (image, new):
                raise Failure("the image is %s, not %s or %s" % (now, image, new))
            made += now == new
            image = now
            expect_good(server.ask("info"))
    finally:
        server.stop()
    print("# %d of %d snapshots were made" % (made, rounds))
    shows_the_same(image)
    if len(chain_of(image)) != made + 2:
        raise Failure("the chain is %s" % chain_of(image))
    are_sound(image)


def at_once():
    """Two snapshots at once are made one after the other; two of one name: one of them."""
    make_top()
    server = Server()
    try:
        clients = [server.client() for _ in range(3)]
        for client, name in zip(clients, ("a.qed", "b.qed", "a.qed")):
            client.send("snapshot", {"file": path(name)})
        answers = [client.receive() for client in clients]
        if sum("return" in answer for answer in answers) != 2:
            raise Failure("%s" % answers)
        status = server.ask("status")["return"]
        if len(status["backing-chain"]) != 3:
            raise Failure("%s" % status)
    finally:
        server.stop()
    shows_the_same(status["image"])


def random_command(rng, number, names):
    """Return a verb and its arguments."""
    verb = rng.choice(("snapshot", "snapshot", "stream", "commit", "check", "set", "trace-start",
                       "trace-stop", "status", "info", "stats", "flush", "stream-cancel",
                       "commit-cancel", "detect-zeroes"))
    arguments = {
        "snapshot": {"file": path("n%d.qed" % number)},
        "stream": {"speed": rng.choice((0, MiB)), "base": path(rng.choice(names))},
        "commit": {"top": path(rng.choice(names)), "base": path(rng.choice(names))},
        "set": {"copy-on-read": rng.choice(("on", "off"))},
        "trace-start": {"file": path("trace")},
        "detect-zeroes": {"mode": rng.choice(("on", "off"))},
    }.get(verb, {})
    if verb == "snapshot":
        names.append("n%d.qed" % number)
    return verb, arguments


def crowd(seconds, rng):
    make_top()
    server = Server("--no-copy-on-read")
    names, done = ["top.qed", "base.raw"], {}
    end = time.monotonic() + seconds
    try:
        clients = [server.client() for _ in range(6)]
        number = 0
        while time.monotonic() < end and number < 2000:
            asked = rng.sample(range(len(clients)), rng.randrange(1, len(clients)))
            verbs = []
            for index in asked:
                number += 1
                verb, arguments = random_command(rng, number, names)
                clients[index].send(verb, arguments)
                verbs.append(verb)
            for index, verb in zip(asked, verbs):
                answer = clients[index].receive()
                if not answer:
                    raise Failure("no answer to %s: %s" % (verb, interop.read_file("log")[-600:]))
                if "return" in answer:
                    done[verb] = done.get(verb, 0) + 1
                if answer.get("return", {}).get("corruptions"):
                    raise Failure("%s" % answer)
            if os.path.exists("trace") and rng.random() < 0.3:
                server.ask("trace-stop")
                os.unlink("trace")
        image = server.ask("status")["return"]["image"]
    finally:
        server.stop()
    print("# %s" % ", ".join("%d %s" % (n, verb) for verb, n in sorted(done.items())))
    if not done.get("snapshot"):
        raise Failure("there was no snapshot")
    shows_the_same(image)
    are_sound(image)


def main():
    rng = random.Random(interop.seed_from([]))
    results = interop.Results()
    with interop.WorkDir() as folder:
        os.environ["QEDBLK_RUN_DIR"] = os.path.join(folder, "run")
        results.run("what is refused", refused)
        results.run("a long name", long_names)
        results.run("at once", at_once)
        results.run("the server is killed", killed, 8 if SANITIZED else 20, rng)
        results.run("many commands at once", crowd, 5, rng)
    return results.status()


if __name__ == "__main__":
    sys.exit(main())
