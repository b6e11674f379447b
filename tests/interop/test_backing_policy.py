#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""Images with backing file names that the policy allows or forbids, and qedd with --backing-dir.

A forbidden name is refused in one error line before anything else happens. An allowed one gets as
far as the kernel: a device, or the error that there is no ublk.
"""

import os
import socket
import subprocess
import threading

import interop
from interop import Failure, MiB, must

QEDD = os.path.join(interop.BUILD, "qedd")


def serve(*args):
    """Start qedd on an image, stop it at once if it becomes live; return its result."""
    env = dict(os.environ, QEDBLK_RUN_DIR=os.path.abspath("run"))
    # pylint: disable=consider-using-with
    process = subprocess.Popen((QEDD, "--name", "policy%d" % os.getpid(), "--foreground", *args),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    # Where the kernel has ublk, the device becomes live and its path is printed.
    watch = threading.Timer(60, process.kill)
    watch.start()
    line = process.stdout.readline()
    if line:
        process.terminate()
    err = process.stderr.read().decode(errors="replace")
    process.stdout.close()
    process.stderr.close()
    status = process.wait()
    watch.cancel()
    return interop.Result((QEDD, *args), status, line.decode(errors="replace"), err)


def allowed(*args):
    result = serve(*args)
    if result.out or "ublk" in result.err:
        return
    raise Failure("refused: %s" % result)


def refused(words, *args, status=1):
    result = serve(*args)
    if result.status != status or result.out or len(result.err.splitlines()) != 1:
        raise Failure("not refused in one line: %s" % result)
    if not all(word in result.err for word in words):
        raise Failure("the line lacks one of %s: %s" % (", ".join(words), result))


def make_tree():
    for name in ("golden", "golden-more", "secret"):
        os.mkdir(name)
    interop.write_file("golden/base.raw", b"g" * MiB)
    interop.write_file("golden-more/base.raw", b"x" * MiB)
    interop.write_file("secret/base.raw", b"s" * MiB)
    os.symlink("base.raw", "golden/good-link")
    os.symlink("../secret/base.raw", "golden/bad-link")
    os.symlink("../secret", "golden/bad-dir")
    os.symlink("../golden/base.raw", "secret/link-in")
    os.mkfifo("golden/fifo")
    os.mkfifo("secret/fifo")
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "-u", "-b", "../secret/base.raw", "-F", "raw",
         "golden/leads-out.qed", "1M")
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "-b", "base.raw", "-F", "raw",
         "golden/fine.qed", "1M")


# An image in the place of a file.
NESTED = 'json:{"driver":"raw","file":{"driver":"qed","file.filename":"%s"}}'

# A backing file's name, and the expected error line below golden/: None if it is allowed.
NAMES = (
    ("golden/base.raw", None), ("golden/good-link", None), ("secret/link-in", None),
    ("golden/../golden/base.raw", None), ("{}/golden/base.raw", None),
    ("golden/fine.qed", None),
    ("secret/base.raw", "must lie below"), ("{}/secret/base.raw", "must lie below"),
    ("golden/../secret/base.raw", "must lie below"), ("golden/bad-link", "must lie below"),
    ("golden/bad-dir/base.raw", "must lie below"), ("golden-more/base.raw", "must lie below"),
    ("golden/leads-out.qed", "must lie below"), ("secret/fifo", "must lie below"),
    ("golden", "must lie below"), ("/etc/passwd", "must lie below"),
    ("/dev/zero", "must lie below"), ("/proc/self/mem", "must lie below"),
    ("/proc/self/fd/0", "must lie below"), ("/proc/self/cwd/secret/base.raw", "must lie below"),
    ("nbd://localhost/x", "must lie below"), ("nbd+unix:///?socket={}/sock", "must lie below"),
    (NESTED % "{}/golden/fine.qed", None), (NESTED % "{}/golden/leads-out.qed", "must lie below"),
    ("file:golden/base.raw", None), ("file:secret/base.raw", "must lie below"),
    ("file:{}/secret/base.raw", "must lie below"), ("host_device:/dev/zero", "must lie below"),
    ("json:{'driver':'raw','file':{'filename':'golden/base.raw'}}", None),
    ("json:{'driver':'raw','file':{'filename':'secret/base.raw'}}", "must lie below"),
    ("json:{'file':{'driver':'host_device','filename':'/dev/zero'}}", "must lie below"),
    ("golden:base.raw", "Unknown protocol 'golden'"),
    ("golden/fifo", "Not a regular file"), ("golden/none", "No such file"),
)


def overlay(kind, name):
    """Make an overlay of @name, which need not exist; the name alone decides."""
    tool = "qemu-img" if kind == "qcow2" else interop.QED_IMG
    fmt = "qed" if name.endswith(".qed") else "raw"
    must(tool, "create", "-q", "-f", kind, "-u", "-b", name, "-F", fmt, "vm." + kind, "1M")


def one_name(kind, name, words):
    name = name.replace("{}", os.getcwd())
    overlay(kind, name)
    args = ("--image", "vm." + kind) + (("--read-only",) if kind == "qcow2" else ())
    for folder in ("golden", os.path.abspath("golden"), "golden/../golden/"):
        if words:
            refused((words, "golden" if words == "must lie below" else name), *args,
                    "--backing-dir", folder, status=3 if words == "No such file" else 1)
        else:
            allowed(*args, "--backing-dir", folder)
    refused(("vm.%s" % kind, name, "none is allowed"), *args, "--backing", "none")
    os.unlink("vm." + kind)


def nothing_connects():
    """A network name is refused before any connection is made."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        listener.listen()
        listener.setblocking(False)
        overlay("qed", "nbd+unix:///?socket=%s/sock" % os.getcwd())
        refused(("must lie below",), "--image", "vm.qed", "--backing-dir", "golden")
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return
        raise Failure("somebody connected")


def new_images():
    """A backing file name given for a new image follows the same policy."""
    for name in "golden/fine.qed", "file:golden/fine.qed":
        allowed("--image", "new.qed", "--backing", name, "--backing-dir", "golden")
    refused(("must lie below",), "--image", "new.qed", "--backing", "secret/base.raw",
            "--backing-dir", "golden")
    refused(("must lie below",), "--image", "new.qed", "--backing", "file:secret/base.raw",
            "--backing-dir", "golden")
    refused(("must lie below",), "--image", "new.qed", "--backing", "golden/leads-out.qed",
            "--backing-dir", "golden")
    if os.path.exists("new.qed"):
        raise Failure("an image was left")
    allowed("--image", "new.qed", "--backing", "none", "--size", "1M")
    refused(("--backing-dir", "empty"), "--image", "new.qed", "--size", "1M", "--backing-dir", "",
            status=2)
    missing = ("none: No such file",)
    refused(missing, "--image", "vm.qed", "--backing-dir", "none", status=3)
    refused(missing, "--image", "new.qed", "--size", "1M", "--backing-dir", "none", status=3)
    if os.path.exists("new.qed"):
        raise Failure("an image was made without the backing directory")


def image_tools():
    """An image of a stranger: commit writes below the directory only, and nothing else is read."""
    for name in "golden/base.raw", "secret/base.raw":
        overlay("qed", name)
        must(interop.QED_IO, "-f", "qed", "-c", "write -q -P 9 0 64k", "vm.qed")
        before = interop.read_file(name)
        for args in (("info", "--backing-chain"), ("map",), ("compare", "-f", "qed", "vm.qed"),
                     ("commit", "-d"), ("commit",)):
            result = interop.run(interop.QED_IMG, "--backing-dir", "golden", *args, "vm.qed")
            if name.startswith("secret") and (result.status == 0 or result.out or
                                              "must lie below golden" not in result.err):
                raise Failure("not refused: %s" % result)
            if name.startswith("golden") and result.status:
                raise Failure(str(result))
        io = interop.run(interop.QED_IO, "--backing-dir", "golden", "-c", "read 0 64k", "vm.qed")
        if (io.status == 0) != name.startswith("golden"):
            raise Failure(str(io))
        if (interop.read_file(name) == before) != name.startswith("secret"):
            raise Failure("%s is not as expected" % name)
    interop.write_file("golden/base.raw", b"g" * MiB)


def overlay_is_no_more_readable():
    """Bytes of a golden image that only some users may read are copied into its overlays."""
    os.umask(0o022)
    for mode, expected in (0o600, 0o600), (0o640, 0o640), (0o644, 0o644), (0o444, 0o644), \
            (0o604, 0o604):
        os.chmod("golden/base.raw", mode)
        overlay("qed", "golden/base.raw")
        got = os.stat("vm.qed").st_mode & 0o777
        if got != expected:
            raise Failure("%o below: %o" % (mode, got))
        os.unlink("vm.qed")
    os.chmod("golden/base.raw", 0o640)
    if not os.geteuid():
        os.chown("golden/base.raw", -1, 12345)
        overlay("qed", "golden/base.raw")
        if os.stat("vm.qed").st_mode & 0o777 != 0o600:
            raise Failure("another group may read it")
        os.chown("golden/base.raw", -1, os.getegid())
    os.chmod("golden/base.raw", 0o644)


def default_is_any():
    overlay("qed", "secret/base.raw")
    allowed("--image", "vm.qed")
    must(interop.QED_IO, "-f", "qed", "-c", "read -q -P 115 0 64k", "vm.qed")
    out = must(interop.QED_IMG, "info", "vm.qed").out
    if "backing file: secret/base.raw" not in out:
        raise Failure(out)


def main(results):
    make_tree()
    kinds = ["qed"] + (["qcow2"] if interop.need_qemu(results, "backing-policy-qcow2") else [])
    for kind in kinds:
        for name, words in NAMES[::4] if interop.SANITIZE else NAMES:
            results.run("backing-policy-%s %s" % (kind, name), one_name, kind, name, words)
    results.run("backing-policy-default", default_is_any)
    results.run("backing-policy-readable", overlay_is_no_more_readable)
    results.run("backing-policy-image-tools", image_tools)
    results.run("backing-policy-new", new_images)
    results.run("backing-policy-network", nothing_connects)


interop.main(main)
