# SPDX-License-Identifier: GPL-2.0
"""Shared code of the interop tests: results, temporary files, QEMU's programs and ours."""

import os
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(os.environ.get("QEDBLK_BUILD") or "build")
SANITIZE = os.environ.get("QEDBLK_SANITIZE", "")
QED_IMG = os.path.join(BUILD, "qed-img")
QED_IO = os.path.join(BUILD, "qed-io")

KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30

# ThreadSanitizer otherwise sleeps for a second when a program exits, and the tests run hundreds.
os.environ["TSAN_OPTIONS"] = ":".join(filter(None, (os.environ.get("TSAN_OPTIONS"),
                                                    "atexit_sleep_ms=0")))

# Time limit of one program, in seconds; sanitizers make programs slow.
TIMEOUT = 600


def patience(seconds):
    """Return the limit, in seconds, for what takes at most @seconds on a quiet machine: see
    patience.sh."""
    begin = time.monotonic()
    for _ in range(10):
        subprocess.run(["/bin/true"], check=True)
    return seconds * min(3 + int((time.monotonic() - begin) / 0.1), 20)


class Failure(Exception):
    """An assertion of a test failed."""


class Results:
    """Print a line for each result; status() returns the exit status."""

    def __init__(self):
        self.failed = 0

    def run(self, name, function, *args):
        try:
            function(*args)
        except Failure as failure:
            self.not_ok(name, str(failure))
        else:
            self.ok(name)

    def ok(self, name):
        print("ok %s" % name, flush=True)

    def not_ok(self, name, why):
        self.failed += 1
        print("not ok %s: %s" % (name, " | ".join(why.strip().splitlines())), flush=True)

    def skip(self, name, why):
        print("skip %s: %s" % (name, why), flush=True)

    def status(self):
        return 1 if self.failed else 0


class WorkDir:
    """A temporary directory, which is the working directory inside `with`."""

    def __enter__(self):
        self.before = os.getcwd()
        self.path = tempfile.mkdtemp(prefix="qedblk-interop-")
        os.chdir(self.path)
        return self.path

    def __exit__(self, *unused):
        os.chdir(self.before)
        shutil.rmtree(self.path, ignore_errors=True)


def seed_from(argv):
    """Return the seed of a property test, and print it: an argument, $SEED, or a new one."""
    text = argv[1] if len(argv) > 1 else os.environ.get("SEED")
    seed = int(text) if text else random.SystemRandom().randrange(1 << 32)
    print("# seed %d" % seed, flush=True)
    return seed


class Result:
    def __init__(self, args, status, out, err):
        self.args, self.status, self.out, self.err = args, status, out, err

    def __str__(self):
        return "%s: status %d, %s%s" % (" ".join(self.args), self.status, self.out, self.err)


def run(*args, stdin="", merged=False):
    """Run a program; with @merged, standard error goes to the same place as standard output."""
    done = subprocess.run(args, input=stdin.encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT if merged else subprocess.PIPE,
                          timeout=TIMEOUT, check=False)
    return Result(args, done.returncode, done.stdout.decode(errors="replace"),
                  (done.stderr or b"").decode(errors="replace"))


def must(*args, stdin=""):
    result = run(*args, stdin=stdin)
    if result.status:
        raise Failure(str(result))
    return result


def have_qemu():
    return shutil.which("qemu-img") and shutil.which("qemu-io")


def need_qemu(results, name):
    """Return True if QEMU's programs are installed; otherwise print a skip line."""
    if have_qemu():
        return True
    results.skip(name, "qemu-img and qemu-io are not installed")
    return False


def qemu_version():
    """Return the version of the installed QEMU, as in (7, 2)."""
    words = must("qemu-img", "--version").out.split()
    return tuple(int(number) for number in words[2].split(".")[:2])


def read_file(name):
    with open(name, "rb") as file:
        return file.read()


def write_file(name, data):
    with open(name, "wb") as file:
        file.write(data)


def first_difference(name, expected):
    """Return where file @name differs from the bytes @expected, or None."""
    step = 4 * MiB
    view = memoryview(expected)
    with open(name, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size != len(expected):
            return "has %d bytes instead of %d" % (size, len(expected))
        for start in range(0, len(expected), step):
            got = file.read(step)
            want = view[start:start + step]
            if got == want:
                continue
            i = next(i for i in range(len(want)) if got[i] != want[i])
            return "byte %d is %#x instead of %#x" % (start + i, got[i], want[i])
    return None


# Header layout and constants, as in the QED specification.
HEADER = struct.Struct("<4sIIIQQQQQII")
HEADER_FIELDS = ("magic", "cluster_size", "table_size", "header_size", "features",
                 "compat_features", "autoclear_features", "l1_table_offset", "image_size",
                 "backing_filename_offset", "backing_filename_size")
F_BACKING, F_NEED_CHECK, F_NO_PROBE = 1, 2, 4


def read_header(name):
    with open(name, "rb") as file:
        return dict(zip(HEADER_FIELDS, HEADER.unpack(file.read(HEADER.size))))


def write_header(name, **changes):
    fields = read_header(name)
    fields.update(changes)
    with open(name, "r+b") as file:
        file.write(HEADER.pack(*(fields[f] for f in HEADER_FIELDS)))


def peek64(name, offset):
    with open(name, "rb") as file:
        file.seek(offset)
        return struct.unpack("<Q", file.read(8))[0]


def poke64(name, offset, value):
    with open(name, "r+b") as file:
        file.seek(offset)
        file.write(struct.pack("<Q", value))


def l2_entry_offset(name, cluster):
    """Return the file offset of the L2 entry of @cluster in image @name."""
    header = read_header(name)
    entries = header["cluster_size"] * header["table_size"] // 8
    table = peek64(name, header["l1_table_offset"] + 8 * (cluster // entries))
    if not table:
        raise Failure("no L2 table for cluster %d" % cluster)
    return table + 8 * (cluster % entries)


def qemu_can_open(cluster_size, table_size):
    """Return whether QEMU 7.2 opens such an image: it refuses some legal geometries, those with
    small tables and those that could map too much."""
    return table_size > 1 and (cluster_size * table_size // 8) ** 2 * cluster_size < 1 << 64


def scan(name):
    """Read all tables of @name; return the unreferenced clusters, and the errors in the others."""
    header = read_header(name)
    cluster, table = header["cluster_size"], header["table_size"]
    count = os.path.getsize(name) // cluster
    used = bytearray(count)
    wrong = []

    def use(offset, clusters, what):
        for i in range(offset // cluster, offset // cluster + clusters):
            if offset % cluster or i >= count:
                wrong.append("%s at %#x is outside or misaligned" % (what, offset))
                return
            if used[i]:
                wrong.append("%s at %#x overlaps something" % (what, offset))
            used[i] = 1

    def read_table(file, offset):
        file.seek(offset)
        data = file.read(table * cluster)
        return [entry[0] for entry in struct.iter_unpack("<Q", data) if entry[0]]

    use(0, header["header_size"], "header")
    use(header["l1_table_offset"], table, "L1 table")
    with open(name, "rb") as file:
        for l2 in read_table(file, header["l1_table_offset"]):
            use(l2, table, "L2 table")
            for entry in read_table(file, l2):
                if entry != 1:
                    use(entry, 1, "cluster")
    return used.count(0), wrong


def check_image(name):
    """Require that qemu-img check, qed-img check and scan() all find no error."""
    must(QED_IMG, "check", "-f", "qed", name)
    leaks, wrong = scan(name)
    if leaks or wrong:
        raise Failure("%s: %d leaks; %s" % (name, leaks, "; ".join(wrong[:5])))
    header = read_header(name)
    if not have_qemu() or not qemu_can_open(header["cluster_size"], header["table_size"]):
        return
    result = run("qemu-img", "check", "-f", "qed", name)
    # With 4 KiB clusters QEMU 7.2 counts a leak for each 16 MiB of data, in its own images too.
    if result.status == 3 and header["cluster_size"] == 4 * KiB:
        return
    if result.status:
        raise Failure(str(result))


class QedIo:
    """A qed-io process that reads commands from a pipe."""

    END = "quit -- exit the program"

    def __init__(self, *args):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen([QED_IO, *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.pending = b""
        self.log = []

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def _read_until(self, mark):
        while mark not in self.pending:
            if not select.select([self.process.stdout], [], [], TIMEOUT)[0]:
                raise Failure("qed-io hangs after: %s" % "; ".join(self.log[-20:]))
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise Failure("qed-io died (status %s) after: %s; it said: %s" % (
                    self.process.wait(), "; ".join(self.log[-20:]),
                    self.pending.decode(errors="replace")[-2000:]))
            self.pending += chunk
        text, self.pending = self.pending.split(mark, 1)
        return text.decode(errors="replace").replace("qed-io> ", "")

    def do(self, *lines):
        """Run command lines, wait until the last is done, return the output."""
        self.log.extend(lines)
        script = "".join(line + "\n" for line in lines) + "help quit\n"
        try:
            self.process.stdin.write(script.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the exit status is checked below
        return self._read_until(self.END.encode() + b"\n")

    def quiet(self, *lines):
        """Like do(), for lines that print nothing when they succeed."""
        out = self.do(*lines)
        if out.strip():
            raise Failure("%s: %s" % ("; ".join(lines[-64:]), out.strip()))

    def quit(self):
        try:
            self.process.stdin.write(b"quit\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        out = self.process.stdout.read().decode(errors="replace").replace("qed-io> ", "")
        status = self.process.wait(TIMEOUT)
        if status or out.strip():
            raise Failure("qed-io ended with status %s: %s" % (status, out.strip()))


DUMP_LINE = re.compile(r"^[0-9a-f]{8,}:  ((?:[0-9a-f]{2} )+) ")


def parse_dump(text):
    """Return the bytes printed by `read -v`."""
    data = bytearray()
    for line in text.splitlines():
        match = DUMP_LINE.match(line)
        if match:
            data += bytes.fromhex(match.group(1).replace(" ", ""))
    return data


def main(function):
    """Run function(results) in a temporary directory and exit."""
    # A shell makes its background processes ignore SIGINT, and nohup ignores SIGHUP; the tested
    # programs would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    results = Results()
    for program in (QED_IMG, QED_IO):
        if not os.access(program, os.X_OK):
            results.not_ok("programs", "%s is not built" % program)
            sys.exit(1)
    with WorkDir():
        function(results)
    sys.exit(results.status())
