#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""All verbs of qemu-img and qed-img side by side: over qcow2 images and chains, and with odd
arguments; side_by_side.py describes the format of the lines."""

import os

import interop
from interop import must
import side_by_side

LINES = """
qemu-img info q2
qemu-img info --output=json q2
qemu-img info --backing-chain q2o
qemu-img info --backing-chain --output=json q2o
qemu-img map q2
qemu-img map --output=json q2
qemu-img map q2o
qemu-img map --output=json -s 64k -l 256k q2o
qemu-img measure q2
qemu-img measure -O raw q2o
qemu-img measure --output=json q2
qemu-img compare q2 q2o
qemu-img compare -s q2 q2o
qemu-img compare q2 base
qemu-img convert q2 x1
qemu-img convert -O qed q2o x2
qemu-img info x2
qemu-img compare x2 q2o
qemu-img convert -O qed q2 base x3
qemu-img info x3
qemu-img info null-co://
qemu-img map null-co://
qemu-img info -f file q2
qemu-img map -f file --output=json q2
qemu-img info -f qcow2 base
qemu-img info -f qcow2 q2 --backing-chain
qemu-img info --backing-chain top
qemu-img info --backing-chain --output=json top
qemu-img info --backing-chain --image-opts driver=qed,file.filename=top
qemu-img info --backing-chain -U top
qemu-img info --backing-chain -f qed top
qemu-img info --backing-chain -f raw top
qemu-img map -f raw top
qemu-img map --start-offset=1M --max-length=1M --output=json top
qemu-img map --start-offset=512 --max-length=1k top
qemu-img map -s -1 top
qemu-img map -l -1 top
qemu-img map -s 1E top
qemu-img map --max-length=16E top
qemu-img map -s 9E top
qemu-img map -s 0 -l 0 --output=json top
qemu-img measure -f qed -O raw top
qemu-img measure -O raw -o size=5M --size 1M
qemu-img measure -O raw -o size=5M
qemu-img measure --size 8E
qemu-img measure --size 7E
qemu-img measure --size 1M --size 2M
qemu-img create
qemu-img create -f raw
qemu-img create -f qed -o size=1M,cluster_size=8k,table_size=4 y1
qemu-img info y1
qemu-img create -f qed -o cluster_size=8192 -o table_size=2 y2 10M
qemu-img create -f raw y3 1.5k
qemu-img create -f raw y3 0x200
qemu-img create -f raw y3 1e3
qemu-img create -f raw y3 " 1M"
qemu-img create -f raw y3 1M_
qemu-img create -f raw y3 +1M
qemu-img create -f raw y3 1MB
qemu-img create -f raw y3 1MiB
qemu-img create -f raw y3 1P
qemu-img create -f raw y3 1T
qemu-img info y3
qemu-img create -f raw y3 7E
qemu-img create -f qed y4 1G -q
qemu-img create -f qed -b base -F raw -o size=5M y5
qemu-img create -f qed -b base -F raw -o cluster_size=4k y6 3M
qemu-img info y6
qemu-img create -f qed -b ./base -F raw dir/y7
qemu-img create -f qed -b ../base -F raw dir/y7
qemu-img info dir/y7
qemu-img info --backing-chain dir/y7
qemu-img map dir/y7
qemu-img create -f qed -b $PWD/base -F raw y8
qemu-img create -f qed -b base -F qed y9
qemu-img create -f qed -b top -F qed y10
qemu-img create -f qed -b q2 -F qcow2 y11
qemu-img info --backing-chain y11
qemu-img map y11
qemu-img compare y11 q2
qemu-img create -f qed -F raw y12 1M
qemu-img create -f qed -b "" -F raw y12 1M
qemu-img create -f qed -u -b "" y12 1M
qemu-img create -f qed -o backing_file=,backing_fmt=raw y12 1M
qemu-img create -f qed -o backing_fmt=raw y12 1M
qemu-img create -u -f qed -b nbd://localhost:1/ -F raw y13 1M
qemu-img info y13
qemu-img create -f qed -b dir -F raw y14
qemu-img create -f foo y15 1M
qemu-img create --object secret,id=s,data=x -f raw y15 1M
qemu-img resize y1 2M
qemu-img resize -f qed y1 2M
qemu-img resize -f qed y1 1M
qemu-img resize --shrink -f qed y1 1M
qemu-img resize -f qed y1 +0
qemu-img resize -f qed y1 -0
qemu-img resize -f raw y3 1000
qemu-img resize -f raw --shrink y3 1000
qemu-img info y3
qemu-img resize -q -f raw y3 2000
qemu-img resize -f raw y3 7E
qemu-img resize -U y1 2M
qemu-img resize y1
qemu-img resize 2M
qemu-img resize -f qed nope 2M
qemu-img check -f raw base
qemu-img check -r all base
qemu-img check -r leaks -f qed top
qemu-img check --output=json top
qemu-img check -q top
qemu-img check y6
qemu-img check --output=json y6
qemu-img check -p top
qemu-img check -T none -r all top
qemu-img check -T unsafe top
qemu-img compare -f qed top top
qemu-img compare -F qed top top
qemu-img compare -s top x2
qemu-img compare -q top base
qemu-img compare y3 base
qemu-img compare dir base
qemu-img compare base dir
qemu-img compare -T directsync base y3
qemu-img compare -U base y3
qemu-img compare --object secret,id=s,data=x base base
qemu-img convert
qemu-img convert base
qemu-img convert base -O qed
qemu-img convert -s x base z1
qemu-img convert -c -O qed base z1
qemu-img convert -O raw -c base z1
qemu-img convert -e base z1
qemu-img convert -6 base z1
qemu-img convert -o help base
qemu-img convert -o help
qemu-img convert -o size=1 base z1
qemu-img convert -o cluster_size base z1
qemu-img convert -O qed -o cluster_size=4k,backing_file=base,backing_fmt=raw top z2
qemu-img info z2
qemu-img convert -O qed -B base -F raw -o backing_file=base top z2
qemu-img convert -O qed -B base -F qed top z2
qemu-img convert -O qed -B top -F qed top z2
qemu-img convert -O qed -F raw -o backing_file=base top z2
qemu-img convert -n -O qed top y1
qemu-img convert -n -O qed base y5
qemu-img convert -n -O raw base nope2
qemu-img convert -n -f raw -O raw base y3
qemu-img convert -n --target-is-zero -O raw base y3
qemu-img convert -S 4k -O raw base z3
qemu-img convert -S 1 base z3
qemu-img convert -S 512 base z3
qemu-img convert -S 17M base z3
qemu-img convert -S -1 base z3
qemu-img convert -m 1 -W base z3
qemu-img convert -m 8 base z3
qemu-img convert -m -1 base z3
qemu-img convert -m 1x base z3
qemu-img convert -r 1 small z3
qemu-img convert -r -1 base z3
qemu-img convert -r 1E base z3
qemu-img convert -t none base z3
qemu-img convert -t directsync base z3
qemu-img convert -t off base z3
qemu-img convert -T off base z3
qemu-img convert -t x -T y base z3
qemu-img convert -p -p base z3
qemu-img convert -q -p base z3
qemu-img convert -C base z3
qemu-img convert -C -O qed base z3
qemu-img convert -U top z4
qemu-img convert --salvage top z4
qemu-img convert --source-format=qed --target-format=raw top z4
qemu-img convert top top2 z5
qemu-img convert -f qed top base z5
qemu-img convert dir z6
qemu-img convert base z6/
qemu-img convert base ""
qemu-img convert "" z6
qemu-img convert base file:z6
qemu-img convert base foo:z6
qemu-img dd if=q2 of=z7 -O qed
qemu-img dd if=null-co:// of=z8 count=1
qemu-img commit
qemu-img rebase
qemu-img commit base
qemu-img rebase base
qemu-img commit --object secret,id=s,data=x top
qemu-img rebase --image-opts -b base -F raw driver=qed,file.filename=y6
~qemu-img map --output=json null-co:// ~ "zero": true
~qemu-img info nbd:unix:/nope ~[1] No such file or directory
~qemu-img info -f nbd base ~[1] not a name of nbd
qemu-img map --output=json q2o
"""


def make_qcow2():
    """Make images of a kind that only QEMU can make."""
    os.chdir("template")
    must("qemu-img", "create", "-q", "-f", "qcow2", "q2", "1M")
    must("qemu-io", "-f", "qcow2", "-c", "write -P 3 0 64k", "-c", "write -z 128k 128k", "-c",
         "write -c -P 5 512k 64k", "q2")
    must("qemu-img", "create", "-q", "-f", "qcow2", "-b", "q2", "-F", "qcow2", "q2o", "2M")
    must("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 10k", "q2o")
    os.chdir("..")


def main(results):
    if not side_by_side.need_reference(results, "qemu-cli"):
        return
    side_by_side.make_template()
    make_qcow2()
    side_by_side.run_list(results, "qemu-cli-more", LINES)


interop.main(main)
