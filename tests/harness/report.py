# SPDX-License-Identifier: GPL-2.0
"""Parsing, counting and printing the results of tests."""

import re
import sys
import threading
import time

RESULT = re.compile(r"^(ok|not ok|skip)\b[ \t]*(\d+\b)?[ \t]*-?[ \t]*(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)\s*$")
SKIP_MARK = re.compile(r"#\s*skip\b", re.IGNORECASE)


class Outcome:
    """The results of one test program: lists of lines for the user."""

    def __init__(self, title, log):
        self.title = title
        self.log = log
        self.passed = []
        self.failed = []
        self.skipped = []
        self.planned = 0
        self.seconds = 0.0

    def take_line(self, line):
        plan = PLAN.match(line)
        if plan:
            self.planned += int(plan.group(1))
            return
        match = RESULT.match(line)
        if not match:
            return
        verdict, _, text = match.groups()
        text = text.strip()
        # cmocka 1.1.5 says `not ok N # SKIP NAME` for a skipped case.
        if verdict == "skip" or SKIP_MARK.search(text):
            self.skipped.append(text)
        elif verdict == "ok":
            self.passed.append(text)
        else:
            self.failed.append(text)

    def finish(self, ending):
        """ending: None when the program exited with 0, else how it ended."""
        seen = len(self.passed) + len(self.failed) + len(self.skipped)
        if ending and not (self.failed and ending.startswith("exit status")):
            self.failed.append(ending)
        elif seen < self.planned:
            self.failed.append("%d of %d planned cases gave a result" % (seen, self.planned))
        elif seen == 0:
            self.failed.append("printed no result")


class Summary:
    """Add up outcomes and print them as they come. Threads may add outcomes concurrently."""

    def __init__(self, out=sys.stdout):
        self.out = out
        # Held while an outcome is counted and printed, so that its lines stay together.
        self.lock = threading.RLock()
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        # {layer: [number of programs and scripts, sum of seconds]}, in the order of their ends.
        self.layers = {}
        self.start = time.monotonic()

    def add(self, outcome):
        with self.lock:
            self.count(outcome)
            self.show(outcome)

    def count(self, outcome):
        self.passed += len(outcome.passed)
        self.failed += len(outcome.failed)
        self.skipped += len(outcome.skipped)
        layer = self.layers.setdefault(outcome.title.split()[0], [0, 0.0])
        layer[0] += 1
        layer[1] += outcome.seconds

    def show(self, outcome):
        counts = ["%d passed" % len(outcome.passed)]
        if outcome.failed:
            counts.append("%d FAILED" % len(outcome.failed))
        if outcome.skipped:
            counts.append("%d skipped" % len(outcome.skipped))
        self.say("%s: %s (%.1f s)" % (outcome.title, ", ".join(counts), outcome.seconds))
        for text in outcome.skipped:
            self.say("  skipped: " + text)
        for text in outcome.failed:
            self.say("  FAILED: " + text)
        if outcome.failed:
            self.show_tail(outcome.log)

    def show_tail(self, log, lines=40):
        try:
            with open(log, errors="replace") as file:
                text = [line.rstrip("\n") for line in file.readlines()[-lines:]]
        except OSError as error:
            text = [str(error)]
        with self.lock:
            self.say("  --- last lines of %s ---" % log)
            for line in text:
                self.say("  | " + line)

    def say(self, text):
        print(text, file=self.out, flush=True)

    def show_times(self):
        """Print a line per layer. Tests run concurrently, so the sum exceeds the elapsed time."""
        if not self.layers:
            return
        width = max(len(layer) for layer in self.layers)
        self.say("%-*s  %5s  %8s" % (width, "layer", "tests", "seconds"))
        for layer, (tests, seconds) in self.layers.items():
            self.say("%-*s  %5d  %8.1f" % (width, layer, tests, seconds))
        self.say("%-*s  %5s  %8.1f" % (width, "clock", "", time.monotonic() - self.start))

    def close(self):
        """Print the times and the closing line; return the exit status."""
        self.show_times()
        self.say("%d passed, %d failed, %d skipped" % (self.passed, self.failed, self.skipped))
        return 1 if self.failed or not self.passed else 0
