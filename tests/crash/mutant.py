# SPDX-License-Identifier: GPL-2.0
"""Mutants, and the tests that judge them."""


class Crash:
    """The simulator with one of its workloads.

    shows: the rules and cases of Documentation/ordering.rst that the mutant breaks there.
    """

    def __init__(self, workload, *shows):
        self.workload = workload
        self.shows = shows
        self.name = workload


class Unit:
    """One case of the unit test tests/unit/test_PROGRAM.c."""

    def __init__(self, program, case, *shows):
        self.program = "test_" + program
        self.case = "test_" + case
        self.shows = shows
        self.name = "%s: %s" % (self.program, case)


class Mutant:
    """An edit of the driver that breaks a rule, and the tests each of which must fail with it.

    edits: (file of the driver, or below userspace/, text that is there once, what it becomes).
    """

    def __init__(self, name, edits, *judges):
        self.name = name
        self.edits = edits if isinstance(edits[0], tuple) else (edits,)
        self.judges = judges
