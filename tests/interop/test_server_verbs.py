#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Send verbs to a server's control socket concurrently, and judge the answers.

The verbs and their arguments come from the server itself, so a new verb is tested without a change
here. Each verb is sent twice at once, then pairs of any two, SIGTERM being one of them. No answer
is hard-coded either: two concurrent verbs must be answered, and must leave the server, as if one of
them had come after the other; the sequential outcome is measured on the same server. Then many
clients send random requests at random times.

The server is a child of this program, so its exit status counts. Both lines are sent while SIGSTOP
stops it, so that it reads them together.

Without an argument the server is nodev_qedd, which has no block device; an argument names another
program. $QEDBLK_VERB_ROUNDS pairs are tried (80; 1,000 with $QEDBLK_LONG).
"""

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

import interop
from interop import BUILD, Failure, KiB, MiB, QED_IMG, must

NAME = "verbs-%d" % os.getpid()
# Seconds; only a hanging server takes as long.
LIMIT = 300
# Each start of a stream populates a cluster, however slow the stream is.
ROUNDS_PER_IMAGE = 300
MOST_FAILURES = 20
TRACE_HEAD = b"qedblk-trace 1\n"
ENDED = "closed"
STOPPING = ("error", "GenericError", "the server is stopping")


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT)
        # A socket's address has room for 108 bytes, less than a path may need.
        folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
        try:
            self.socket.connect("/proc/self/fd/%d/%s" % (folder, os.path.basename(path)))
        finally:
            os.close(folder)
        self.input = b""

    def send(self, verb, arguments):
        line = json.dumps({"execute": verb, "arguments": arguments, "id": verb}) + "\n"
        try:
            self.socket.sendall(line.encode())
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self):
        """Return the next line that is not an event, or None at the end of the connection."""
        while True:
            line, newline, rest = self.input.partition(b"\n")
            if newline:
                self.input = rest
                answer = json.loads(line)
                if "event" not in answer:
                    return answer
                continue
            try:
                more = self.socket.recv(1 << 16)
            except ConnectionResetError:
                more = b""
            except socket.timeout as timeout:
                raise Failure("no answer within %d seconds" % LIMIT) from timeout
            if not more:
                return None
            self.input += more

    def ask(self, verb, **arguments):
        self.send(verb, arguments)
        return self.receive()


class Server:
    """Servers, one after the other, of an image whose stream lasts longer than the test."""

    def __init__(self, qedd, with_device):
        self.qedd, self.with_device = qedd, with_device
        self.process = None
        self.run_dir = os.environ.get("QEDBLK_RUN_DIR") or "/run/qedblk"
        # Data without zero clusters: all of it counts against a stream's speed.
        interop.write_file("base.raw", b"\xff" * (16 * MiB))
        must(QED_IMG, "convert", "-f", "raw", "-O", "qed", "base.raw", "mid.qed")
        must(QED_IMG, "rebase", "-u", "-f", "qed", "-F", "raw", "-b", "base.raw", "mid.qed")

    def start(self):
        if os.path.exists("top.qed"):
            os.unlink("top.qed")
        self.rounds = 0
        with open("qedd.err", "ab") as errors:
            self.process = subprocess.Popen(
                [self.qedd, "--foreground", "--name", NAME, "--image", "top.qed",
                 "--backing", "mid.qed", "--backing-format", "qed", "--cluster-size", str(4 * KiB),
                 "--queues", "1", "--depth", "8",
                 # So that the first stream still has to start its thread.
                 "--no-copy-on-read"],
                stdout=subprocess.PIPE, stderr=errors)
        if not self.process.stdout.readline().startswith(b"/dev/"):
            raise Failure("no server: %s" % self.errors())
        path = os.path.join(self.run_dir, NAME + ".sock")
        self.clients = [Client(path) for _ in range(3)]
        # An answer shows that the connection was accepted.
        for client in self.clients:
            if not client.ask("commands"):
                raise Failure("the server closed a connection")

    def connect(self):
        return Client(os.path.join(self.run_dir, NAME + ".sock"))

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        while True:
            with open("/proc/%d/stat" % self.process.pid) as file:
                if file.read().rsplit(")", 1)[1].split()[0] in "TZX":
                    return
            time.sleep(0.0005)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def errors(self):
        return interop.read_file("qedd.err").decode(errors="replace")[-600:]

    def check_lives(self):
        if self.process.poll() is not None:
            raise Failure("the server died: status %d: %s" % (self.process.returncode,
                                                              self.errors()))

    def check_ended(self):
        try:
            status = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            raise Failure("the server does not end") from None
        if status:
            raise Failure("the server ended with status %d: %s" % (status, self.errors()))
        left = [name for name in os.listdir(self.run_dir) if name.startswith(NAME)]
        if left:
            raise Failure("the server left %s" % left)
        self.process = None

    def stop(self):
        self.process.terminate()
        self.check_ended()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def restart(self):
        """Start a new server, whatever the state of the old one."""
        if self.process and self.process.poll() is None:
            self.stop()
        elif self.process and self.with_device:
            interop.run(os.path.join(BUILD, "qedctl"), "remove", "--force", NAME)
        self.start()


class Request:
    """A verb with arguments; its index among the two requests decides the names of its files."""

    VALUES = {
        "speed": lambda server, index: 1,
        "pid": lambda server, index: server.process.pid,
        "file": lambda server, index: os.path.abspath("trace.%d" % index),
        "base": lambda server, index: os.path.abspath("base.raw"),
        "top": lambda server, index: os.path.abspath("mid.qed"),
        "mode": lambda server, index: "on",
        "on-full": lambda server, index: "wait=5",
        "speed:s": lambda server, index: "1",
        "copy-on-read": lambda server, index: "on",
        "pending": lambda server, index: "drop",
        # That of the image, which stays: any order of two requests has the same outcome.
        "size": lambda server, index: 16 * MiB,
        "repair": lambda server, index: "leaks",
        # The job does not end.
        "wait": lambda server, index: False,
    }
    OF_KIND = {"s": "x", "i": 0, "b": True}

    def __init__(self, verb, arguments):
        self.verb, self.arguments = verb, arguments
        self.ends = verb in ("quit", "SIGTERM")

    def __str__(self):
        return " ".join([self.verb] + [name for name, _ in self.arguments])

    def send(self, server, index):
        if self.verb == "SIGTERM":
            server.process.terminate()
            return
        arguments = {}
        for name, kind in self.arguments:
            value = self.VALUES.get(name + ":" + kind, self.VALUES.get(name))
            arguments[name] = value(server, index) if value else self.OF_KIND[kind]
        server.clients[index].send(self.verb, arguments)

    def answer(self, server, index):
        if self.verb == "SIGTERM":
            return None
        answer = server.clients[index].receive()
        if answer is None and not self.ends:
            return ENDED
        if answer is None:
            return "no answer"
        if answer.get("id") != self.verb:
            raise Failure("%s: the answer is another's: %s" % (self, answer))
        return normal(self.verb, answer)


def all_requests(commands):
    """Return each verb without its optional arguments, and with all of them."""
    requests = []
    for verb, words in sorted(commands.items()):
        arguments = [tuple(word.split(":")) for word in words.split()]
        numbers = [argument for argument in arguments if argument[1] == "i"]
        requests.append(Request(verb, numbers))
        if len(arguments) > len(numbers):
            requests.append(Request(verb, arguments))
    return requests


def job_state(job):
    """Return the state of a stream or commit. A pause takes effect some time after its answer, and a pause in
    the past does not count."""
    state = (job or {}).get("state", "cancelled")
    return {"waiting": "running", "paused": "running"}.get(state, state)


def normal(verb, answer):
    """Return an answer without what depends on time."""
    if "error" in answer:
        error = answer["error"]
        return ("error", error["class"], error["desc"])
    value = answer["return"]
    if verb.startswith(("stream", "commit")):
        return (value["kind"], job_state(value), value.get("note"))
    if verb == "check":
        # What a job has written by then depends on time.
        return (verb, value["corruptions"], value["leaks"], value["check-errors"])
    if verb in ("status", "info", "stats"):
        names = sorted(set(value) - {"quit-pending", "stream", "commit"})
        return (verb, tuple(names), job_state(value.get("stream")), job_state(value.get("commit")),
                value.get("detect-zeroes"))
    return json.dumps(value, sort_keys=True)


def check_traces():
    traces = sorted(name for name in os.listdir(".") if name.startswith("trace."))
    for name in traces:
        if not interop.read_file(name).startswith(TRACE_HEAD):
            raise Failure("%s is no trace" % name)
    return traces


def forget_traces():
    for name in os.listdir("."):
        if name.startswith("trace."):
            os.unlink(name)


class Pairs:
    def __init__(self, server, rng):
        self.server, self.rng = server, rng
        self.known = {}  # (state, first, second, order): the sequential outcome
        self.alone = {}  # (state, request): its answer when sent alone
        server.start()
        commands = server.clients[2].ask("commands", arguments=True)["return"]
        self.requests = all_requests(commands) + [Request("SIGTERM", [])]

    def set_state(self, state):
        server = self.server
        if server.rounds > ROUNDS_PER_IMAGE or (state == "fresh" and server.rounds):
            server.stop()
            server.start()
        server.rounds += 1
        if state == "busy":
            server.clients[2].ask("stream", speed=1)
            server.clients[2].ask("trace-start", file=os.path.abspath("trace.2"))

    def end_state(self):
        """Return the server's final state; it is idle afterwards."""
        client = self.server.clients[2]
        self.server.check_lives()
        seen = [normal("status", client.ask("status"))]
        with open(os.path.join(self.server.run_dir, NAME + ".json")) as file:
            # Only these: the option that lets the backing file change stays recorded.
            seen.append([word for word in json.load(file)["options"]
                         if word.startswith(("--stream", "--speed", "--detect"))])
        for verb in ("stream-cancel", "commit-cancel", "trace-stop"):
            seen.append(normal(verb, client.ask(verb)))
        client.ask("detect-zeroes", mode="off")
        self.server.check_lives()
        seen.append(check_traces())
        forget_traces()
        return seen

    def finish_round(self, pair):
        if not any(request.ends for request in pair):
            return self.end_state()
        self.server.check_ended()
        check_traces()
        forget_traces()
        self.server.start()
        return None

    def one_after_the_other(self, state, pair, order):
        key = (state, str(pair[0]), str(pair[1]), order)
        if key not in self.known:
            self.set_state(state)
            answers = [None, None]
            for index in order:
                pair[index].send(self.server, index)
                answers[index] = pair[index].answer(self.server, index)
            self.known[key] = (answers, self.end_state())
        return self.known[key]

    def answer_alone(self, state, request, index):
        key = (state, str(request), index)
        if key not in self.alone:
            self.set_state(state)
            request.send(self.server, index)
            self.alone[key] = request.answer(self.server, index)
            self.end_state()
        return self.alone[key]

    def at_once(self, state, pair):
        self.set_state(state)
        order = self.rng.choice(((0, 1), (1, 0)))
        frozen = self.rng.random() < 0.7
        if frozen:
            self.server.freeze()
        for index in order:
            pair[index].send(self.server, index)
        if frozen:
            self.server.thaw()
        answers = [pair[index].answer(self.server, index) for index in (0, 1)]
        if not any(request.ends for request in pair):
            self.server.check_lives()
        return answers, self.finish_round(pair)

    def is_right(self, state, pair, result):
        if not any(request.ends for request in pair):
            allowed = [self.one_after_the_other(state, pair, order)
                       for order in ((0, 1), (1, 0))]
            return result in allowed, allowed
        # A request beside the one that ends the server is carried out, refused, or not read.
        for index, request in enumerate(pair):
            if request.verb == "quit":
                fine = ["{}"]
                if any(other.verb == "SIGTERM" for other in pair):
                    fine.append("no answer")
                # Beside another ending request it may be too late to have more effect than the end.
                if pair[1 - index].ends and len(request.arguments) > 1:
                    fine.append(STOPPING)
            elif request.verb == "SIGTERM":
                fine = [None]
            else:
                fine = [self.answer_alone(state, request, index), STOPPING, ENDED]
                # A stopping server reports less.
                if request.verb in ("status", "info") and result[0][index][0] == request.verb:
                    continue
            if result[0][index] not in fine:
                return False, fine
        return True, None

    def round(self, state, pair):
        what = "%s server: %s beside %s" % (state, pair[0], pair[1])
        try:
            result = self.at_once(state, pair)
            right, allowed = self.is_right(state, pair, result)
        except (Failure, OSError, ValueError, TypeError) as why:
            raise Failure("%s: %s" % (what, why)) from why
        if not right:
            raise Failure("%s: %s, not one of %s" % (what, result, allowed))

    def run(self, rounds):
        twice = [(state, (request, request))
                 for request in self.requests for state in ("fresh", "idle", "busy")
                 if state == "busy" or not request.ends]
        pairs = [(state, pair) for pair in itertools.combinations(self.requests, 2)
                 for state in ("idle", "busy")]
        self.rng.shuffle(twice)
        done, failures = 0, []
        while done < rounds and len(failures) < MOST_FAILURES:
            self.rng.shuffle(pairs)
            for state, pair in (twice + pairs)[:rounds - done]:
                if len(failures) == MOST_FAILURES:
                    break
                done += 1
                if not done % 100:
                    print("# %d rounds" % done, flush=True)
                try:
                    self.round(state, pair)
                except Failure as failure:
                    failures.append(str(failure))
                    self.server.kill()
                    forget_traces()
                    self.server.restart()
        if failures:
            raise Failure("%d of %d went wrong: %s" % (len(failures), done, "; ".join(failures)))


def crowd(server, rng, requests, rounds):
    """Clients that send random requests, and may not wait for the answers; a stream may end."""
    clients = [server.connect() for _ in range(8)]
    requests = [request for request in requests if not request.ends]
    for number in range(rounds):
        index = rng.randrange(len(clients))
        request = rng.choice(requests)
        arguments = {}
        for name, kind in request.arguments:
            value = Request.VALUES.get(name)
            arguments[name] = value(server, index) if value else Request.OF_KIND[kind]
        if request.verb in ("stream", "commit"):
            arguments.update(speed=rng.choice((0, 0, 1, MiB)), wait=rng.random() < 0.3)
        clients[index].send(request.verb, arguments)
        if arguments.get("wait") or rng.random() < 0.2:
            clients[index].socket.close()
            clients[index] = server.connect()
        elif not clients[index].receive():
            raise Failure("%s after %d others: no answer: %s" % (request, number, server.errors()))
        if arguments.get("file") and request.verb == "trace-stop":
            forget_traces()
    server.check_lives()
    server.stop()
    check_traces()


def streams_to_their_end(server):
    """Start two streams at once, the server's first ones, and read all their events until both end."""
    server.restart()
    server.freeze()
    for client in server.clients[:2]:
        client.send("stream", {"wait": True})
    server.thaw()
    for client in server.clients[:2]:
        answer = client.receive()
        if not answer or answer.get("return", {}).get("state") != "done":
            raise Failure("answered by %s: %s" % (answer, server.errors()))
    server.check_lives()
    status = server.clients[2].ask("status")["return"]
    if status["backing-chain"] or status["stream"]["state"] != "done":
        raise Failure("afterwards: %s" % status)


def quit_while_starting(server):
    """A device that is recovered is in use before its server is live: neither `quit` nor SIGTERM
    may remove it."""
    server.kill()
    os.unlink(os.path.join(server.run_dir, NAME + ".sock"))
    # Reading it takes the program half a second or more; its socket exists by then.
    with open("trace", "wb") as trace:
        trace.write(TRACE_HEAD + b"0 4096\n" * 3000000)
    with open("qedd.err", "ab") as errors:
        server.process = subprocess.Popen(
            [server.qedd, "--foreground", "--name", NAME, "--image", "top.qed", "--recover",
             "--no-copy-on-read", "--prefetch", "trace"],
            env=dict(os.environ, NODEV_WAITING="1", NODEV_USED="1"), stdout=subprocess.PIPE,
            stderr=errors)
    end = time.monotonic() + LIMIT
    while not os.path.exists(os.path.join(server.run_dir, NAME + ".sock")):
        server.check_lives()
        if time.monotonic() > end:
            raise Failure("it does not start: %s" % server.errors())
        time.sleep(0.01)
    client = server.connect()
    client.send("quit", {})
    answer = client.receive()
    if not answer or answer.get("error", {}).get("class") != "DeviceBusy":
        raise Failure("answered by %s" % answer)
    server.process.terminate()
    while "SIGTERM does not stop it" not in server.errors():
        server.check_lives()
        if time.monotonic() > end:
            raise Failure("SIGTERM is not answered: %s" % server.errors())
        time.sleep(0.01)
    server.stop()


def main():
    qedd = os.path.join(BUILD, "tests/interop/nodev_qedd")
    with_device = len(sys.argv) > 1
    if with_device:
        qedd = os.path.abspath(sys.argv[1])
    rounds = int(os.environ.get("QEDBLK_VERB_ROUNDS") or
                 (1000 if os.environ.get("QEDBLK_LONG") else 80))
    rng = random.Random(interop.seed_from([]))
    results = interop.Results()
    with interop.WorkDir() as folder:
        if not with_device:
            os.environ["QEDBLK_RUN_DIR"] = os.path.join(folder, "run")
        server = Server(qedd, with_device)
        try:
            pairs = Pairs(server, rng)
            results.run("verbs beside themselves and each other: %d rounds" % rounds, pairs.run,
                        rounds)
            results.run("two streams at once, to their end", streams_to_their_end, server)
            server.restart()
            results.run("a crowd of clients", crowd, server, rng, pairs.requests, 4 * rounds)
            if not with_device:
                server.restart()
                results.run("quit of a server that starts", quit_while_starting, server)
        finally:
            server.kill()
    return results.status()


if __name__ == "__main__":
    sys.exit(main())
