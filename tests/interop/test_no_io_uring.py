#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Where io_uring is denied, as in most containers: qed-img, qed-io and the plugin do all of their
work, and qedd says what is in its way."""

import os
import random
import subprocess
import sys

import interop
from interop import BUILD, Failure, KiB, MiB, must, QED_IMG, QED_IO, run
from nbdkit import Client, have_nbdkit, Nbdkit, PLUGIN, plugin_env

DENY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "shared", "deny")
# As in the profiles of Docker and systemd, of Podman, and of an engine that is older than io_uring.
FILTERS = {name: ("/usr/bin/python3", DENY, *name.split(" of "))
           for name in ("EPERM of io_uring", "ENOSYS of io_uring", "ENOSYS of new")}
# Rings count as locked memory, without the right to lock more: none, and what Linux allowed by
# default for long. That is for all processes of the user together, and there may be room for a ring.
LIMITS = {"%d bytes of locked memory" % bytes_: (
    "prlimit", "--memlock=%d" % bytes_, "setpriv", "--bounding-set=-ipc_lock",
    "--inh-caps=-ipc_lock", "--") for bytes_ in (0, 65536)}
# The threads engine, where the user has no watches of descriptors left.
NO_WATCHES = ("env", "QEDBLK_AIO=threads", "/usr/bin/python3", DENY, "ENOSPC", "epoll_ctl")
SIZE = 8 * MiB


def said(result, text):
    if text not in result.out + result.err:
        raise Failure("%r is not in: %s" % (text, result))


def make_golden(rng):
    data = bytearray(SIZE)
    for _ in range(8):
        start, length = rng.randrange(SIZE - MiB), rng.randrange(1, 300 * KiB)
        data[start:start + length] = rng.randbytes(length)
    interop.write_file("golden.img", data)
    return bytes(data)


def expect_bytes(name, data):
    difference = interop.first_difference(name, data)
    if difference:
        raise Failure("%s: %s" % (name, difference))


def test_tools(prefix, rng):
    """Make, write, read, check, convert, commit and compare images."""
    data = bytearray(make_golden(rng))
    img, io = (*prefix, QED_IMG), (*prefix, QED_IO)
    must(*img, "create", "-q", "-f", "qed", "-b", "golden.img", "-F", "raw", "vm.qed")
    said(must(*img, "info", "vm.qed"), "backing file: golden.img")
    must(*io, "-c", "write -P 7 1M 300k", "-c", "aio_write -P 8 3M 64k", "-c", "aio_flush",
         "-c", "flush", "vm.qed")
    data[MiB:MiB + 300 * KiB] = b"\7" * 300 * KiB
    data[3 * MiB:3 * MiB + 64 * KiB] = b"\10" * 64 * KiB
    # Commands on standard input: a pipe.
    said(must(*io, "vm.qed", stdin="read -P 7 1M 300k\nwrite -z 5M 1M\ndiscard 6M 64k\n"),
         "300 KiB")
    data[5 * MiB:6 * MiB] = bytes(MiB)
    must(*img, "check", "-q", "vm.qed")
    for cache in ("writeback", "none"):
        must(*img, "convert", "-T", cache, "-t", cache, "-O", "raw", "vm.qed", "flat.img")
        data[6 * MiB:6 * MiB + 64 * KiB] = interop.read_file("flat.img")[6 * MiB:6 * MiB + 64 * KiB]
        expect_bytes("flat.img", bytes(data))
    must(*img, "bench", "-q", "-c", "200", "-d", "40", "-w", "--flush-interval=50", "vm.qed")
    must(*img, "bench", "-q", "-c", "200", "-t", "none", "vm.qed")
    must(*img, "convert", "-O", "qed", "flat.img", "copy.qed")
    must(*img, "compare", "flat.img", "copy.qed")
    must(*img, "resize", "-q", "copy.qed", "+1M")
    must(*img, "rebase", "-q", "-b", "", "vm.qed")
    must(*img, "map", "vm.qed")
    if interop.have_qemu():
        must("qemu-img", "check", "-q", "vm.qed")
        must("qemu-img", "compare", "-q", "flat.img", "copy.qed")


def test_network(prefix, _):
    """Read an image from an NBD server, whose socket is waited for."""
    with Nbdkit("pattern", "size=4M") as server:
        must(*prefix, QED_IMG, "convert", "-f", "raw", "-O", "qed", server.url(), "far.qed")
        must(*prefix, QED_IMG, "compare", "-f", "raw", server.url(), "far.qed")


def test_plugin(prefix, rng):
    """Serve an image by nbdkit, several requests at a time."""
    data = make_golden(rng)
    if os.path.exists("vm.qed"):
        os.unlink("vm.qed")
    must(QED_IMG, "create", "-q", "-f", "qed", "-b", "golden.img", "-F", "raw", "vm.qed")
    server = Nbdkit(PLUGIN, "image=vm.qed", env=plugin_env())
    server.command = (*prefix, "nbdkit")
    with server:
        client = Client(server.socket)
        for error, _ in (client.request(Client.WRITE, 2 * MiB, MiB, data=b"\11" * MiB),
                         client.request(Client.FLUSH)):
            if error:
                raise Failure("a request: %s" % os.strerror(error))
        client.close()
        must(QED_IMG, "convert", "-f", "raw", "-O", "raw", server.url(), "flat.img")
        if server.stop():
            raise Failure("nbdkit: " + server.log())
    expect_bytes("flat.img", data[:2 * MiB] + b"\11" * MiB + data[3 * MiB:])
    must(QED_IMG, "check", "-q", "vm.qed")


FILTERED = ("io_uring is denied: a filter of system calls (seccomp), as containers and services have, "
            "does not let io_uring_setup() through")
LIMITED = ("io_uring: no more than 0 KiB of memory may be locked (ulimit -l, LimitMEMLOCK=): "
           "Cannot allocate memory")


def test_server(prefix, reason):
    """qedd cannot do without: one line, exit status 1, and no image that was not there."""
    result = run(*prefix, "env", "QEDBLK_RUN_DIR=" + os.path.abspath("run"),
                 os.path.join(BUILD, "qedd"), "--name", "v", "--image", "new.qed", "--size", "1M")
    line = "qedd: v: a block device needs io_uring: %s\n" % reason
    if (result.status, result.out, result.err) != (1, "", line):
        raise Failure("%s, not: %s" % (result, line))
    if os.path.exists("new.qed") or os.listdir("run"):
        raise Failure("left behind: new.qed or %s" % os.listdir("run"))


def test_chosen(environment, wanted):
    """QEDBLK_AIO decides."""
    env = {**os.environ, "QEDBLK_AIO": environment}
    done = subprocess.run([*FILTERS["EPERM of io_uring"], QED_IMG, "create", "-q", "-f", "qed",
                           "chosen.qed", "1M"], env=env, capture_output=True, check=False)
    if done.stderr.decode() != wanted:
        raise Failure("%s: %s" % (environment, done.stderr.decode()))


def test_all(results, name, prefix, reason, seed):
    if run(*prefix, "true").status:
        results.skip(name, "%s cannot be run here" % prefix[0])
        return
    results.run("qed-img and qed-io: " + name, test_tools, prefix, random.Random(seed))
    if reason:
        results.run("qedd: " + name, test_server, prefix, reason)
    if not have_nbdkit():
        results.skip("nbdkit: " + name, "it is not installed")
        return
    results.run("an image from far: " + name, test_network, prefix, None)
    results.run("the plugin: " + name, test_plugin, prefix, random.Random(seed))


def main():
    results = interop.Results()
    seed = interop.seed_from(sys.argv)
    # What runs this test may have decided; here io_uring itself decides.
    os.environ.pop("QEDBLK_AIO", None)
    with interop.WorkDir():
        for name, prefix in FILTERS.items():
            test_all(results, name, prefix, FILTERED, seed)
        for name, prefix in LIMITS.items():
            test_all(results, name, prefix, LIMITED if name.startswith("0 ") else "", seed)
        test_all(results, "the threads, no room in epoll", NO_WATCHES, "", seed)
        results.run("QEDBLK_AIO=threads", test_chosen, "threads", "")
        results.run("QEDBLK_AIO=io_uring", test_chosen, "io_uring", "qed-img: %s\n" % FILTERED)
        results.run("QEDBLK_AIO=other", test_chosen, "other",
                    "qed-img: QEDBLK_AIO is neither io_uring nor threads: other\n")
    return results.status()


if __name__ == "__main__":
    sys.exit(main())
