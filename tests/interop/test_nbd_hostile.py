#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""NBD servers that are slow, fail, die, hang, come back with other content, or lie: a read returns
the right bytes or an error, errors are timely and one line each, and the client notices when the
server is back."""

import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import interop
from interop import Failure, KiB, MiB, must, QED_IMG, QED_IO
from nbdkit import have_nbdkit, Nbdkit

SIZE = 8 * MiB
# Make unwritten bytes of a buffer visible: heap memory is not zero then.
os.environ["MALLOC_PERTURB_"] = "165"


def expect_one_line(result, word=""):
    if result.status != 1 or result.err.count("\n") != 1 or word not in result.err:
        raise Failure("expected one line with '%s': %s" % (word, result))


def data_at(offset, length):
    """Return the data of nbdkit's pattern plugin: each eight bytes hold their offset, big endian."""
    start = offset & ~7
    text = b"".join(struct.pack(">Q", at) for at in range(start, offset + length + 8, 8))
    return text[offset - start:offset - start + length]


def expect_pattern(text, offset, length):
    if interop.parse_dump(text) != data_at(offset, length):
        raise Failure("other bytes at %d: %s" % (offset, text[:200]))


def open_io(server, query):
    return interop.QedIo("-r", "-f", "raw", server.url(query=query))


# ---- servers that fail ----

def test_errors(rng):
    """An error fails the read that received it, and no other."""
    right = failed = 0
    with Nbdkit("--filter=error", "pattern", str(SIZE), "error-pread=EIO", "error-pread-rate=30%") \
            as server, open_io(server, "") as qed_io:
        for _ in range(60):
            offset = rng.randrange(SIZE - 4 * KiB)
            text = qed_io.do("read -v %d 100" % offset)
            if "read failed: Input/output error" in text:
                failed += 1
                continue
            expect_pattern(text, offset, 100)
            right += 1
    if not right or not failed:
        raise Failure("%d reads were right, %d failed" % (right, failed))


def test_convert_fails():
    with Nbdkit("--filter=error", "pattern", str(SIZE), "error-pread=EIO",
                "error-pread-rate=100%") as server:
        expect_one_line(interop.run(QED_IMG, "convert", "-f", "raw", "-O", "raw", server.url(),
                                    "out.raw"), "Input/output error")


def test_no_word_on_holes():
    """If a server fails to report holes, all bytes are read instead."""
    interop.write_file("holes.raw", bytes(MiB) + b"x" * MiB)
    with Nbdkit("--filter=error", "file", "holes.raw", "error-extents=EIO",
                "error-extents-rate=100%") as server:
        must(QED_IMG, "convert", "-f", "raw", "-O", "raw", server.url(), "out.raw")
        if interop.read_file("out.raw") != interop.read_file("holes.raw"):
            raise Failure("other bytes")


def test_populate_fails():
    """A read that failed in the source is not populated, and succeeds once the source works."""
    with Nbdkit("--filter=error", "pattern", str(SIZE), "error-pread=EIO", "error-pread-rate=100%",
                "error-pread-file=%s" % os.path.abspath("fail")) as server:
        must(QED_IMG, "create", "-q", "-f", "qed", "-b", server.url(), "-F", "raw", "top.qed")
        interop.write_file("fail", b"")
        result = interop.run(QED_IO, "-C", "-f", "qed", "-c", "read 1M 64k", "top.qed")
        if "read failed: Input/output error" not in result.out + result.err:
            raise Failure(str(result))
        os.unlink("fail")
        with interop.QedIo("-C", "-f", "qed", "top.qed") as qed_io:
            expect_pattern(qed_io.do("read -v 1M 64k"), MiB, 64 * KiB)
            qed_io.quit()
        interop.check_image("top.qed")


def test_slow():
    """A rate limit slows reads down, and changes nothing else."""
    with Nbdkit("--filter=rate", "pattern", str(SIZE), "rate=24M") as server:
        begin = time.monotonic()
        must(QED_IMG, "convert", "-f", "raw", "-O", "raw", server.url(), "out.raw")
        if interop.read_file("out.raw") != data_at(0, SIZE):
            raise Failure("other bytes")
        # 24 Mbit are 3 MiB; the filter lets two seconds' worth pass at once.
        if time.monotonic() - begin < 0.3:
            raise Failure("the rate filter did not slow it: the test shows nothing")


# ---- servers that die ----

def test_restart():
    """Requests in flight, and new ones, wait for the server to return, and read the right bytes."""
    with Nbdkit("--filter=delay", "pattern", str(SIZE), "delay-read=300ms") as server, \
            open_io(server, "") as qed_io:
        expect_pattern(qed_io.do("read -v 0 100"), 0, 100)
        done = threading.Event()

        def restart():
            time.sleep(0.1)
            server.kill()
            time.sleep(0.5)
            server.start()
            # nbdkit exits with the thread that started it.
            done.wait()

        restarter = threading.Thread(target=restart)
        restarter.start()
        text = qed_io.do(*["aio_read -v %d 100" % (i * 64 * KiB + 8) for i in range(16)],
                         "aio_flush")
        done.set()
        restarter.join()
        if text.count("read 100/100 bytes") != 16 or "failed" in text:
            raise Failure("not all reads came through: %s" % text[:500])
        for i in range(16):
            line = " ".join("%02x" % byte for byte in data_at(i * 64 * KiB + 8, 16))
            if line not in text:
                raise Failure("the bytes of read %d are missing" % i)


def test_many_restarts(rng):
    """The server is killed again and again under load: all reads return the right bytes."""
    with Nbdkit("pattern", str(64 * MiB)) as server, open_io(server, "") as qed_io:
        stop = threading.Event()
        expect_pattern(qed_io.do("read -v 0 64"), 0, 64)

        def killer():
            while not stop.is_set():
                time.sleep(0.02 + 0.1 * rng.random())
                server.kill()
                server.start()

        thread = threading.Thread(target=killer)
        thread.start()
        try:
            end = time.monotonic() + 4
            while time.monotonic() < end:
                # qed-io cannot check a long read against a pattern; a slice of each is checked.
                offset = rng.randrange(0, 60 * MiB)
                text = qed_io.do("aio_read %d 3M" % offset, "read -v %d 64" % offset, "aio_flush")
                expect_pattern(text, offset, 64)
                if "failed" in text:
                    raise Failure(text)
        finally:
            stop.set()
            thread.join()


def timed(low, high, what, function):
    begin = time.monotonic()
    result = function()
    took = time.monotonic() - begin
    if not low <= took <= high:
        raise Failure("%s took %.1f s instead of %g to %g" % (what, took, low, high))
    return result


# Extra time in the upper bounds, for a slow machine.
SLACK = interop.patience(20 if interop.SANITIZE else 8)


def expect_failed(text):
    if "read failed: Input/output error" not in text:
        raise Failure("no error: %s" % text[:300])


def test_gone():
    """The server does not return: an error in time, then immediate errors, then reads work once it
    is back."""
    with Nbdkit("pattern", str(SIZE)) as server, open_io(server, "&reconnect-delay=2") as qed_io:
        expect_pattern(qed_io.do("read -v 0 100"), 0, 100)
        server.kill()
        expect_failed(timed(1, 2 + SLACK, "failing", lambda: qed_io.do("read 0 100")))
        expect_failed(timed(0, 1, "failing again", lambda: qed_io.do("read 0 100")))
        server.start()
        end = time.monotonic() + 10 + SLACK
        while "failed" in qed_io.do("read -v 0 100"):
            if time.monotonic() > end:
                raise Failure("the server is back and is not asked")
            time.sleep(0.1)
        expect_pattern(qed_io.do("read -v 4096 100"), 4096, 100)


def test_hangs():
    """A server that accepts connections and does not answer counts as lost."""
    with Nbdkit("pattern", str(SIZE)) as server, \
            open_io(server, "&reconnect-delay=2&reply-timeout=1") as qed_io:
        expect_pattern(qed_io.do("read -v 0 100"), 0, 100)
        server.signal(signal.SIGSTOP)
        expect_failed(timed(1, 6 + SLACK, "failing", lambda: qed_io.do("read 0 100")))
        server.signal(signal.SIGCONT)
        end = time.monotonic() + 10 + SLACK
        while "failed" in qed_io.do("read -v 0 100"):
            if time.monotonic() > end:
                raise Failure("the server goes on and is not asked")
            time.sleep(0.1)


def test_hangs_and_returns():
    """A server that is silent for longer than the timeout, and answers again before the limit."""
    with Nbdkit("pattern", str(SIZE)) as server, open_io(server, "&reply-timeout=1") as qed_io:
        expect_pattern(qed_io.do("read -v 0 100"), 0, 100)
        server.signal(signal.SIGSTOP)
        timer = threading.Timer(2.5, server.signal, [signal.SIGCONT])
        timer.start()
        expect_pattern(timed(2, 8 + SLACK, "reading", lambda: qed_io.do("read -v 512 100")), 512,
                       100)
        timer.join()


def test_restart_twice():
    """A restart without requests in flight does not shorten the time allowed for the next one."""
    with Nbdkit("--filter=delay", "pattern", str(SIZE), "delay-read=300ms") as server, \
            open_io(server, "&reconnect-delay=2") as qed_io:
        expect_pattern(qed_io.do("read -v 0 100"), 0, 100)
        server.kill()
        server.start()
        # Longer than the delay, which would otherwise count from the first loss.
        time.sleep(3)
        done = threading.Event()

        def restart():
            time.sleep(0.1)
            server.kill()
            server.start()
            done.wait()

        restarter = threading.Thread(target=restart)
        restarter.start()
        text = qed_io.do("read -v 4096 100")
        done.set()
        restarter.join()
        expect_pattern(text, 4096, 100)


def test_other_size():
    """An export that came back smaller is rejected; the additional bytes of a larger one are
    ignored."""
    with Nbdkit("pattern", str(SIZE)) as server, open_io(server, "&reconnect-delay=1") as qed_io:
        expect_pattern(qed_io.do("read -v 0 100"), 0, 100)
        server.kill()
        with Nbdkit("pattern", str(SIZE // 2), socket=server.socket):
            expect_failed(qed_io.do("read 0 100"))
        with Nbdkit("pattern", str(SIZE * 2), socket=server.socket):
            end = time.monotonic() + 10 + SLACK
            while "failed" in qed_io.do("read 0 100") and time.monotonic() < end:
                time.sleep(0.1)
            expect_pattern(qed_io.do("read -v %d 100" % (SIZE - 100)), SIZE - 100, 100)
            if "%d\n" % SIZE not in qed_io.do("length") and "8 MiB" not in qed_io.do("length"):
                raise Failure("length: %s" % qed_io.do("length"))


def test_close_while_down():
    """A program that ends while the server is down ends at once."""
    with Nbdkit("pattern", str(SIZE)) as server, open_io(server, "") as qed_io:
        qed_io.do("read 0 100")
        server.kill()
        time.sleep(0.3)
        timed(0, 2 + SLACK, "ending", qed_io.quit)


# ---- servers that do not speak the protocol ----

class Fake:
    """Listen on a socket and call handle(connection) for each connection, in a thread."""

    def __init__(self, name, handle):
        self.path, self.handle = name, handle
        self.listener = socket.socket(socket.AF_UNIX)

    def __enter__(self):
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()
        return "nbd+unix:///?socket=%s&reply-timeout=2&reconnect-delay=1" % self.path

    def serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            try:
                with connection:
                    self.handle(connection)
            except OSError:
                pass

    def __exit__(self, *unused):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)


def receive(connection, length):
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            raise OSError("end")
        data += more
    return data


REP_ACK, REP_INFO, REP_META, REP_UNSUP = 1, 3, 4, 0x80000001


def shake_hands(connection, size=SIZE, meta=True, info=b""):
    """Do the server's part of the fixed newstyle handshake."""
    connection.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
    receive(connection, 4)
    while True:
        _, option, length = struct.unpack(">8sII", receive(connection, 16))
        receive(connection, length)

        def reply(kind, data=b"", option=option):
            connection.sendall(struct.pack(">QIII", 0x3e889045565a9, option, kind, len(data))
                               + data)

        if option == 8 and meta:
            reply(REP_ACK)
        elif option == 10 and meta:
            reply(REP_META, struct.pack(">I", 7) + b"base:allocation")
            reply(REP_ACK)
        elif option in (6, 7):
            reply(REP_INFO, struct.pack(">HQH", 0, size, 1 | 2))
            if info:
                reply(REP_INFO, info)
            reply(REP_ACK)
            if option == 7:
                return
        else:
            reply(REP_UNSUP)


def requests(connection):
    while True:
        _, _, command, cookie, offset, length = struct.unpack(">IHHQQI", receive(connection, 28))
        yield command, cookie, offset, length


def chunk(connection, cookie, kind, data, flags=1):
    connection.sendall(struct.pack(">IHHQI", 0x668e33ef, flags, kind, cookie, len(data)) + data)


def liar(extents):
    """Return a server with right data, and with the block status extents @extents(length)."""
    def handle(connection):
        shake_hands(connection)
        for command, cookie, offset, length in requests(connection):
            if command == 0:
                chunk(connection, cookie, 1, struct.pack(">Q", offset) + data_at(offset, length))
            elif command == 7:
                words = extents(length)
                chunk(connection, cookie, 5, struct.pack(">I%dI" % len(words), 7, *words))
            else:
                return
    return handle


def test_lying_extents():
    """Wrong block status may cost time but no data: nothing hangs or overflows."""
    lies = {
        "data": lambda length: [length, 0],
        "tiny": lambda length: [512, 0, 1024, 0],
        "too long": lambda length: [0xfffffe00, 0],
        "holes that are no zeroes": lambda length: [length, 1],
        "unknown flags": lambda length: [length, 0xfffffffc],
        "nothing": lambda length: [0, 0],
    }
    for name, lie in lies.items():
        with Fake("liar.sock", liar(lie)) as url:
            result = interop.run(QED_IMG, "convert", "-f", "raw", "-O", "raw", url, "out.raw")
            # libnbd may drop the connection: then the read fails.
            if result.status:
                expect_one_line(result)
            elif interop.read_file("out.raw") != data_at(0, SIZE):
                raise Failure("%s: other bytes" % name)
    with Fake("liar.sock", liar(lambda length: [0xfffffe00, 3])) as url:
        must(QED_IMG, "convert", "-f", "raw", "-O", "raw", url, "out.raw")
        # libnbd may reject the reply: then everything is read.
        if interop.read_file("out.raw") not in (bytes(SIZE), data_at(0, SIZE)):
            raise Failure("zeroes beyond the end: other bytes")


def test_incomplete_replies():
    """Bytes missing from a reply are an error, and never show our memory; chunks come in any order."""
    def data(connection, cookie, offset, length, flags=1):
        chunk(connection, cookie, 1, struct.pack(">Q", offset) + data_at(offset, length), flags)

    def nothing(connection, cookie, offset, length):
        chunk(connection, cookie, 0, b"")

    def half(connection, cookie, offset, length):
        data(connection, cookie, offset, length // 2)

    def twice(connection, cookie, offset, length):
        data(connection, cookie, offset, length // 2, 0)
        data(connection, cookie, offset, length // 2)

    def in_bytes(connection, cookie, offset, length):
        for at in range(length):
            data(connection, cookie, offset + at, 1, at == length - 1)

    def backwards(connection, cookie, offset, length):
        data(connection, cookie, offset + length // 2, length - length // 2, 0)
        chunk(connection, cookie, 2, struct.pack(">QI", offset, length // 2))

    def server(answer):
        def handle(connection):
            shake_hands(connection)
            for command, *args in requests(connection):
                if command == 0:
                    answer(connection, *args)
                elif command == 7:
                    chunk(connection, args[0], 5, struct.pack(">III", 7, args[2], 0))
                else:
                    return
        return handle

    def overlapping(connection, cookie, offset, length):
        data(connection, cookie, offset, length, 0)
        data(connection, cookie, offset + length - 1, 1)

    def hole_over_data(connection, cookie, offset, length):
        data(connection, cookie, offset, length, 0)
        chunk(connection, cookie, 2, struct.pack(">QI", offset + 8, 8))

    def empty(connection, cookie, offset, length):
        data(connection, cookie, offset, 0, 0)
        data(connection, cookie, offset, length)

    def with_gaps(connection, cookie, offset, length):
        for parity in (0, 1):
            for at in range(parity, length, 2):
                data(connection, cookie, offset + at, 1, at == length - 1)

    for answer in (nothing, half):
        with Fake("incomplete.sock", server(answer)) as url:
            result = interop.run(QED_IMG, "convert", "-f", "raw", "-O", "raw", url, "out.raw")
        if result.status != 1 or "the server answered a read of" not in result.err:
            raise Failure("%s: %s" % (answer.__name__, result))
    # Each way to send all bytes, by number.
    for answer in (twice, overlapping, hole_over_data, empty, with_gaps):
        with Fake("incomplete.sock", server(answer)) as url:
            result = timed(0, 2 + SLACK, answer.__name__, lambda url=url: interop.run(
                QED_IO, "-r", "-f", "raw", "-c", "read -v 0 512", url))
        expect_failed(result.out + result.err)
        if "the server sent a part of a read twice" not in result.err:
            raise Failure("%s: the connection is kept: %s" % (answer.__name__, result))
    for answer in (backwards, in_bytes):
        with Fake("incomplete.sock", server(answer)) as url:
            text = must(QED_IO, "-r", "-f", "raw", "-c", "read -v 0 512", url).out
        if interop.parse_dump(text)[256:] != data_at(256, 256):
            raise Failure("%s: other bytes: %s" % (answer.__name__, text))


def test_good_again():
    """Requests in flight on the connection of a lying reply are retried, on another connection."""
    lied = []

    def handle(connection):
        shake_hands(connection, meta=True)
        for command, cookie, offset, length in requests(connection):
            if command == 7:
                chunk(connection, cookie, 5, struct.pack(">III", 7, length, 0))
                continue
            if command:
                return
            text = struct.pack(">Q", offset) + data_at(offset, length)
            if offset == 64 * KiB and not lied:
                lied.append(offset)
                chunk(connection, cookie, 1, text, 0)
                chunk(connection, cookie, 1, text)
                time.sleep(0.2)
                return
            if offset != 128 * KiB or lied:
                chunk(connection, cookie, 1, text)

    with Fake("good.sock", handle) as url, interop.QedIo("-r", "-f", "raw", url) as qed_io:
        text = qed_io.do("aio_read -v 128k 100", "aio_read 64k 100", "aio_flush")
        if text.count("failed") != 1 or "read 100/100 bytes at offset 131072" not in text:
            raise Failure(text)
        expect_pattern(qed_io.do("read -v 64k 100"), 64 * KiB, 100)


def counting(counts, extents):
    """Return a server of zeroes that counts requests by command, and reports @extents(length)."""
    def handle(connection):
        shake_hands(connection)
        for command, cookie, offset, length in requests(connection):
            counts[command] = counts.get(command, 0) + 1
            if command == 0:
                chunk(connection, cookie, 1, struct.pack(">Q", offset) + data_at(offset, length))
            elif command == 7:
                words = extents(length)
                chunk(connection, cookie, 5, struct.pack(">I%dI" % len(words), 7, *words))
            else:
                return
    return handle


def test_small_extents():
    """However small the extents, a MiB takes few requests; a block that is partly data is read."""
    lies = {
        "one byte": lambda length: [1, 0],
        "one byte that is zero": lambda length: [1, 3],
        "bytes": lambda length: [1, 0, 1, 3] * 20000,
        "a block of them": lambda length: [511, 3, 1, 0],
        "512": lambda length: [512, 3, 512, 0] * 1000,
    }
    for name, lie in lies.items():
        counts = {}
        with Fake("small.sock", counting(counts, lie)) as url:
            must("timeout", "60", QED_IMG, "convert", "-f", "raw", "-O", "raw", url, "out.raw")
        if interop.read_file("out.raw") != data_at(0, SIZE):
            raise Failure("%s: other bytes" % name)
        if sum(counts.values()) > 100 * SIZE // MiB:
            raise Failure("%s: %s requests for %d MiB" % (name, counts, SIZE // MiB))


def test_extents_twice():
    def handle(connection):
        shake_hands(connection)
        for command, cookie, offset, length in requests(connection):
            if command == 0:
                chunk(connection, cookie, 1, struct.pack(">Q", offset) + data_at(offset, length))
            elif command == 7:
                chunk(connection, cookie, 5, struct.pack(">III", 7, 4096, 0), 0)
                chunk(connection, cookie, 5, struct.pack(">III", 7, length, 3))
            else:
                return

    with Fake("twice.sock", handle) as url:
        result = interop.run(QED_IMG, "convert", "-f", "raw", "-O", "raw", url, "out.raw")
    if result.status or interop.read_file("out.raw") != data_at(0, SIZE):
        raise Failure("other bytes: %s" % result)
    if "the server said twice where holes are" not in result.err:
        raise Failure("the connection is kept: %s" % result)


def test_one_never_answered():
    """A request that is never answered times out although others are, on one connection or many."""
    stuck = 640 * KiB

    def handle(connection):
        shake_hands(connection, meta=False)
        for command, cookie, offset, length in requests(connection):
            if command:
                return
            if offset != stuck:
                connection.sendall(struct.pack(">IIQ", 0x67446698, 0, cookie) +
                                   data_at(offset, length))

    def handle_once(connection):
        """The server closes the connection instead of answering."""
        shake_hands(connection, meta=False)
        for command, cookie, offset, length in requests(connection):
            if command or offset == stuck:
                return
            connection.sendall(struct.pack(">IIQ", 0x67446698, 0, cookie) +
                               data_at(offset, length))

    for server in (handle, handle_once):
        with Fake("stuck.sock", server) as url, interop.QedIo("-r", "-f", "raw", url) as qed_io:
            qed_io.do("aio_read %d 512" % stuck)
            begin = time.monotonic()
            while "failed" not in (text := qed_io.do("aio_read 0 512", "read -v 4096 100")):
                if time.monotonic() > begin + 30 + SLACK:
                    raise Failure("%s: it waits for ever" % server.__name__)
                expect_pattern("\n".join(line for line in text.split("\n")
                                         if line.startswith("000010")), 4096, 100)
                time.sleep(0.01)


def test_errors_are_errors():
    """With any error number from the server, a read fails and has no other effect."""
    def server(error, wire):
        def handle(connection):
            shake_hands(connection, meta=False)
            for command, cookie, *_ in requests(connection):
                if command:
                    return
                wire(connection, cookie, error)
        return handle

    def simple(connection, cookie, error):
        connection.sendall(struct.pack(">IIQ", 0x67446698, error, cookie))

    for error in (1, 5, 12, 22, 28, 75, 95, 9999, 0xffffffff):
        with Fake("errors.sock", server(error, simple)) as url:
            result = interop.run(QED_IO, "-r", "-f", "raw", "-c", "read 0 512", url)
            expect_failed(result.out + result.err)


def test_floods():
    """A server whose option replies or chunks never end: an error in bounded time and memory."""
    offers = {
        "contexts": (10, 4, struct.pack(">I", 7) + b"base:allocation"),
        "long contexts": (10, 4, struct.pack(">I", 7) + b"x" * 4000),
        "infos": (7, 3, struct.pack(">HQH", 0, SIZE, 3)),
        "names": (7, 3, struct.pack(">H", 1) + b"n" * 4000),
    }

    def flood(option, kind, data):
        def handle(connection):
            connection.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
            receive(connection, 4)
            while True:
                _, asked, length = struct.unpack(">8sII", receive(connection, 16))
                receive(connection, length)
                one = struct.pack(">QIII", 0x3e889045565a9, asked, kind, len(data)) + data
                while asked == option:
                    connection.sendall(one * (1 + 2 * MiB // len(one)))
                connection.sendall(struct.pack(">QIII", 0x3e889045565a9, asked, 0x80000001
                                               if asked not in (8, 10) else REP_ACK, 0))
        return handle

    for name, offer in offers.items():
        with Fake("flood.sock", flood(*offer)) as url:
            url = url.replace("reply-timeout=2", "reply-timeout=60")
            result = timed(0, 30, name, lambda url=url: interop.run(
                QED_IMG, "info", "-f", "raw", url))
            expect_one_line(result, "the server's offers do not end")

    def drip(connection):
        """Reply to a read with error chunks, none of them the last."""
        shake_hands(connection)
        for command, cookie, *_ in requests(connection):
            while command == 0:
                chunk(connection, cookie, 0x8001, struct.pack(">IH", 5, 0), 0)
                time.sleep(0.01)
            chunk(connection, cookie, 5, struct.pack(">III", 7, MiB, 0))

    def unknown(connection):
        shake_hands(connection, meta=False)
        for _, cookie, *_ in requests(connection):
            connection.sendall(struct.pack(">IIQ", 0x67446698, 0, cookie + 1))

    for server in (drip, unknown):
        with Fake("flood.sock", server) as url:
            result = timed(0, 8 + SLACK, server.__name__, lambda url=url: interop.run(
                QED_IO, "-r", "-f", "raw", "-c", "read 0 512", url))
            expect_failed(result.out + result.err)


def batches(connection):
    """Wait for 64 requests, or until no more come, and answer all at once."""
    shake_hands(connection, meta=False)
    connection.settimeout(0.5)
    waiting = []
    source = requests(connection)
    while True:
        try:
            command, cookie, offset, length = next(source)
            if command:
                return
            waiting.append((cookie, offset, length))
        except socket.timeout:
            # A generator is finished after an exception.
            source = requests(connection)
            if not waiting:
                continue
            full = True
        else:
            full = len(waiting) == 64
        if full:
            connection.sendall(b"".join(struct.pack(">IIQ", 0x67446698, 0, cookie) +
                                        data_at(offset, length)
                                        for cookie, offset, length in waiting))
            waiting = []


def test_batches():
    """All requests in flight are answered at once: waiting ones are sent next."""
    with Fake("batches.sock", batches) as url:
        script = [arg for i in range(300) for arg in ("-c", "aio_read %d 512" % (i * 4096))]
        result = timed(0, 10 + SLACK, "reading", lambda: interop.run(
            "timeout", "60", QED_IO, "-r", "-f", "raw", *script, "-c", "aio_flush", url))
        if result.status or result.out.count("read 512/512 bytes") != 300:
            raise Failure("%d reads: %s" % (result.out.count("read 512/512"), result.err))


def drop_after(count):
    def handle(connection):
        shake_hands(connection, meta=False)
        for i, (command, cookie, offset, length) in enumerate(requests(connection)):
            if i >= count or command:
                return
            connection.sendall(struct.pack(">IIQ", 0x67446698, 0, cookie) +
                               data_at(offset, length))
    return handle


def test_flapping():
    """A server that accepts connections and answers nothing counts as gone."""
    with Fake("flap.sock", drop_after(0)) as url:
        result = timed(0.5, 4 + SLACK, "failing",
                       lambda: interop.run(QED_IO, "-r", "-f", "raw", "-c", "read 0 1M", url))
        expect_failed(result.out + result.err)
    # A server that answers some requests is retried.
    with Fake("flap.sock", drop_after(2)) as url:
        must(QED_IMG, "convert", "-f", "raw", "-O", "raw", url, "out.raw")
        if interop.read_file("out.raw") != data_at(0, SIZE):
            raise Failure("other bytes")


def test_no_servers():
    """Not an NBD server, or an unusable one: one error line, in time."""
    def junk(connection):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)
        time.sleep(0.2)

    def silent(connection):
        connection.recv(1)
        time.sleep(5)

    fakes = [
        ("junk", junk, ""),
        ("silent", silent, "in 2 seconds"),
        ("closes", lambda connection: None, ""),
        ("huge", lambda c: shake_hands(c, size=1 << 63), ""),
        ("large", lambda c: (shake_hands(c, size=(1 << 63) - 1), c.recv(1)), ""),
        ("multiple", lambda c: (shake_hands(c, size=1000, info=struct.pack(
            ">HIII", 3, 512, 4096, 1 << 20)), c.recv(1)), "multiple"),
    ]
    for name, handle, word in fakes:
        with Fake("none.sock", handle) as url:
            result = timed(0, 4 + SLACK, name,
                           lambda url=url: interop.run(QED_IMG, "info", "-f", "raw", url))
            expect_one_line(result, word)


# ---- TLS ----

def make_certificates(directory):
    """Make a certificate authority, and a server and a client certificate signed by it."""
    os.mkdir(directory)

    def certtool(*args):
        with subprocess.Popen(["certtool", *args], cwd=directory, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            if process.wait():
                raise Failure("certtool %s" % " ".join(args))

    interop.write_file(directory + "/ca.info", b"cn = qedblk test\nca\ncert_signing_key\n")
    interop.write_file(directory + "/server.info", b"organization = qedblk test\ncn = localhost\n"
                       b"dns_name = localhost\ntls_www_server\nencryption_key\nsigning_key\n")
    for key in ("ca-key.pem", "server-key.pem"):
        certtool("--generate-privkey", "--key-type=ecdsa", "--outfile", key)
    certtool("--generate-self-signed", "--load-privkey", "ca-key.pem", "--template", "ca.info",
             "--outfile", "ca-cert.pem")
    certtool("--generate-certificate", "--load-ca-certificate", "ca-cert.pem",
             "--load-ca-privkey", "ca-key.pem", "--load-privkey", "server-key.pem",
             "--template", "server.info", "--outfile", "server-cert.pem")


def tls_convert(url):
    must(QED_IMG, "convert", "-f", "raw", "-O", "raw", url, "out.raw")
    if interop.read_file("out.raw") != data_at(0, SIZE):
        raise Failure("other bytes")


def test_tls_psk():
    for user, name in (("alice", "keys.psk"), ("alice", "wrong.psk")):
        with open(name, "w", encoding="ascii") as file:
            file.write("%s:%s\n" % (user, os.urandom(32).hex()))
    keys, wrong = os.path.abspath("keys.psk"), os.path.abspath("wrong.psk")
    with Nbdkit("pattern", str(SIZE), options=["--tls=require", "--tls-psk=" + keys]) as server:
        def url(query, scheme="nbds+unix"):
            return server.url(query=query, scheme=scheme).replace("///", "//alice@/")

        tls_convert(url("&tls-psk-file=" + keys))
        expect_one_line(interop.run(QED_IMG, "info", url("&tls-psk-file=" + wrong)))
        expect_one_line(interop.run(QED_IMG, "info", url("", "nbd+unix")))
        with interop.QedIo("-r", "-f", "raw", url("&tls-psk-file=" + keys)) as qed_io:
            qed_io.do("read 0 1M")
            server.kill()
            server.start()
            expect_pattern(qed_io.do("read -v 5M 64k"), 5 * MiB, 64 * KiB)
    with Nbdkit("pattern", str(SIZE)) as server:
        # If the URI demands TLS, a server without TLS is refused.
        expect_one_line(interop.run(QED_IMG, "info", server.url(
            query="&tls-psk-file=" + keys, scheme="nbds+unix")))


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def test_tls_certificates():
    """TLS over TCP: the certificate's host name is verified."""
    make_certificates("pki")
    pki, port = os.path.abspath("pki"), free_port()
    with subprocess.Popen(["nbdkit", "-f", "--exit-with-parent", "-i", "localhost", "-p", str(port),
                           "-P", "tcp.pid", "--tls=require", "--tls-certificates=" + pki,
                           "pattern", str(SIZE)], stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 30
            while not os.path.exists("tcp.pid") and time.monotonic() < end:
                time.sleep(0.05)
            url = "nbds://localhost:%d/?tls-certificates=%s" % (port, pki)
            tls_convert(url)
            expect_one_line(interop.run(QED_IMG, "info", url.replace("localhost", "127.0.0.1")))
        finally:
            process.kill()


def tests(results):
    if not have_nbdkit():
        results.skip("nbd", "nbdkit is not installed")
        return
    rng = random.Random(interop.seed_from(sys.argv))
    for name, function, *args in (
            ("errors", test_errors, rng),
            ("convert fails", test_convert_fails),
            ("no word on holes", test_no_word_on_holes),
            ("populate fails", test_populate_fails),
            ("slow", test_slow),
            ("restart", test_restart),
            ("many restarts", test_many_restarts, rng),
            ("restart twice", test_restart_twice),
            ("gone", test_gone),
            ("hangs", test_hangs),
            ("hangs and returns", test_hangs_and_returns),
            ("other size", test_other_size),
            ("close while down", test_close_while_down),
            ("lying extents", test_lying_extents),
            ("incomplete replies", test_incomplete_replies),
            ("good again", test_good_again),
            ("small extents", test_small_extents),
            ("extents twice", test_extents_twice),
            ("one never answered", test_one_never_answered),
            ("errors are errors", test_errors_are_errors),
            ("floods", test_floods),
            ("batches", test_batches),
            ("flapping", test_flapping),
            ("no servers", test_no_servers)):
        results.run(name, function, *args)
    if "certtool" in str(interop.shutil.which("certtool")):
        results.run("TLS, shared key", test_tls_psk)
        results.run("TLS, certificates", test_tls_certificates)
    else:
        results.skip("TLS", "certtool is not installed")


interop.main(tests)
