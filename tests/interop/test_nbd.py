#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""NBD exports as images and as backing files, served by nbdkit: the same bytes and maps as QEMU
sees, holes that are never read, many requests in flight, and servers' block size constraints."""

import http.server
import json
import os
import random
import re
import subprocess
import sys
import threading
import time

import interop
from interop import Failure, KiB, MiB, must, QED_IMG, QED_IO
from nbdkit import have_nbdkit, Nbdkit, wait_until

SIZE = 24 * MiB + 512


def make_golden(name, rng, size=SIZE):
    """Make a file of data, holes and written zeroes, at unaligned offsets."""
    with open(name, "wb") as file:
        file.truncate(size)
        for start in range(0, size, 2 * MiB):
            kind = rng.randrange(3)
            length = min(rng.randrange(1, MiB), size - start)
            file.seek(start + (rng.randrange(64 * KiB) if start + 2 * MiB < size else 0))
            if kind == 0:
                file.write(rng.randbytes(length))
            elif kind == 1:
                file.write(bytes(length))
        file.seek(0)
        file.write(b"first")
        file.seek(size - 5)
        file.write(b"last.")


def expect_same(name, other):
    difference = interop.first_difference(name, interop.read_file(other))
    if difference:
        raise Failure("%s against %s: %s" % (name, other, difference))


def convert(url, out="out.raw", *options):
    if os.path.exists(out):
        os.unlink(out)
    must(QED_IMG, "convert", *options, "-O", "raw", url, out)


def test_read(*filters):
    with Nbdkit(*filters, "file", "golden.raw") as server:
        convert(server.url())
        expect_same("out.raw", "golden.raw")
        info = json.loads(must(QED_IMG, "info", "--output=json", server.url()).out)
        if info["format"] != "raw" or info["virtual-size"] != SIZE or "actual-size" in info:
            raise Failure("info: %s" % info)


def test_names():
    with Nbdkit("--filter=exportname", "memory", "1M", "exportname=disk 1",
                "exportname-strict=true", "exportname-list=explicit") as server:
        for name in (server.url("disk%201"), "nbd:unix:%s:exportname=disk 1" % server.socket):
            must(QED_IMG, "info", name)
        result = interop.run(QED_IMG, "info", server.url("other"))
        expect_one_line(result)
    # The system picks a free port; nbdkit inherits the socket.
    result = interop.run(QED_IMG, "info", "nbd://localhost:1/x")
    expect_one_line(result, "refused")
    result = interop.run(QED_IMG, "info", "nbd://no-such-host.invalid/x")
    expect_one_line(result, "no-such-host.invalid")
    result = interop.run(QED_IMG, "info", "json:{}")
    expect_one_line(result, "Must specify either driver or file")


def expect_one_line(result, word=""):
    if result.status != 1 or result.out or result.err.count("\n") != 1 or word not in result.err:
        raise Failure("expected one line with '%s': %s" % (word, result))


def test_refused():
    with Nbdkit("memory", "1M") as server:
        must(QED_IO, "-c", "read 0 1", server.url())
        expect_one_line(interop.run(QED_IO, "-c", "write 0 1", server.url()), "read-only")
        expect_one_line(interop.run(QED_IMG, "create", "-q", "-f", "qed", server.url(), "1M"),
                        "cannot be created")
        expect_one_line(interop.run(QED_IMG, "info", server.url(query="&reply-timeout=x")),
                        "reply-timeout")
        expect_one_line(interop.run(QED_IMG, "info", "-f", "nbd", "golden.raw"), "nbd")


def qemu_map(image, *options):
    runs = json.loads(must("qemu-img", "map", *options, "--output=json", image).out)
    for run in runs:
        run.pop("compressed", None)  # a field of later versions
    return runs


def our_map(image, *options):
    return json.loads(must(QED_IMG, "map", *options, "--output=json", image).out)


def test_map():
    with Nbdkit("file", "golden.raw") as server:
        ours, theirs = our_map(server.url(), "-f", "raw"), qemu_map(server.url(), "-f", "raw")
        if ours != theirs:
            raise Failure("map: %s instead of %s" % (ours, theirs))
        if not any(entry["zero"] for entry in ours):
            raise Failure("no hole in the map: %s" % ours)


def make_holey(name, rng):
    """1000 runs of data with holes between: more runs than one reply may have."""
    with open(name, "wb") as file:
        for i in range(1000):
            file.seek(i * 16 * KiB)
            file.write(rng.randbytes(4 * KiB))
        file.truncate(16000 * KiB)


def reads_of(log):
    """Return (offset, length) of the reads that the log filter recorded."""
    return [(int(m.group(1), 16), int(m.group(2), 16)) for m in
            re.finditer(r" Read id=\d+ offset=(0x[0-9a-f]+) count=(0x[0-9a-f]+)", log)]


def test_holes(rng):
    """No byte of a hole is read, however many holes there are."""
    make_holey("holey.raw", rng)
    with Nbdkit("--filter=log", "file", "holey.raw", "logfile=holes.log") as server:
        convert(server.url(), "holey.out", "-f", "raw")
        expect_same("holey.out", "holey.raw")
        server.stop()
    log = interop.read_file("holes.log").decode()
    reads = reads_of(log)
    os.unlink("holes.log")
    with Nbdkit("--filter=log", "file", "holey.raw", "logfile=holes.log") as server:
        # Once a range is known to be a hole, even a read of just that hole sends no request.
        must(QED_IO, "-r", "-f", "raw", "-c", "map", "-c", "read -P 0 100k 12k", server.url())
        server.stop()
    if reads_of(interop.read_file("holes.log").decode()):
        raise Failure("a known hole was read")
    outside = [r for r in reads if r[0] % (16 * KiB) + r[1] > 4 * KiB]
    if not reads or outside:
        raise Failure("holes were read: %s of %d reads" % (outside[:4], len(reads)))
    questions = log.count(" Extents id=")
    # A reply describes at least 256 runs; not one request for each run.
    if questions > 20:
        raise Failure("%d questions about 2000 runs" % questions)


def test_no_structured_replies():
    """An export from a server that cannot report holes is read completely."""
    with Nbdkit("--no-sr", "file", "golden.raw") if nbdkit_has("--no-sr") else \
            Nbdkit("--filter=noextents", "file", "golden.raw") as server:
        convert(server.url())
        expect_same("out.raw", "golden.raw")


def nbdkit_has(option):
    return option in must("nbdkit", "--help").out


def test_blocks(*policy):
    """A server that refuses requests that violate its block sizes refuses none of ours."""
    filters = ["--filter=blocksize-policy", "--filter=truncate", "file", "golden.raw",
               "round-up=4096", "blocksize-error-policy=error", *policy]
    with Nbdkit(*filters) as server:
        convert(server.url())
        with open("golden.raw", "rb") as file, open("padded.raw", "wb") as padded:
            padded.write(file.read())
            padded.truncate(-(-SIZE // 4096) * 4096)
        expect_same("out.raw", "padded.raw")
        with interop.QedIo("-r", "-f", "raw", server.url()) as qed_io:
            got = interop.parse_dump(qed_io.do("read -v 1 9000"))
        if got != interop.read_file("golden.raw")[1:9001]:
            raise Failure("unaligned read: other bytes")


def test_odd_size():
    """A size that is not a multiple of sectors is padded with zeroes, as QEMU does."""
    data = random.Random(5).randbytes(100001)
    interop.write_file("odd.raw", data)
    with Nbdkit("file", "odd.raw") as server:
        convert(server.url())
        if interop.read_file("out.raw") != data + bytes(-len(data) % 512):
            raise Failure("other bytes")


def test_in_flight():
    """Slow requests run concurrently, and there are more than the limit in flight."""
    with Nbdkit("--filter=delay", "memory", "64M", "delay-read=500ms",
                options=["-t", "64"]) as server:
        begin = time.monotonic()
        script = [arg for i in range(300) for arg in ("-c", "aio_read %dk 4k" % (i * 64))]
        must(QED_IO, "-r", "-f", "raw", *script, "-c", "aio_flush", server.url())
        took = time.monotonic() - begin
    # One at a time they would take 150 s, 64 at a time 2.5 s.
    if took > min(interop.patience(5), 100):
        raise Failure("300 reads of 0.5 s took %.1f s" % took)


def test_backing(fmt):
    """QED over an export: the header is right, reads populate, zeroes take no space."""
    with Nbdkit("file", "golden.raw") as server:
        must(QED_IMG, "create", "-q", "-f", "qed", "-b", server.url(), "-F", fmt, "top.qed")
        if not interop.read_header("top.qed")["features"] & interop.F_NO_PROBE:
            raise Failure("the backing file's format will be guessed")
        info = json.loads(must(QED_IMG, "info", "--output=json", "top.qed").out)
        if info["backing-filename"] != server.url() or info["backing-filename-format"] != "raw":
            raise Failure("info: %s" % info)
        must("qemu-img", "compare", "-f", "qed", "-F", "raw", "top.qed", "golden.raw")
        must(QED_IO, "-C", "-f", "qed", "-c", "read 0 %d" % SIZE, "top.qed")
        interop.check_image("top.qed")
        convert("top.qed", "out.raw", "-f", "qed")
        expect_same("out.raw", "golden.raw")
    with Nbdkit("memory", str(SIZE), socket=server.socket):
        # Change the backing bytes; none of the new ones may show.
        must("qemu-img", "compare", "-f", "qed", "-F", "raw", "top.qed", "golden.raw")


def test_format_above(fmt, *options):
    """Images of other formats over NBD."""
    image = "golden." + fmt
    must("qemu-img", "convert", *options, "-f", "raw", "-O", fmt, "golden.raw", image)
    with Nbdkit("file", image) as server:
        convert(server.url(), "out.raw", "-f", fmt)
        expect_same("out.raw", "golden.raw")
        probed = json.loads(must(QED_IMG, "info", "--output=json", server.url()).out)
        if probed["format"] != fmt:
            raise Failure("probed as %s" % probed["format"])
        must(QED_IMG, "create", "-q", "-f", "qed", "-b", server.url(), "-F", fmt, "above.qed")
        convert("above.qed", "out.raw", "-f", "qed")
        expect_same("out.raw", "golden.raw")


def test_qemu_nbd():
    """QEMU's server, which serves one client, and opens an image format itself."""
    must("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "golden.raw", "served.qcow2")
    path = "qemu-nbd.sock"
    # qemu-nbd needs an absolute path, and a short one.
    with subprocess.Popen(["qemu-nbd", "-r", "--persistent", "-k", "/proc/self/cwd/" + path, "-f", "qcow2", "-x", "disk",
                           "served.qcow2"]) as process:
        try:
            wait_until(lambda: os.path.exists(path), "qemu-nbd")
            convert("nbd+unix:///disk?socket=" + path, "out.raw", "-f", "raw")
            expect_same("out.raw", "golden.raw")
            convert("nbd:unix:%s:exportname=disk" % path, "out.raw", "-f", "raw")
            expect_one_line(interop.run(QED_IMG, "info", "nbd+unix:///no?socket=" + path))
        finally:
            process.terminate()


class RangeHandler(http.server.BaseHTTPRequestHandler):
    """A web server for one file that supports range requests."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):  # pylint: disable=invalid-name
        self.answer(200, b"", os.path.getsize("golden.raw"))

    def do_GET(self):  # pylint: disable=invalid-name
        match = re.match(r"bytes=(\d+)-(\d+)$", self.headers.get("Range", ""))
        if not match:
            self.answer(400, b"", 0)
            return
        first, last = map(int, match.groups())
        with open("golden.raw", "rb") as file:
            file.seek(first)
            data = file.read(last + 1 - first)
        self.answer(206, data, len(data))

    def answer(self, status, data, length):
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


def test_http():
    """A golden image on a web server, through nbdkit's curl plugin: the recipe of the admin guide."""
    with http.server.ThreadingHTTPServer(("localhost", 0), RangeHandler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        with Nbdkit("--filter=retry-request", "curl", "http://localhost:%d/golden.img" %
                    web.server_port, options=["-r"]) as server:
            must(QED_IMG, "create", "-q", "-f", "qed", "-b", server.url(), "-F", "nbd", "web.qed")
            must(QED_IO, "-C", "-f", "qed", "-c", "read 0 %d" % SIZE, "web.qed")
            must("qemu-img", "compare", "-f", "qed", "-F", "raw", "web.qed", "golden.raw")
        web.shutdown()


def test_differential(rng):
    """Random concurrent reads, compared with the file itself."""
    data = interop.read_file("golden.raw")
    with Nbdkit("--filter=delay", "file", "golden.raw", "delay-read=1ms") as server, \
            interop.QedIo("-r", "-f", "raw", server.url()) as qed_io:
        for _ in range(30):
            offset = rng.randrange(SIZE - 1)
            length = min(rng.choice((1, 511, 4096, 65537, 3 * MiB)), SIZE - offset)
            count = min(length, 20000)
            # The data of a long read may arrive in several chunks: check its end.
            text = qed_io.do("aio_read %d %d" % (offset, length), "read -v %d %d" % (
                offset + length - count, count), "aio_flush")
            if interop.parse_dump(text) != data[offset + length - count:offset + length]:
                raise Failure("other bytes at %d, %d" % (offset, length))


def tests(results):
    if not have_nbdkit():
        results.skip("nbd", "nbdkit is not installed")
        return
    rng = random.Random(interop.seed_from(sys.argv))
    make_golden("golden.raw", rng)
    results.run("reads", test_read)
    results.run("names", test_names)
    results.run("what is refused", test_refused)
    results.run("holes are not read", test_holes, rng)
    results.run("without extents", test_no_structured_replies)
    results.run("blocks of 4096", test_blocks, "blocksize-minimum=4096")
    results.run("requests up to 64 KiB", test_blocks, "blocksize-minimum=512",
                "blocksize-preferred=4096", "blocksize-maximum=65536")
    results.run("odd size", test_odd_size)
    results.run("in flight", test_in_flight)
    results.run("random reads", test_differential, rng)
    if interop.need_qemu(results, "backing files"):
        results.run("map", test_map)
        results.run("backing file, nbd", test_backing, "nbd")
        results.run("backing file, raw", test_backing, "raw")
        results.run("qed above", test_format_above, "qed")
        results.run("qcow2 above", test_format_above, "qcow2", "-c")
        results.run("qemu-nbd", test_qemu_nbd)
        results.run("http", test_http)


interop.main(tests)
