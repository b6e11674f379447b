#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Backing files that another program changes below an image, while it is served and in between.

The server is nodev_qedd, which has no block device.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time

import interop
from interop import BUILD, Failure, KiB, MiB, QED_IMG, must
from nbdkit import have_nbdkit, Nbdkit

QEDD = os.path.join(BUILD, "tests/interop/nodev_qedd")
RECORD = "user.qedblk.backing"
WORDS = "changed since"


class Server:
    """A server of an image, while `with` lasts."""

    def __init__(self, *args):
        self.args = (QEDD, "--name", "g", "--foreground", "--queues", "1", *args)

    def __enter__(self):
        env = dict(os.environ, QEDBLK_RUN_DIR=os.path.abspath("run"))
        with open("log", "wb") as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(self.args, stdout=subprocess.PIPE, stderr=log, env=env)
        self.lives = bool(self.process.stdout.readline())
        if not self.lives:
            self.status = self.process.wait()
        return self

    def __exit__(self, *unused):
        self.process.stdout.close()
        if self.lives:
            self.process.terminate()
            self.status = self.process.wait()
            if self.status and not unused[0]:
                raise Failure("exit status %d: %s" % (self.status, log()))

    def ask(self, verb, **arguments):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(interop.patience(30))
            folder = os.open("run", os.O_PATH | os.O_DIRECTORY)
            try:
                client.connect("/proc/self/fd/%d/g.sock" % folder)
            finally:
                os.close(folder)
            client.sendall(json.dumps({"execute": verb, "arguments": arguments}).encode() + b"\n")
            with client.makefile() as answers:
                for line in answers:
                    answer = json.loads(line)
                    if "event" not in answer:
                        return answer["return"]
        raise Failure("no answer to %s" % verb)

    def warnings(self):
        return [line for line in self.ask("status")["warnings"] if WORDS in line]


def log():
    return interop.read_file("log").decode(errors="replace")


def record(image):
    try:
        return os.getxattr(image, RECORD).decode()
    except OSError:
        return None


def beside(image):
    """Return the record of an image on a file system without attributes, or None."""
    name = image + ".qedblk-note"
    return interop.read_file(name).decode() if os.path.exists(name) else None


def expect(image, *words, options=()):
    """Serve the image, and expect the words in one warning, or no warning without words."""
    with Server("--image", image, *options) as server:
        if not server.lives:
            raise Failure("no server: %s" % log())
        warnings = server.warnings()
    logged = [line for line in log().splitlines() if WORDS in line]
    for what in warnings, logged:
        if len(what) != (1 if words else 0) or not all(word in what[0] for word in words):
            raise Failure("warnings %s, wanted %s" % (what, words))


def expect_refusal(image, *words, options=("--strict-backing",), status=1):
    before = record(image)
    with Server("--image", image, *options) as server:
        pass
    line = log()
    if server.lives or server.status != status or line.count("\n") != 1:
        raise Failure("not refused in one line: %s" % line)
    if not all(word in line for word in words):
        raise Failure("%s is not in: %s" % (words, line))
    if record(image) != before:
        raise Failure("the record has changed")


def make(size=MiB):
    """Make golden.raw and an image over it that was served once."""
    for name in "golden.raw", "vm.qed":
        if os.path.exists(name):
            os.unlink(name)
    interop.write_file("golden.raw", b"g" * size)
    expect("vm.qed", options=("--backing", "golden.raw", "--backing-format", "raw"))
    if not record("vm.qed"):
        raise Failure("nothing is recorded")


def write_at(name, offset, data):
    with open(name, "r+b") as file:
        file.seek(offset)
        file.write(data)


def test_unchanged():
    make()
    before = record("vm.qed")
    expect("vm.qed", options=("--strict-backing",))
    if record("vm.qed") != before:
        raise Failure("the record has changed")


def test_written():
    make()
    write_at("golden.raw", 512 * KiB, b"x")
    for _ in range(2):
        expect("vm.qed", "golden.raw: changed since", "vm.qed", "last modified at",
               "with the same first 4 KiB")
    expect_refusal("vm.qed", "golden.raw: changed since", "--accept-backing")
    expect("vm.qed", options=("--accept-backing", "--strict-backing"))
    expect("vm.qed", options=("--strict-backing",))


def test_truncated():
    make()
    os.truncate("golden.raw", 4 * KiB)
    expect("vm.qed", "its size was 1048576 bytes, and is 4096")
    expect_refusal("vm.qed", "its size was")


def test_restored():
    """A copy that has the same size, time and head is the same image, whatever its inode."""
    make()
    # It stays, so that no other file gets its number.
    os.rename("golden.raw", "kept")
    shutil.copy2("kept", "golden.raw")
    expect("vm.qed", options=("--strict-backing",))
    shutil.copy("kept", "golden.raw")
    expect("vm.qed", "the file that was there was last modified at")


def test_old_time():
    """The head counts, where a program has set the time back."""
    make()
    st = os.stat("golden.raw")
    write_at("golden.raw", 100, b"x")
    os.utime("golden.raw", ns=(st.st_atime_ns, st.st_mtime_ns))
    expect("vm.qed", "its first 4 KiB are others")


def test_chain():
    make()
    must(QED_IMG, "create", "-q", "-f", "qed", "-b", "vm.qed", "-F", "qed", "top.qed")
    expect("top.qed")
    if record("top.qed").count("\n") != 3:
        raise Failure("not two files: %s" % record("top.qed"))
    write_at("golden.raw", 0, b"x")
    expect("top.qed", "golden.raw: changed since", "top.qed")
    os.unlink("top.qed")


def test_two_formats():
    """Below a format over a format the lower image has a chain of its own."""
    make()
    must(QED_IMG, "create", "-q", "-f", "qed", "-F", "raw", "top.qed", "-b", "json:" + json.dumps(
        {"driver": "raw", "file": {"driver": "qed", "file.filename": os.path.abspath("vm.qed")}}))
    expect("top.qed")
    if record("top.qed").count("\n") != 3:
        raise Failure("not two files: %s" % record("top.qed"))
    write_at("golden.raw", 512 * KiB, b"x")
    expect("top.qed", "golden.raw: changed since", "top.qed")
    expect_refusal("top.qed", "golden.raw: changed since")
    with Server("--image", "top.qed", "--accept-backing") as server:
        write_at("golden.raw", 512 * KiB, b"y")
        wait_for(server.warnings, "a warning")
        server.ask("stream", wait=True)
        wait_for(lambda: not record("top.qed"), "no record")
    os.unlink("top.qed")


def test_on_purpose():
    """What our tools change on purpose is no reason to warn."""
    make()
    write_at("golden.raw", 0, b"x")
    must(QED_IMG, "rebase", "-u", "-b", "golden.raw", "-F", "raw", "vm.qed")
    expect("vm.qed", options=("--strict-backing",))
    must(os.path.join(BUILD, "qed-io"), "-c", "write 0 64k", "vm.qed")
    must(QED_IMG, "commit", "-q", "vm.qed")
    expect("vm.qed", options=("--strict-backing",))
    write_at("golden.raw", 0, b"y")
    must(QED_IMG, "create", "-q", "-f", "qed", "-b", "golden.raw", "-F", "raw", "vm.qed")
    expect("vm.qed", options=("--strict-backing",))
    # Another backing file, by any tool.
    interop.write_file("other.raw", b"o" * MiB)
    write_at("golden.raw", 0, b"z")
    note = record("vm.qed")
    must(QED_IMG, "rebase", "-u", "-b", "other.raw", "-F", "raw", "vm.qed")
    os.setxattr("vm.qed", RECORD, note.encode())
    expect("vm.qed", options=("--strict-backing",))


def test_odd_records():
    for note in b"", b"qedblk-backing 2\n", b"qedblk-backing 1\nx\n", b"\xff" * 3000:
        make()
        os.setxattr("vm.qed", RECORD, note)
        expect("vm.qed", options=("--strict-backing",))
        if not record("vm.qed").startswith("qedblk-backing 1\n"):
            raise Failure("not recorded anew: %r" % record("vm.qed"))


def test_read_only():
    """An image that is only read is compared, and not written."""
    make()
    note = record("vm.qed")
    os.removexattr("vm.qed", RECORD)
    expect("vm.qed", options=("--read-only",))
    if record("vm.qed"):
        raise Failure("recorded")
    os.setxattr("vm.qed", RECORD, note.encode())
    write_at("golden.raw", 0, b"x")
    expect("vm.qed", "last modified at", options=("--read-only",))
    expect_refusal("vm.qed", "--read-only forbids",
                   options=("--read-only", "--accept-backing"), status=2)


def test_same_image():
    """The record is no part of the image."""
    make()
    before = interop.read_file("vm.qed")
    os.removexattr("vm.qed", RECORD)
    expect("vm.qed")
    if interop.read_file("vm.qed") != before:
        raise Failure("the image has changed")
    if interop.have_qemu():
        must("qemu-img", "check", "-q", "vm.qed")


def wait_for(condition, what):
    end = time.monotonic() + interop.patience(20)
    while not condition():
        if time.monotonic() > end:
            raise Failure("%s: not in time" % what)
        time.sleep(0.1)


def test_live():
    make()
    with Server("--image", "vm.qed") as server:
        os.truncate("golden.raw", 8 * KiB)
        wait_for(server.warnings, "a warning of the cut")
        if "its size was 1048576 bytes, and is 8192" not in server.warnings()[0]:
            raise Failure("another warning: %s" % server.warnings())
        os.unlink("golden.raw")
        time.sleep(4)
    if log().count(WORDS) != 1:
        raise Failure("not one line in the log: %s" % log())


def test_replaced_live():
    make()
    with Server("--image", "vm.qed") as server:
        interop.write_file("new", b"n" * MiB)
        os.rename("new", "golden.raw")
        wait_for(server.warnings, "a warning of the other file")
        if "deleted or replaced" not in server.warnings()[0]:
            raise Failure("another warning: %s" % server.warnings())


def test_stream():
    """A chain that becomes shorter is recorded anew, and without a chain there is no record."""
    make()
    must(QED_IMG, "create", "-q", "-f", "qed", "-b", "vm.qed", "-F", "qed", "top.qed")
    with Server("--image", "top.qed") as server:
        before = record("top.qed")
        server.ask("stream", base=os.path.abspath("golden.raw"), wait=True)
        wait_for(lambda: record("top.qed") != before, "another record")
    if record("top.qed").splitlines()[1].split()[1:] != before.splitlines()[2].split()[1:]:
        raise Failure("%s is not the end of %s" % (record("top.qed"), before))
    expect("top.qed", options=("--strict-backing",))
    with Server("--image", "top.qed") as server:
        server.ask("stream", wait=True)
        wait_for(lambda: not record("top.qed"), "no record")
    os.unlink("top.qed")


def test_network():
    """Of an export its size and its head are known."""
    for name in "vm.qed", "far.sock":
        if os.path.exists(name):
            os.unlink(name)
    interop.write_file("export.raw", b"e" * MiB)
    export = Nbdkit("-r", "file", "export.raw", socket="far.sock")
    with export:
        expect("vm.qed", options=("--backing", export.url(), "--backing-format", "raw"))
        expect("vm.qed", options=("--strict-backing",))
    write_at("export.raw", 0, b"x")
    with export:
        expect("vm.qed", "its first 4 KiB are others")
    os.truncate("export.raw", 2 * MiB)
    with export:
        expect_refusal("vm.qed", "its size was 1048576 bytes, and is 2097152")


def test_description():
    """An export tells by its description that it is another one."""
    os.unlink("vm.qed")
    interop.write_file("export.raw", b"e" * MiB)
    path = os.path.abspath("q.sock")
    url = "nbd+unix:///x?socket=q.sock"
    for options, words in ((("--backing", url, "--backing-format", "raw"), ()),
                           (("--strict-backing",), ()),
                           ((), ("describes it in other words",))):
        description = "second" if words else "first"
        # A short path: a socket's address has room for 108 bytes.
        with subprocess.Popen(["qemu-nbd", "-r", "--persistent", "-k", "/proc/self/cwd/q.sock",
                               "-f", "raw", "-x", "x", "-D", description, "export.raw"]) as server:
            try:
                wait_for(lambda: os.path.exists(path), "qemu-nbd")
                expect("vm.qed", *words, options=options)
            finally:
                server.kill()
        os.unlink(path)


def run_beside():
    """The record is a file beside the image. In a file system of its own, without attributes."""
    interop.write_file("golden.raw", b"g" * MiB)
    over = ("--backing", "golden.raw", "--backing-format", "raw")
    expect("vm.qed", options=over)
    if not beside("vm.qed").startswith("qedblk-note 1 %d\nqedblk-backing 1\n"
                                       % os.stat("vm.qed").st_ino):
        raise Failure("another record: %r" % beside("vm.qed"))
    expect("vm.qed", options=("--strict-backing",))
    write_at("golden.raw", 0, b"x")
    expect("vm.qed", "last modified at")
    expect("vm.qed", options=("--accept-backing",))
    write_at("golden.raw", 0, b"y")
    # A copy of the image has another inode number, as all files of FAT have after a mount.
    shutil.copy("vm.qed", "copy.qed")
    shutil.copy("vm.qed.qedblk-note", "copy.qed.qedblk-note")
    before = beside("copy.qed")
    expect_refusal("copy.qed", "another inode number", "--accept-backing takes it as it is")
    if beside("copy.qed") != before:
        raise Failure("the record has changed")
    expect("copy.qed")
    expect("copy.qed", options=("--strict-backing",))
    # By another name, too: the record is beside the file.
    os.mkdir("links")
    os.symlink("../vm.qed", "links/vm.qed")
    os.symlink("../golden.raw", "links/golden.raw")
    expect("links/vm.qed", "last modified at")
    # Another image that has got the name has no record, and makes one.
    os.rename("vm.qed", "old.qed")
    expect("vm.qed", options=over)
    # What is no record is not touched.
    interop.write_file("old.qed.qedblk-note", b"a letter")
    expect("old.qed")
    expect_refusal("old.qed", "recording its backing files: File exists")
    if beside("old.qed") != "a letter":
        raise Failure("the letter is gone")
    # A note that an image left behind is not a new one's, which may get its inode number.
    interop.write_file("new.qed.qedblk-note", b"qedblk-note 1 1\nqedblk-backing 1\n")
    expect("new.qed", options=("--size", "1M"))
    if beside("new.qed"):
        raise Failure("an old note: %r" % beside("new.qed"))
    os.unlink("new.qed")
    must(QED_IMG, "rebase", "-u", "-b", "golden.raw", "-F", "raw", "vm.qed")
    if beside("vm.qed") or any("new" in name for name in os.listdir(".")):
        raise Failure("files are left: %s" % os.listdir("."))


def test_beside():
    os.mkdir("plain")
    must("unshare", "-m", "sh", "-c", 'mount -t ramfs none plain && cd plain && '
         'QEDBLK_BUILD="$1" exec "$0" beside', os.path.abspath(__file__), BUILD)


def main():
    results = interop.Results()
    if sys.argv[1:] == ["beside"]:
        run_beside()
        return 0
    with interop.WorkDir():
        interop.write_file("probe", b"")
        try:
            os.setxattr("probe", RECORD, b"x")
        except OSError as why:
            results.skip("changes of backing files", "no attributes here: %s" % why)
            return results.status()
        for test in (test_unchanged, test_written, test_truncated, test_restored, test_old_time,
                     test_chain, test_two_formats, test_on_purpose, test_odd_records, test_read_only,
                     test_same_image, test_live, test_replaced_live, test_stream):
            results.run(test.__name__[5:].replace("_", " "), test)
        if os.geteuid() == 0 and not interop.run("unshare", "-m", "mount", "-t", "ramfs", "none",
                                                 ".").status:
            results.run("beside", test_beside)
        else:
            results.skip("beside", "no file system can be mounted")
        if have_nbdkit():
            results.run("network", test_network)
            if interop.need_qemu(results, "description"):
                results.run("description", test_description)
        else:
            results.skip("network", "nbdkit is not installed")
    return results.status()


if __name__ == "__main__":
    sys.exit(main())
