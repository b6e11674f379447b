# SPDX-License-Identifier: GPL-2.0
"""Run the same command lines with QEMU's programs and with ours: standard output, standard error
and exit status must be the same, except for the differences in Documentation/differences.rst.

The lines of a list run in order in one directory, a copy of what make_template() makes. A line that
starts with "~" is a deliberate difference: our program must print the text after " ~ " in it, on
either stream, with the same status unless "[STATUS]" gives another. A line that starts with "!" is
one that QEMU's program would never end: only our program runs it."""

import os
import re
import shlex
import shutil

import interop
from interop import must

REFERENCE = (7, 2)

# ---- What both sides start from, made by QEMU ----


def make_template():
    os.mkdir("template")
    os.chdir("template")
    must("qemu-img", "create", "-q", "-f", "raw", "base", "1M")
    must("qemu-io", "-f", "raw", "-c", "write -P 1 0 100k", "-c", "write -P 0 200k 64k", "base")
    must("qemu-img", "create", "-q", "-f", "qed", "-b", "base", "-F", "raw", "a", "2M")
    must("qemu-img", "create", "-q", "-f", "qed", "-b", "a", "-F", "qed", "top", "3M")
    must("qemu-io", "-f", "qed", "-c", "write -P 3 64k 4k", "-c", "write -z 128k 128k", "-c",
         "write -P 3 1M 100k", "a")
    must("qemu-io", "-f", "qed", "-c", "write -P 5 300k 4k", "top")
    must("qemu-img", "create", "-q", "-f", "qed", "new", "1M")
    must("qemu-img", "create", "-q", "-f", "qed", "-u", "-b", "nope", "-F", "raw", "missing", "1M")
    must("qemu-img", "create", "-q", "-f", "qed", "-u", "-b", "/dev/null", "-F", "raw", "abs", "1M")
    must("qemu-img", "create", "-q", "-f", "qed", "-b", "base", "-F", "raw", "thin")
    must("qemu-img", "create", "-q", "-f", "qcow2", "-b", "base", "-F", "raw", "q2")
    must("qemu-io", "-f", "qcow2", "-c", "write -P 2 0 64k", "-c", "write -z 128k 64k", "q2")
    must("qemu-img", "convert", "-c", "-O", "qcow2", "-f", "raw", "base", "packed")
    must("qemu-img", "convert", "-O", "qed", "a", "flat")
    must("qemu-img", "create", "-q", "-f", "raw", "small", "512k")
    must("qemu-img", "create", "-q", "-f", "raw", "large", "5M")
    os.mkdir("dir")
    os.truncate(os.open("odd", os.O_CREAT | os.O_WRONLY, 0o644), 3000)
    interop.write_file("empty", b"")
    interop.write_file("tiny", b"hi")
    make_damaged()
    os.chdir("..")
    os.mkdir("bin")
    for name, program in OURS.items():
        OURS[name] = os.path.abspath("bin/" + name)
        os.symlink(program, OURS[name])


def make_damaged():
    for name in ("leaky", "corrupt", "astray", "dirty"):
        shutil.copy("a", name)
    os.truncate("leaky", os.path.getsize("leaky") + 2 * 65536)
    # Two guest clusters that share a host cluster, and one beyond the end of the file.
    entry = interop.l2_entry_offset("a", 16)
    interop.poke64("corrupt", entry, interop.peek64("a", entry + 8))
    interop.poke64("astray", interop.l2_entry_offset("a", 20), 1 << 40)
    interop.write_header("dirty", features=interop.read_header("dirty")["features"] |
                         interop.F_NEED_CHECK)


# ---- Comparing ----

REPLACEMENTS = (
    (re.compile(r"\d+:\d\d:\d\d\.\d\d|\d\d\.\d\d sec"), "TIME"),
    (re.compile(r"\([0-9.e+]+( [KMGTP]iB)?( bytes)?/sec and [0-9.]+ ops/sec\)"), "(RATE)"),
    (re.compile(r"(TIME),[0-9.]+,[0-9.]+"), r"\1,RATE"),
    (re.compile(r"Run completed in \d+\.\d{3} seconds"), "Run completed in TIME seconds"),
    # Our images are sparse where QEMU's are not; other tests check their size.
    (re.compile(r"disk size: .*"), "disk size: SIZE"),
    (re.compile(r'"actual-size": \d+'), '"actual-size": SIZE'),
    # Names of temporary images differ.
    (re.compile(r"'[^']*/(vl|qed-io)\.\w{6}'"), "'TEMPORARY'"),
    # The steps of progress depend on time.
    (re.compile(r"(    \(\d+\.\d\d/100%\)\r)+"), "PROGRESS"),
)


def normal(text, directory):
    text = text.replace(directory, "DIRECTORY")
    text = text.replace(os.path.dirname(OURS["qemu-img"]) + "/", "")
    for pattern, replacement in REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text


class Side:
    """A directory, and the programs that run in it."""

    def __init__(self, name, programs):
        self.directory, self.programs = os.path.abspath(name), programs
        # Keep the holes, which map reports.
        must("cp", "-a", "--sparse=always", "template", name)

    def run(self, line, stdin="", merged=False):
        """Return status, standard output and standard error; with @merged, both streams are one
        file."""
        args = shlex.split(line.replace("$PWD", self.directory))
        args[0] = self.programs[args[0]]
        before = os.getcwd()
        os.chdir(self.directory)
        try:
            result = interop.run(*args, stdin=stdin, merged=merged)
        finally:
            os.chdir(before)
        return (result.status, normal(result.out, self.directory),
                normal(result.err, self.directory))


THEIRS = {"qemu-img": "qemu-img", "qemu-io": "qemu-io"}
# By links with the names of QEMU's programs, once make_template() has made them: then our words are
# QEMU's alone.
OURS = {"qemu-img": interop.QED_IMG, "qemu-io": interop.QED_IO}


def show(side):
    return "status %d, out %r, err %r" % side


def compare(results, name, theirs, ours, line, stdin="", merged=False):
    expected, got = theirs.run(line, stdin, merged), ours.run(line, stdin, merged)
    if expected == got:
        results.ok(name)
    else:
        results.not_ok(name, "QEMU: %s; ours: %s" % (show(expected), show(got)))


def compare_different(results, name, theirs, ours, line):
    """A deliberate difference: it must exist, and be the one that the line states."""
    command, text = line[1:].split(" ~", 1)
    expected = theirs.run(command) if line.startswith("~") else (0, "", "")
    got = ours.run(command)
    status = expected[0]
    match = re.match(r"\[(\d+)\]", text)
    if match:
        status, text = int(match.group(1)), text[match.end():]
    if expected == got:
        results.not_ok(name, "no difference any more: take the mark off")
    elif got[0] != status or text.strip() not in got[1] + got[2]:
        results.not_ok(name, "expected status %d and %r; ours: %s" % (
            status, text.strip(), show(got)))
    else:
        results.ok(name)


def compare_images(results, title, name):
    """Compare the images that both sides wrote."""
    result = interop.run("qemu-img", "compare", "theirs/" + name, "ours/" + name)
    if result.status:
        results.not_ok("%s-%s" % (title, name), str(result))
    else:
        results.ok("%s-%s" % (title, name))


def without_aborts(lines):
    """Undo an effect of ThreadSanitizer, which, unlike other builds, flushes standard output in
    abort()."""
    if interop.SANITIZE != "thread":
        return lines
    return "\n".join(line for line in lines.strip().splitlines() if "abort" not in line)


class Sides:
    """Both sides, each in a fresh copy of the template, until `with` ends."""

    def __enter__(self):
        self.theirs, self.ours = Side("theirs", THEIRS), Side("ours", OURS)
        return self

    def __exit__(self, *unused):
        shutil.rmtree("theirs")
        shutil.rmtree("ours")


def run_list(results, title, lines, images=()):
    """Run the lines; afterwards the images with the names in @images must have equal contents, too."""
    with Sides() as sides:
        for number, line in enumerate(lines.strip().splitlines()):
            name = "%s-%02d (%s)" % (title, number, line.lstrip("~!").split(" ~")[0])
            if line[0] in "~!":
                compare_different(results, name, sides.theirs, sides.ours, line)
            else:
                compare(results, name, sides.theirs, sides.ours, line)
        for image in images:
            compare_images(results, title, image)


def need_reference(results, name):
    """Return True if QEMU has the reference version; otherwise print a skip line."""
    if not interop.need_qemu(results, name):
        return False
    # Words and fields change between QEMU versions; scripts rely on those of one version.
    if interop.qemu_version() != REFERENCE:
        results.skip(name, "the reference is QEMU %d.%d, and %d.%d is installed" % (
            *REFERENCE, *interop.qemu_version()))
        return False
    return True
