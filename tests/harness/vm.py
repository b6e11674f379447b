# SPDX-License-Identifier: GPL-2.0
"""The layer of the virtual machine: scripts that share boots, each with its own result.

The work is cut into guests, each with some scripts. Several may run at once: guests share nothing
but the host's files, which they see below an overlay of their own."""

import functools
import glob
import os
import re
import subprocess
import threading
import time

import program
import report

TIME_LIMIT = 300
OPTIONS_MARK = re.compile(r"^# vm: *(.*)$", re.MULTILINE)
BEGIN = re.compile(r"^== begin (\S+)$")
END = re.compile(r"^== end (\S+) (\d+)$")
CANNOT_RUN = 77
EMULATOR_FAULT = 75
EMULATOR_FAULTS_FORGIVEN = 3
# A boot takes as long as a short script. With fewer scripts in a guest, two guests end at about the
# same time.
SCRIPTS_IN_GUEST = 5


# Scripts that also run on the newer kernel have `# newer: yes` near their top.
NEWER_MARK = re.compile(r"^# newer: yes$", re.MULTILINE)
# Scripts that need the kernel's module.
NEEDS_MODULE = "dm_qed"


class Script:
    def __init__(self, root, path, logs, layer):
        self.path = os.path.relpath(path, root)
        name = os.path.splitext(os.path.basename(path))[0]
        self.title = layer + " " + name
        self.log = os.path.join(logs, name + ".log")
        # A script's limit is meant for an idle machine.
        self.limit = program.time_limit(path, TIME_LIMIT) * program.SLOWER
        with open(path) as file:
            head = file.read(2000)
        match = OPTIONS_MARK.search(head)
        self.options = tuple(match.group(1).split()) if match else ()
        self.newer = NEWER_MARK.search(head) is not None


def scripts_by_options(root, build, only, layer):
    """Return {options of run-vm: scripts}: scripts with the same options share a machine."""
    logs = os.path.join(build, "test-logs", layer)
    os.makedirs(logs, exist_ok=True)
    groups = {}
    for path in sorted(glob.glob(os.path.join(root, "tests/vm/test_*.sh"))):
        if only not in path:
            continue
        script = Script(root, path, logs, layer)
        if layer == "vm" or script.newer:
            groups.setdefault(script.options, []).append(script)
    return groups


class Boot:
    """One boot that runs some scripts. Afterwards: finished (outcomes), interrupted."""

    def __init__(self, scripts, options, logs, env):
        self.env = env
        self.scripts = {script.path: script for script in scripts}
        first = os.path.splitext(os.path.basename(scripts[0].path))[0]
        self.console = os.path.join(logs, "console-%s.log" % first)
        self.run_vm_log = os.path.join(logs, "run-vm-%s.log" % first)
        self.options = options
        self.finished = {}
        self.current = None
        self.messages = []
        self.status = None

    def command(self):
        limit = sum(script.limit + 15 for script in self.scripts.values())
        return (["tests/vm/run-vm", "--timeout", str(limit), "--log", self.console]
                + list(self.options) + ["--", "tests/vm/run-scripts"]
                + ["%s:%d" % (script.path, script.limit) for script in self.scripts.values()])

    def run(self, summary):
        with open(self.run_vm_log, "w") as messages:
            process = program.start(self.command(), env=self.env, stdout=subprocess.PIPE,
                                    stderr=messages)
            if process is None:
                return
            for line in process.stdout:
                self.take_line(line.decode(errors="replace").rstrip("\r\n"), summary)
            self.status = process.wait()
        with open(self.run_vm_log, errors="replace") as messages:
            self.messages = messages.read().splitlines()

    def take_line(self, line, summary):
        begin, end = BEGIN.match(line), END.match(line)
        if begin and begin.group(1) in self.scripts:
            script = self.scripts[begin.group(1)]
            outcome = report.Outcome(script.title, script.log)
            self.current = (script, outcome, time.monotonic(), open(script.log, "w"))
        elif end and self.current and end.group(1) == self.current[0].path:
            summary.add(self.end_current(ending(int(end.group(2)), self.current[0].limit)))
        elif self.current:
            self.current[1].take_line(line)
            self.current[3].write(line + "\n")
            self.current[3].flush()

    def end_current(self, how):
        script, outcome, start, log = self.current
        outcome.seconds = time.monotonic() - start
        outcome.finish(how)
        log.close()
        self.finished[script.path] = outcome
        self.current = None
        return outcome


def ending(status, limit):
    if status in (124, 137):
        return "time limit of %d s reached" % limit
    return "exit status %d" % status if status else None


def machine_failure(boot, summary, title, why):
    """Report a failure that belongs to no script, with the console's log."""
    outcome = report.Outcome(title, boot.console)
    outcome.failed.append(why)
    summary.add(outcome)


def last_line(lines):
    """Return the reason, after the output of fetching a kernel."""
    return lines[-1] if lines else "no reason given"


def skip(scripts, reason, summary):
    for script in scripts:
        outcome = report.Outcome(script.title, script.log)
        outcome.skipped.append("%s: %s" % (script.title, reason))
        summary.add(outcome)


def run_group(scripts, options, logs, env, summary):
    """Run scripts with the same options of run-vm, in as many boots as it takes."""
    pending = list(scripts)
    forgiven = 0
    while pending:
        boot = Boot(pending, options, logs, env)
        boot.run(summary)
        if program.stopping:
            return
        reason = boot.messages[0] if boot.messages else "exit status %d of run-vm" % boot.status
        if boot.status == CANNOT_RUN:
            skip(pending, last_line(boot.messages), summary)
            return
        if boot.status == EMULATOR_FAULT and forgiven < EMULATOR_FAULTS_FORGIVEN:
            forgiven += 1
            summary.say("vm: the emulator failed, once more")
        elif boot.current:
            # The script during which the guest died; the others get a new guest.
            summary.add(boot.end_current("the guest died: " + reason))
            summary.show_tail(boot.console)
        elif not boot.finished or (boot.status and len(boot.finished) < len(pending)):
            machine_failure(boot, summary, "vm machine", reason)
            return
        elif boot.status and not any(o.failed for o in boot.finished.values()):
            machine_failure(boot, summary, "vm machine", reason)
        pending = [script for script in pending if script.path not in boot.finished]


def build_module(layer, build, env, summary):
    """Build the kernel module for the machine's kernel; its tests fail without it. Return why there
    is no such kernel, or None."""
    log = os.path.join(build, "test-logs", layer, "module.log")
    outcome = report.Outcome(layer + " module", log)
    start = time.monotonic()
    with open(log, "w") as file:
        process = program.start(["tests/vm/build-module"], env=env, stdout=file,
                                stderr=subprocess.STDOUT)
        status = process.wait() if process else CANNOT_RUN
    outcome.seconds = time.monotonic() - start
    reason = None
    if status == CANNOT_RUN:
        with open(log, errors="replace") as file:
            reason = last_line(file.read().splitlines())
        outcome.skipped.append("%s module: %s" % (layer, reason))
    elif status:
        outcome.failed.append("the module does not build")
    else:
        outcome.passed.append(layer + " module")
    summary.add(outcome)
    return reason


def too_late():
    """Return why no more tests are started when the deadline in QEDBLK_VM7_UNTIL has passed, or
    None."""
    until = os.environ.get("QEDBLK_VM7_UNTIL")
    if until and time.time() > int(until):
        return "there is no time left for it (make check-vm-7)"
    return None


class Layer:
    """The scripts of a layer for one kernel. newer: a 7.x kernel, and only those about the kernel."""

    def __init__(self, root, build, only, summary, newer=False):
        self.name = "vm7" if newer else "vm"
        self.build = build
        self.summary = summary
        self.newer = newer
        self.env = dict(os.environ, QEDBLK_BUILD=build, QEDBLK_VM_KERNEL="7" if newer else "6.12")
        self.groups = scripts_by_options(root, build, only, self.name)
        # Held while the first guest prepares; the reason why there are no guests, or None.
        self.lock = threading.Lock()
        self.prepared = False
        self.reason = None

    def guests(self):
        """Return the work as functions. Any threads may call them, concurrently, in any order."""
        work = []
        for options, scripts in self.groups.items():
            for first in range(0, len(scripts), SCRIPTS_IN_GUEST):
                some = scripts[first:first + SCRIPTS_IN_GUEST]
                work.append(functools.partial(self.run_guest, options, some))
        return work

    def run_guest(self, options, scripts):
        reason = self.prepare()
        if reason:
            skip(scripts, reason, self.summary)
        else:
            logs = os.path.join(self.build, "test-logs", self.name)
            run_group(scripts, options, logs, self.env, self.summary)

    def prepare(self):
        """Build the module, once. Fetching a kernel fails slowly if no mirror responds: that is not
        tried again for each guest."""
        with self.lock:
            if not self.prepared:
                self.prepared = True
                self.reason = too_late() if self.newer else None
                scripts = sum(self.groups.values(), [])
                if not self.reason and any(NEEDS_MODULE in script.path for script in scripts):
                    self.reason = build_module(self.name, self.build, self.env, self.summary)
            return self.reason
