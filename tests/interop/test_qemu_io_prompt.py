#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""qed-io at a terminal: line editing, history and completion, requests that continue meanwhile, and
the terminal's settings afterwards. How it ends: by signals, during requests, and with standard
output closed. The name that it is called by."""

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

import interop
import nbdkit
from interop import Failure, must, QED_IO

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|[\x07\x08\r]")
PROMPT = "qed-io> "
# Time limit for expected output, in seconds.
PATIENCE = 30 if interop.SANITIZE else 10


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, *args, program=QED_IO):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        # libedit never frees the name of an added function.
        interop.write_file("suppressions", b"leak:wcsdup\n")
        lsan = [os.environ.get("LSAN_OPTIONS"), "print_suppressions=0", "suppressions=" +
                os.path.abspath("suppressions")]
        env = {**os.environ, "TERM": os.environ.get("TERM", "xterm"), "HOME": os.getcwd(),
               "LSAN_OPTIONS": ":".join(filter(None, lsan))}
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen([program, *args], stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, env=env, start_new_session=True,
                                        preexec_fn=self.take_terminal)
        self.seen = ""

    def take_terminal(self):
        import fcntl  # pylint: disable=import-outside-toplevel
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, *texts):
        """Wait for each of @texts in turn; discard the output before it."""
        for text in texts:
            end = time.monotonic() + PATIENCE
            while text not in self.seen:
                left = end - time.monotonic()
                if left <= 0 or not select.select([self.master], [], [], left)[0]:
                    raise Failure("no %r in %r" % (text, self.seen))
                chunk = os.read(self.master, 4096).decode(errors="replace")
                self.seen += ESCAPES.sub("", chunk)
            self.seen = self.seen.split(text, 1)[1]

    def ends(self, status):
        """Require that the program exits with this status, and restores the terminal."""
        got = self.process.wait(PATIENCE)
        if got != status:
            raise Failure("status %s instead of %s; %r" % (got, status, self.seen))
        if termios.tcgetattr(self.slave) != self.before:
            raise Failure("the terminal is not as it was")


def make_image():
    if os.path.exists("a.qed"):
        os.unlink("a.qed")
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "a.qed", "2M")


def test_lines():
    make_image()
    with Terminal("-f", "qed", "a.qed") as t:
        t.expect(PROMPT)
        t.type("length\r")
        t.expect("2 MiB", PROMPT)
        # The first letter is missing: Ctrl-A moves to the start of the line.
        t.type("ength\x01l\r")
        t.expect("2 MiB", PROMPT)
        # One letter too many: Backspace.
        t.type("infoo\x7f\r")
        t.expect("format name: qed", "vm state offset", PROMPT)
        # The line before the last: arrow up twice.
        t.type("\x1b[A\x1b[A\r")
        t.expect("2 MiB", PROMPT)
        # An abandoned line: Ctrl-U.
        t.type("abort\x15length\r")
        t.expect("2 MiB", PROMPT)
        t.type("\r")
        t.expect(PROMPT)
        t.type("nonsense\r")
        t.expect('command "nonsense" not found', PROMPT)
        t.type("quit\r")
        t.ends(1)  # one command failed


def test_completion():
    make_image()
    with Terminal("-f", "qed", "a.qed") as t:
        t.expect(PROMPT)
        t.type("leng\t\r")
        t.expect("2 MiB", PROMPT)
        t.type("re\t")
        t.expect("read", "readv", "remove_break", "reopen", "resume", PROMPT)
        t.type("\x15rea\t 0 4k\r")  # completed to `read`
        t.expect("read 4096/4096", PROMPT)
        t.type("\x04")
        t.ends(0)


def test_meanwhile():
    """A request completes while a line is being typed."""
    make_image()
    with Terminal("-f", "qed", "a.qed") as t:
        t.expect(PROMPT)
        t.type("aio_write -P 5 0 64k\r")
        t.expect("wrote 65536/65536 bytes at offset 0")
        t.type("read -P 5 0 64k\r")
        t.expect("read 65536/65536 bytes", PROMPT)
        t.type("\x04")
        t.ends(0)


def test_interrupt():
    make_image()
    with Terminal("-f", "qed", "a.qed") as t:
        t.expect(PROMPT)
        t.type("write -P 7 0 64k\r")
        t.expect("wrote", PROMPT)
        t.type("half a li\x03")
        t.ends(-signal.SIGINT)
    must(QED_IO, "-r", "-f", "qed", "-c", "read -P 7 0 64k", "a.qed")
    interop.check_image("a.qed")


def test_other_terminals():
    """A terminal without line editing works, too."""
    make_image()
    os.environ["TERM"] = "dumb"
    try:
        with Terminal("a.qed") as t:
            t.expect(PROMPT)
            t.type("length\r")
            t.expect("2 MiB", PROMPT)
            t.type("quit\r")
            t.ends(0)
    finally:
        del os.environ["TERM"]


# ---- Signals ----


def start(*args, stdin=subprocess.DEVNULL, **more):
    return subprocess.Popen([QED_IO, *args], stdin=stdin, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, **more)


def write_and_wait():
    """Start a program that has written 64 KiB of 9, and sleeps until it is killed."""
    make_image()
    process = start("-f", "qed", "a.qed", stdin=subprocess.PIPE)
    process.stdin.write(b"write -P 9 0 64k\nhelp quit\nwrite -P 8 64k 64k\nlength\nsleep 600000\n")
    process.stdin.flush()
    out = b""
    while b"> 2 MiB\n" not in out:
        chunk = os.read(process.stdout.fileno(), 4096)
        if not chunk:
            raise Failure("died: %r" % out)
        out += chunk
    return process


def finish(process, status, seconds):
    begun = time.monotonic()
    out = process.communicate(timeout=PATIENCE * 6)[0].decode()
    took = time.monotonic() - begun
    if process.returncode != status:
        raise Failure("status %s instead of %s: %r" % (process.returncode, status, out))
    if took > seconds * (5 if interop.SANITIZE else 1):
        raise Failure("took %.1f seconds" % took)
    return out


def test_signal(number):
    process = write_and_wait()
    process.send_signal(number)
    finish(process, -number, 2)
    must(QED_IO, "-r", "-f", "qed", "-c", "read -P 9 0 64k", "-c", "read -P 8 64k 64k", "a.qed")
    interop.check_image("a.qed")


def test_killed():
    """SIGKILL cannot be caught: the image is consistent all the same."""
    process = write_and_wait()
    process.kill()
    finish(process, -signal.SIGKILL, 2)
    checked = interop.run("qemu-img", "check", "-q", "-f", "qed", "a.qed")
    if checked.status not in (0, 3):  # leaks are allowed
        raise Failure(str(checked))
    must(QED_IO, "-f", "qed", "-c", "read 0 128k", "a.qed")
    must(interop.QED_IMG, "check", "-q", "-r", "leaks", "a.qed")
    interop.check_image("a.qed")


def test_output_kept():
    """Output to a pipe is flushed when the program is killed by a signal."""
    make_image()
    process = start("-f", "qed", "-c", "length", "-c", "sleep 600000", "a.qed")
    time.sleep(0.5)
    process.terminate()
    out = finish(process, -signal.SIGTERM, 2)
    if out != "2 MiB\n":
        raise Failure("printed %r" % out)


def test_ignored():
    """Signals that the parent ignores stay ignored, as for `nohup` and `&`."""
    make_image()
    process = start("-f", "qed", "-c", "sleep 700", "-c", "length", "a.qed",
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    if finish(process, 0, 5) != "2 MiB\n":
        raise Failure("was not ignored")


def test_hanging():
    """A server that does not answer does not delay the exit, and a second signal is not needed."""
    with nbdkit.Nbdkit("--filter=delay", "memory", "1M", "rdelay=60") as server:
        for signals, seconds in ((1, 5), (2, 2)):
            process = start("-r", "-f", "raw", "-c", "read 0 512", server.url())
            time.sleep(1)
            for _ in range(signals):
                process.send_signal(signal.SIGINT)
                time.sleep(0.2)
            finish(process, -signal.SIGINT, seconds)


# ---- Names and streams ----


def test_name():
    make_image()
    os.symlink(QED_IO, "qemu-io")
    for args, stdin, words in (
            (("a.qed",), "length\n", "qemu-io> 2 MiB\nqemu-io> "),
            (("nope",), "", "qemu-io: can't open device nope: "),
            (("-x",), "", "./qemu-io: invalid option -- 'x'\n"),
            (("-T", "foo", "-c", "length", "a.qed"), "",
             "qemu-io: warning: trace event 'foo' does not exist\n2 MiB\n"),
            (("-f", "qed", "-c", "reopen -rw", "a.qed"), "", "qemu-io: Only one -r/-w")):
        got = interop.run("./qemu-io", *args, stdin=stdin)
        if not (got.err + got.out).startswith(words):
            raise Failure("%s: %r instead of %r" % (args, got.err + got.out, words))


def test_full_disk():
    make_image()
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([QED_IO, "-c", "length", "a.qed"], stdout=full,
                              stderr=subprocess.PIPE, check=False)
    if done.returncode != 1 or done.stderr != (b"qed-io: standard output: No space left on "
                                               b"device\n"):
        raise Failure(str(done))


def test_closed_pipe():
    make_image()
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([QED_IO, "-c", "read -v 0 64k", "-c", "write -P 3 0 4k", "a.qed"],
                          stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    if done.returncode or done.stderr:
        raise Failure(str(done))
    must(QED_IO, "-r", "-c", "read -P 3 0 4k", "a.qed")


def test_long_line():
    make_image()
    out = must(QED_IO, "a.qed", stdin="length" + 5000 * " " + "\nlength\n").out
    if out.count("2 MiB") != 2:
        raise Failure(out)


def main(results):
    os.environ.pop("TERM", None)
    if not interop.need_qemu(results, "qemu-io-prompt"):
        return
    for test in (test_lines, test_completion, test_meanwhile, test_interrupt,
                 test_other_terminals, test_killed, test_output_kept, test_ignored, test_name,
                 test_full_disk, test_closed_pipe, test_long_line):
        results.run(test.__name__[5:].replace("_", "-"), test)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        results.run("signal-%s" % number.name, test_signal, number)
    if nbdkit.have_nbdkit():
        results.run("hanging", test_hanging)
    else:
        results.skip("hanging", "nbdkit is not installed")


interop.main(main)
