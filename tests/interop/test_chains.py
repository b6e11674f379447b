#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
"""Random backing chains, committed and rebased by qed-img and, on copies, by qemu-img.

After each operation QEMU reads the same bytes in the top image as before, and the same bytes in the
image committed to as in the top image. The same holds if the program is killed during it.
"""

import os
import random
import shutil
import signal
import subprocess
import time

import interop
from interop import Failure, KiB, MiB, must

CASES = 4 if interop.SANITIZE else 12
STEPS = 4
GEOMETRIES = ((4 * KiB, 2), (16 * KiB, 2), (64 * KiB, 4), (1 * MiB, 2), (4 * MiB, 2))


def raw_of(name, fmt="qed"):
    """Return the bytes of image @name with its chain, as QEMU reads them."""
    must("qemu-img", "convert", "-f", fmt, "-O", "raw", name, "raw.tmp")
    data = interop.read_file("raw.tmp")
    os.unlink("raw.tmp")
    return data


class Chain:
    """A chain of images 0 (the base) to n; images above the base are QED."""

    def __init__(self, rng):
        self.rng = rng
        self.clusters = {}
        self.made = 0
        self.family = []  # (name, format) of each image, the lowest first

    def random_size(self):
        return self.rng.choice((96, 1024, 4096, 7168)) * 512 + self.rng.randrange(40) * 512

    def scribble(self, name, fmt, size):
        """Make some random writes and zero writes."""
        unit = self.clusters.get(name, 64 * KiB)
        commands = []
        for _ in range(self.rng.randrange(1, 12)):
            step = self.rng.choice((512, 4096, unit, unit))
            offset = self.rng.randrange(size) // step * step
            length = min(size - offset, self.rng.randrange(1, 9) * step)
            value = self.rng.choice((0, 0, 1, 2, 3, 0xaa))
            commands += ["-c", "write -q %s %d %d" % (
                "-P %d" % value if value else self.rng.choice(("-z", "-z -u", "-P 0")),
                offset, length)]
        must(interop.QED_IO, "-f", fmt, *commands, name)

    def make(self, backing=None):
        """Make an image above @backing, a (name, format); return such a pair."""
        name = "image%d" % self.made
        self.made += 1
        size = self.random_size()
        fmt = "qed" if backing or self.rng.random() < 0.5 else "raw"
        options = []
        if fmt == "qed":
            cluster, table = self.rng.choice(GEOMETRIES)
            self.clusters[name] = cluster
            options = ["-o", "cluster_size=%d,table_size=%d" % (cluster, table)]
        if backing:
            options += ["-b", backing[0], "-F", backing[1]]
        must(interop.QED_IMG, "create", "-q", "-f", fmt, *options, name, str(size))
        self.scribble(name, fmt, size)
        self.family.append((name, fmt))
        return name, fmt

    def below(self, name):
        """Return the images below @name, the nearest first."""
        names = []
        formats = dict(self.family)
        while formats[name] == "qed":
            info = must(interop.QED_IMG, "info", "-f", "qed", name).out
            lines = [line for line in info.splitlines() if line.startswith("backing file: ")]
            if not lines:
                break
            name = os.path.basename(lines[0].split()[2])
            names.append((name, formats[name]))
        return names


def expect_reads(name, before, what):
    after = raw_of(name)
    if after == before:
        return
    if len(after) != len(before):
        raise Failure("after %s %s has %d bytes, not %d" % (what, name, len(after), len(before)))
    i = next(i for i in range(len(before)) if after[i] != before[i])
    raise Failure("after %s byte %d of %s is %#x instead of %#x" % (what, i, name, after[i],
                                                                   before[i]))


def copy_all(chain, to):
    os.mkdir(to)
    for name, _ in chain.family:
        must("cp", "--sparse=always", name, to)


def beside(chain, args, check):
    """Run qemu-img on copies; return False if it fails, or its result is wrong."""
    copy_all(chain, "qemu")
    os.chdir("qemu")
    try:
        result = interop.run("qemu-img", *args)
        return not result.status and check()
    finally:
        os.chdir("..")


def check_base(base, top_bytes, base_before):
    """The image committed to reads as the top image did, and is unchanged beyond the top image's
    end."""
    data = raw_of(*base)
    return data == top_bytes + base_before[len(top_bytes):]


def commit(chain, top, before, tally):
    """Commit the top image; return the name of this case."""
    below = chain.below(top)
    depth = chain.rng.randrange(len(below)) if chain.rng.random() < 0.4 else 0
    base = below[depth]
    args = ["commit", "-q", "-f", "qed"]
    if depth or chain.rng.random() < 0.2:
        args += ["-b", base[0]]
    elif chain.rng.random() < 0.3:
        args += ["-d"]
    args.append(top)
    what = " ".join(args) + " (into %s)" % base[0]
    base_before = raw_of(*base)
    tally[beside(chain, args, lambda: check_base(base, before, base_before))] += 1
    must(interop.QED_IMG, *args)
    if not check_base(base, before, base_before):
        raise Failure("after %s the base is wrong" % what)
    if base[1] == "qed":
        interop.check_image(base[0])
    if "-b" not in args and "-d" not in args:
        if "allocated-clusters" in must(interop.QED_IMG, "check", "--output=json", top).out:
            raise Failure("after %s %s is not empty" % (what, top))
    return what


def below_names(chain, top):
    return [name for name, _ in chain.below(top)]


def rebase(chain, top, before, tally):
    rng = chain.rng
    others = [image for image in chain.family
              if image[0] != top and top not in below_names(chain, image[0])]
    choice = rng.random()
    if choice < 0.2:
        new = None
    elif choice < 0.5 or not others:
        new = chain.make(rng.choice(others) if others and rng.random() < 0.6 else None)
    else:
        new = rng.choice(others)
    args = ["rebase", "-f", "qed", "-b", new[0] if new else ""]
    if new:
        args += ["-F", new[1]]
    args.append(top)
    what = " ".join(args)
    tally[beside(chain, args, lambda: raw_of(top) == before)] += 1
    must(interop.QED_IMG, *args)
    if below_names(chain, top)[:1] != ([new[0]] if new else []):
        raise Failure("after %s the image names %s" % (what, below_names(chain, top)[:1]))
    return what


def run_case(rng, tally):
    chain = Chain(rng)
    image = None
    for _ in range(rng.randrange(2, 5)):
        image = chain.make(image)
    top = image[0]
    for _ in range(STEPS):
        before = raw_of(top)
        verb = commit if chain.below(top) and rng.random() < 0.4 else rebase
        what = verb(chain, top, before, tally)
        shutil.rmtree("qemu")
        expect_reads(top, before, what)
        interop.check_image(top)
        if rng.random() < 0.5:
            chain.scribble(top, "qed", len(before))


def random_chains(results, seed):
    tally = {True: 0, False: 0}
    for case in range(CASES):
        with interop.WorkDir():
            results.run("chains-%d (SEED=%d)" % (case, seed), run_case,
                        random.Random("%d/%d" % (seed, case)), tally)
    print("# QEMU did %d of %d alike; its known errors: zero clusters, growing QED" % (
        tally[True], sum(tally.values())))
    if tally[True] * 2 < sum(tally.values()):
        results.not_ok("chains-beside", "qemu-img did less than half of it as we do")


# ---- Killed ----

def fill(name, size, rng, values):
    commands = []
    for offset in range(0, size, 256 * KiB):
        value = rng.choice(values)
        if value:
            commands += ["-c", "write -q -P %d %d 192k" % (value, offset)]
        elif value == 0:
            commands += ["-c", "write -q -z %d 192k" % offset]
    must(interop.QED_IO, "-f", "qed", *commands, name)


def wait_for_locks(name):
    """The kernel completes the I/O of a killed program after its exit, and releases its locks after
    that."""
    for _ in range(500):
        if not interop.run(interop.QED_IO, "-f", "qed", "-c", "length", name).status:
            return
        time.sleep(0.01)
    raise Failure("%s stays locked" % name)


def killed(rng, verb):
    """Kill the program again and again, later each time, until it runs to completion."""
    size = 48 * MiB
    must(interop.QED_IMG, "create", "-q", "-f", "raw", "low", str(64 * MiB))
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "-b", "low", "-F", "raw", "base",
         str(32 * MiB))
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "-b", "base", "-F", "qed", "top", str(size))
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "other", str(size))
    must(interop.QED_IO, "-f", "raw", "-c", "write -q -P 9 0 64M", "low")
    fill("base", 32 * MiB, rng, (1, 2, 0, None))
    fill("top", size, rng, (3, 4, 0, None))
    fill("other", size, rng, (1, 9, 0, None))
    before = raw_of("top")
    args = ["commit", "-q", "-f", "qed", "top"] if verb == "commit" else \
        ["rebase", "-f", "qed", "-b", "other", "-F", "qed", "top"]
    wait = 0.004
    for kills in range(20):
        with subprocess.Popen([interop.QED_IMG, *args]) as process:
            time.sleep(wait * rng.random())
            process.send_signal(signal.SIGKILL)
            status = process.wait()
        wait_for_locks("top")
        expect_reads("top", before, "%s, killed %d times," % (verb, kills + 1))
        for name in ("base", "top"):
            if interop.run(interop.QED_IMG, "check", "-q", name).status not in (0, 3):
                raise Failure("after %s, killed, %s is damaged" % (verb, name))
        if status == 0:
            break
        wait *= 1.5
    must(interop.QED_IMG, *args)
    expect_reads("top", before, verb)
    if verb == "commit" and raw_of("base") != before:
        raise Failure("base is not as top is")


def behind_the_end(_):
    """A cluster larger than the comparison buffer, beyond the end of the old backing file."""
    must(interop.QED_IMG, "create", "-q", "-f", "raw", "old", "1M")
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "-b", "old", "-F", "raw", "new", "16M")
    must(interop.QED_IO, "-f", "qed", "-c", "write -q -P 9 9M 4k", "new")
    must(interop.QED_IMG, "create", "-q", "-f", "qed", "-o", "cluster_size=4M", "-b", "old", "-F",
         "raw", "top", "16M")
    must(interop.QED_IMG, "rebase", "-b", "new", "-F", "qed", "top")
    must(interop.QED_IO, "-r", "-f", "qed", "-c", "read -q -P 0 0 16M", "top")


def main(results):
    seed = interop.seed_from([])
    if not interop.need_qemu(results, "chains"):
        return
    random_chains(results, seed)
    with interop.WorkDir():
        results.run("chains-behind-the-end", behind_the_end, None)
    for verb in ("commit", "rebase"):
        with interop.WorkDir():
            results.run("chains-killed-" + verb, killed, random.Random("%d/%s" % (seed, verb)),
                        verb)


interop.main(main)
