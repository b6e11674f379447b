#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
"""qemu-img and qed-img side by side, verbs that change backing chains; side_by_side.py describes
the format of the lines."""

import interop
import side_by_side

COMMIT = """
qemu-img commit
qemu-img commit a b
qemu-img commit -z a
qemu-img commit -f
qemu-img commit -c a
qemu-img commit base
qemu-img commit -p base
qemu-img commit -f raw base
qemu-img commit new
qemu-img commit nope
qemu-img commit dir
qemu-img commit -f foo a
qemu-img commit -f qed base
qemu-img commit -t foo a
qemu-img commit -p -t foo a
qemu-img commit -r x a
qemu-img commit -r -1 a
qemu-img commit -r 9999999999999999999999 a
qemu-img commit -b nope top
qemu-img commit -b top top
qemu-img commit -b "" top
qemu-img commit -b dir top
qemu-img commit -b foo:base top
qemu-img commit -b base new
qemu-img commit missing
qemu-img commit foo:a
qemu-img commit -d -p a
qemu-img info base
qemu-img compare -f raw base a
qemu-img commit -b ./base -d top
qemu-img compare -f raw base top
qemu-io -f qed -c 'write -P 7 500k 4k' -c 'write -z 900k 128k' top
qemu-img commit -b $PWD/base top
qemu-img compare -f raw base top
~qemu-img commit top ~[0] Image committed.
~qemu-img info a ~ virtual size: 3 MiB (3145728 bytes)
qemu-img commit dirty
qemu-img create -f raw b 3000
qemu-img create -f qed -b b -F raw c 1M
qemu-io -f qed -c 'write -P 8 2k 4k' c
qemu-img commit c
qemu-img info b
qemu-io -f raw -c 'read -P 8 2k 4k' -c 'read -P 0 6k 1018k' b
qemu-img create -f raw b 3000
qemu-img create -f qed -b b -F raw c 3072
qemu-io -f qed -c 'write -P 8 2k 1k' c
qemu-img commit c
qemu-img info b
qemu-img create -f qed -u -b base -F qed b 1M
qemu-io -f qed -c 'write -P 8 0 4k' b
qemu-img commit b
qemu-io -f qed -c 'write -s a 0 4k' b
qemu-img commit b
"""

COMMIT_CACHE = """
qemu-img commit -q -r 10M -f qed top
qemu-img info a
qemu-img compare top a
qemu-img compare -f raw top base
qemu-io -f qed -c 'write -P 8 600k 4k' -c 'write -z 128k 192k' top
qemu-img commit -p -q top
qemu-img compare top a
qemu-io -f qed -c 'write -P 9 600k 4k' top
qemu-img commit -t none top
qemu-img compare top a
qemu-io -f qed -c 'write -P 10 600k 4k' top
qemu-img commit -t writethrough top
qemu-img compare top a
qemu-io -f qed -c 'write -P 11 600k 4k' top
qemu-img commit -t unsafe -r 0 top
qemu-img compare top a
"""

# QEMU's top images keep their data after a commit; ours are empty.
COMMIT_EMPTIES = """
qemu-img commit a
~qemu-img map a ~ 0x100000        0x20000         0x100000        base
qemu-img commit -q a
~qemu-img check a ~ No errors were found on the image.
qemu-img commit top
qemu-img compare top a
qemu-img commit a
qemu-img compare -f raw a base
"""

REBASE = """
qemu-img rebase
qemu-img rebase top
qemu-img rebase -b x
qemu-img rebase -b
qemu-img rebase -b small top top
qemu-img rebase -z -b small top
qemu-img rebase -c -b small top
qemu-img rebase -r 1 -b small top
qemu-img rebase --foo top
qemu-img rebase -b small top
qemu-img rebase -p -b small top
qemu-img rebase -u -b small top
qemu-img rebase -b small -F raw base
qemu-img rebase -f raw -b small -F raw a
qemu-img rebase -f raw -b "" a
qemu-img rebase -f raw -u a
qemu-img rebase -u -f raw -b small -F raw a
qemu-img rebase -b nope -F raw top
qemu-img rebase -b nope top
qemu-img rebase -b small -F foo top
qemu-img rebase -u -b small -F foo top
qemu-img rebase -b small -F qed top
qemu-img rebase -b foo:small -F raw top
qemu-img rebase -f foo -b small -F raw top
qemu-img rebase -f qed -b small -F raw base
qemu-img rebase -f qed -b small -F raw nope
qemu-img rebase -t foo -b small -F raw top
qemu-img rebase -T foo -b small -F raw top
qemu-img rebase -b missing -F qed new
qemu-img rebase -b small -F raw missing
qemu-img rebase -u -b small -F raw missing
qemu-img info missing
qemu-img rebase -u -b nope -F raw missing
qemu-img info missing
qemu-img rebase -u -p -b nope -F qed missing
qemu-img info missing
qemu-img rebase -u -p -q -b nope -F vmdk missing
qemu-img rebase -u -F raw missing
qemu-img info missing
qemu-img rebase -u -b "" missing
~qemu-img rebase -U -b leaky -F qed leaky ~[1] Could not open new backing file 'leaky': the backing chain loops
qemu-img convert -O raw top before
qemu-img rebase -b small -F raw top
qemu-img info top
qemu-img compare -F raw top before
qemu-img rebase -p -b large -F raw top
qemu-img compare -F raw top before
qemu-img rebase -p -q -t none -T none -b ./small -F raw top
qemu-img info top
qemu-img rebase -t unsafe -b $PWD/a -F qed top
qemu-img info top
qemu-img compare -F raw top before
qemu-img rebase -b base -F raw top
qemu-img compare -F raw top before
qemu-img rebase -b base -F raw a
qemu-img rebase -b "" -f qed top
qemu-img info top
qemu-img compare -F raw top before
qemu-img rebase -b "" top
qemu-img rebase -b "" -F raw top
qemu-img rebase -U -b new -F qed top
qemu-img rebase --force-share -q -b new -F qed top
qemu-img compare -F raw top before
qemu-img rebase -b "" new
qemu-img rebase -b base -F raw new
qemu-img compare -F raw new small
~qemu-img rebase -b base -F qed a ~[1] Could not open new backing file 'base': Image not in QED format
qemu-img rebase -b new -F qed new
"""

# Different windows of a file are different nodes; names are relative to the image's directory, and
# refer to the images that are open, not to those named in the header.
NAMED = """
qemu-img create -q -f raw two 2M
qemu-io -f raw -c 'write -P 1 0 1M' -c 'write -P 2 1M 1M' two
qemu-img create -q -f qed -b 'json:{"driver":"raw","offset":1048576,"size":1048576,"file.filename":"two"}' -F raw w
qemu-img rebase -b 'json:{"driver":"raw","offset":0,"size":1048576,"file.filename":"two"}' -F raw w
qemu-io -f qed -c 'read -P 2 0 1M' w
qemu-img create -q -f qed -b ../base -F raw dir/t
qemu-img convert -O raw dir/t before
qemu-img rebase -b ../small -F raw 'json:{"driver":"qed","file.filename":"dir/t"}'
qemu-img info dir/t
qemu-img compare -F raw dir/t before
qemu-img commit -b base 'json:{"driver":"qed","file.filename":"a","backing":{"driver":"raw","file.filename":"large"}}'
qemu-img commit -b large 'json:{"driver":"qed","file.filename":"a","backing":{"driver":"raw","file.filename":"large"}}'
qemu-io -f qed -c 'write -P 7 0 64k' new
qemu-img commit -b small 'json:{"driver":"qed","file.filename":"new","backing":{"driver":"raw","file.filename":"large"}}'
qemu-img commit -b large 'json:{"driver":"qed","file.filename":"new","backing":{"driver":"raw","file.filename":"large"}}'
qemu-img create -q -f qed -b 'json:{"driver":"raw","file.filename":"small"}' -F raw j
qemu-io -f qed -c 'write -P 7 0 64k' j
qemu-img commit -b 'json:{"driver":"raw","file.filename":"small"}' j
"""


def main(results):
    if not side_by_side.need_reference(results, "qemu-cli-chain"):
        return
    side_by_side.make_template()
    side_by_side.run_list(results, "qemu-cli-commit", COMMIT, ("base", "top"))
    side_by_side.run_list(results, "qemu-cli-commit-cache", COMMIT_CACHE, ("base", "a", "top"))
    side_by_side.run_list(results, "qemu-cli-commit-empties", COMMIT_EMPTIES, ("base", "a", "top"))
    side_by_side.run_list(results, "qemu-cli-rebase", REBASE, ("a", "top"))
    side_by_side.run_list(results, "qemu-cli-chain-named", NAMED,
                          ("base", "small", "large", "two", "dir/t"))


interop.main(main)
