#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""snapshot, amend and bitmap of qemu-img and qed-img side by side, on formats without these
features; side_by_side.py describes the format of the lines."""

import os

import interop
from interop import must
import side_by_side

SNAPSHOT = """
qemu-img snapshot
qemu-img snapshot a
qemu-img snapshot base
qemu-img snapshot -l a
qemu-img snapshot -l base
qemu-img snapshot -q -l a
qemu-img snapshot -l q2
qemu-img snapshot -l nope
qemu-img snapshot -l missing
qemu-img snapshot -l a b
qemu-img snapshot -l -c x a
qemu-img snapshot -l -l a
qemu-img snapshot -a x -d y a
qemu-img snapshot -c
qemu-img snapshot -x a
qemu-img snapshot -f qed -l a
qemu-img snapshot -U -l a
qemu-img snapshot -U a
qemu-img snapshot --force-share -c x a
qemu-img snapshot -c x a
qemu-img snapshot -c x base
qemu-img snapshot -c "" a
qemu-img snapshot -c x nope
qemu-img snapshot -a x a
qemu-img snapshot -a x top
qemu-img snapshot -d x a
qemu-img snapshot -q -d x base
qemu-img snapshot -l --image-opts driver=qed,file.filename=a
qemu-img snapshot -a x --image-opts driver=raw,file.filename=base
qemu-img snapshot -d x --object secret,id=s,data=x a
~qemu-img snapshot -a x base ~ qemu-img: Could not apply snapshot 'x': Block driver does not support snapshots
~qemu-img snapshot -d x null-co:// ~ Could not delete snapshot 'x': snapshot not found
~qemu-img snapshot -l shot ~[1] shot: internal snapshots: 1; format qcow2 cannot list them
~qemu-img snapshot -c x q2 ~[1] Could not open 'q2': format qcow2 cannot be written to
"""

AMEND = """
qemu-img amend
qemu-img amend a
qemu-img amend -o
qemu-img amend -x
qemu-img amend -o size=1
qemu-img amend -o size=1 a a
qemu-img amend -o size=1 nope
qemu-img amend -o size=1 missing
qemu-img amend -o size=2M a
qemu-img amend -o size=2M base
qemu-img amend -f raw -o foo=1 base
qemu-img amend -f foo -o size=1 a
qemu-img amend -f foo -o help
qemu-img amend -f foo -t foo -o help a
qemu-img amend -f qed -o help
qemu-img amend -f qed -o help a
qemu-img amend -f raw -o ? a
qemu-img amend -o help a
qemu-img amend -o help
qemu-img amend -o "" a
qemu-img amend -o size=1, a
qemu-img amend -o size=1 -o help a
qemu-img amend -p -o size=1 a
qemu-img amend -p -q -o size=1 a
qemu-img amend -p -o size=1 nope
qemu-img amend -p -f qed -o help
qemu-img amend -p -o size=1
qemu-img amend -p
qemu-img amend -t foo -o size=1 a
qemu-img amend -t none -o size=1 a
qemu-img amend --force -o size=1 a
qemu-img amend -U -o size=1 a
qemu-img amend --image-opts -o size=1 driver=qed,file.filename=a
qemu-img amend --image-opts -f qed -o size=1 driver=qed,file.filename=a
~qemu-img amend -f qcow2 -o help ~[1] Format driver 'qcow2' does not support option amendment
~qemu-img amend -f qcow2 -o size=4M q2 ~[1] Could not open 'q2': format qcow2 cannot be written to
"""

BITMAP = """
qemu-img bitmap
qemu-img bitmap -x
qemu-img bitmap a
qemu-img bitmap a b
qemu-img bitmap --add a
qemu-img bitmap --add a b c
qemu-img bitmap --merge
qemu-img bitmap --remove a b
qemu-img bitmap --clear a b
qemu-img bitmap --enable base b
qemu-img bitmap --disable a b
qemu-img bitmap --merge c a b
qemu-img bitmap --remove a ""
qemu-img bitmap --add a ""
qemu-img bitmap --remove --add a b
qemu-img bitmap --merge c --add a b
qemu-img bitmap --remove nope b
qemu-img bitmap --remove missing b
qemu-img bitmap -g 3 --add a b
qemu-img bitmap -g 16 --add a b
qemu-img bitmap -g 4G --add a b
qemu-img bitmap -g x --add a b
qemu-img bitmap -g 8E --add a b
qemu-img bitmap -g 0 --remove a b
qemu-img bitmap -g 64k --remove a b
qemu-img bitmap -g 3 --remove --add a b
qemu-img bitmap --granularity 64k --source-file x --source-format raw --merge c a b
qemu-img bitmap -F qed --remove a b
qemu-img bitmap -b q2 --remove a b
qemu-img bitmap -b q2 -F qcow2 --merge c a b
qemu-img bitmap -b nope -F qcow2 --merge c a b
qemu-img bitmap -b missing --merge c a b
qemu-img bitmap -b base --merge c a b
qemu-img bitmap -b q2 --merge c nope b
qemu-img bitmap -f raw --remove base b
qemu-img bitmap -f foo --remove base b
qemu-img bitmap -U --remove a b
qemu-img bitmap --force-share --remove a b
qemu-img bitmap -q --remove a b
qemu-img bitmap --rem a b
qemu-img bitmap --image-opts --remove driver=qed,file.filename=a b
qemu-img bitmap --image-opts -f qed --remove driver=qed,file.filename=a b
~qemu-img bitmap --add a b ~ Operation add on bitmap b failed: Can't store persistent bitmaps to a: Operation not supported
~qemu-img bitmap -g 2G --add --disable -f raw base b ~ Can't store persistent bitmaps to base: Operation not supported
~qemu-img bitmap --add q2 b ~[1] Could not open 'q2': format qcow2 cannot be written to
"""


def main(results):
    if not side_by_side.need_reference(results, "qemu-cli-absent"):
        return
    side_by_side.make_template()
    os.chdir("template")
    must("qemu-img", "create", "-q", "-f", "qcow2", "shot", "1M")
    must("qemu-img", "snapshot", "-c", "first", "shot")
    os.chdir("..")
    for title, lines in (("snapshot", SNAPSHOT), ("amend", AMEND), ("bitmap", BITMAP)):
        # None of these commands may change an image.
        side_by_side.run_list(results, title, lines, ("a", "base"))


interop.main(main)
