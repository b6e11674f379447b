#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""qemu-img convert and dd beside qed-img's; side_by_side.py describes the format of the lines."""

import interop
import side_by_side

CONVERT = """
qemu-img convert
qemu-img convert a
qemu-img convert a b
qemu-img info b
qemu-img convert -O qed a b
qemu-img info b
qemu-img convert -p -O qed a b
qemu-img convert -p -q -O qed a b
qemu-img convert -f qed -O raw a b
qemu-img convert -f raw -O raw a b
qemu-img convert -f qed -O raw base b
qemu-img convert -f foo -O raw base b
qemu-img convert -f raw -O foo base b
qemu-img convert nope b
qemu-img convert base /nonexistent/b
qemu-img convert base dir
qemu-img convert missing b
qemu-img convert -O qed -o cluster_size=4k base b
qemu-img info b
qemu-img convert -O qed -o help base b
qemu-img convert -O qed -o help
qemu-img convert -O bla -o help
qemu-img convert -O qed -o foo=1 base b
qemu-img convert -O qed -o cluster_size=3k base b
qemu-img convert -O raw -o cluster_size=4k base b
qemu-img convert -O qed -c base b
qemu-img convert -O raw -c base b
qemu-img convert -O qed base b
qemu-img convert -O qed -n base b
qemu-img convert -O qed -n -o cluster_size=4k base b
qemu-img convert -O raw -n base small
qemu-img convert -O raw -n base large
qemu-img convert -O raw -n base nonex
qemu-img convert -O qed -B base -F raw top b
qemu-img info b
qemu-img convert -O qed -B base top b
qemu-img convert -O qed -B a -F qed top b
qemu-img info --backing-chain b
qemu-img convert -O qed -B nope -F raw top b
qemu-img convert -O qed -o backing_file=base,backing_fmt=raw top b
qemu-img convert -O qed -F raw top b
qemu-img convert -O raw -B base -F raw top b
qemu-img convert -O raw -F raw top b
qemu-img convert -O qed -B base -F raw base base b
qemu-img convert -O qed base a nope b
qemu-img convert -O qed base a b
qemu-img info b
qemu-img convert -S 0 -O qed base b
qemu-img convert -S 64k -O qed base b
qemu-img convert -S 1000 -O qed base b
qemu-img convert -S x -O qed base b
qemu-img convert -S 32M -O qed base b
qemu-img convert -m 0 -O qed base b
qemu-img convert -m 17 -O qed base b
qemu-img convert -m x -O qed base b
qemu-img convert -m 16 -W -O qed base b
qemu-img convert -t foo -O qed base b
qemu-img convert -T foo -O qed base b
qemu-img convert -t none -T none -O qed base b
qemu-img convert -t writethrough -O qed base b
qemu-img convert -q -O qed base b
qemu-img convert -U -O qed base b
qemu-img convert -r 10M -O qed base b
qemu-img convert -r x -O qed base b
qemu-img convert --salvage -O qed base b
qemu-img convert --target-is-zero -O qed base b
qemu-img convert --target-is-zero -n -O qed base b
qemu-img convert -C -O qed base b
qemu-img convert -C -S 4k -O qed base b
qemu-img convert -o size=5M -O qed base b
qemu-img info b
qemu-img convert -z -O qed base b
qemu-img convert base base
qemu-img convert -S 0 -p -O raw top b
qemu-img map --output=json b
qemu-img convert -O raw top b
qemu-img map --output=json b
qemu-img convert odd b
qemu-img info b
qemu-img convert -O qed -o help a b
qemu-img convert -O qed -o nocow=on,preallocation=full base n3
qemu-img convert -O raw -o preallocation=full base n3
qemu-img convert -O raw -o preallocation=metadata base n3
qemu-img convert -O qed -o preallocation=metadata base n3
qemu-img convert -O qed -B nope -F raw a b
qemu-img convert -O qed -B nope -F foo a b
qemu-img convert -O qed -B base -F qed a b
qemu-img convert -O qed -B base -F raw new b
qemu-img compare new b
qemu-img convert -n -O qed -B base -F raw new b
qemu-img compare new b
~qemu-img convert -n --target-is-zero -O qed -B base -F raw new b ~[1] Cannot use --target-is-zero
qemu-img convert -n --target-is-zero -O qed -B base -F raw nope b
qemu-img convert -n --target-is-zero -m 0 -O qed -B base -F raw new b
"""

DD = """
qemu-img dd
qemu-img dd if=base
qemu-img dd of=o1
qemu-img dd if=base of=o1
~qemu-img map --output=json o1 ~ "zero": true
qemu-img compare base o1
qemu-img dd if=a of=o2 -O qed
qemu-img info o2
qemu-img compare a o2
qemu-img dd if=base of=o3 bs=1000
qemu-img compare base o3
qemu-img dd if=base of=o4 bs=64k count=2
qemu-img info o4
qemu-img dd if=base of=o5 bs=64k skip=2
qemu-img info o5
qemu-img dd if=base of=o6 skip=5000
qemu-img info o6
qemu-img dd if=base of=o7 bs=1M skip=1
qemu-img info o7
qemu-img dd if=base of=o8 bs=0
qemu-img dd if=base of=o8 bs=x
qemu-img dd if=base of=o8 bs=-1
qemu-img dd if=base of=o8 bs=3G
qemu-img dd if=base of=o8 bs=9999999999999999999999
qemu-img dd if=base of=o8 count=x
qemu-img dd if=base of=o8 count=0
qemu-img info o8
qemu-img dd if=base of=o8 count=-1
qemu-img dd if=base of=o8 skip=x
qemu-img dd if=base of=o8 foo=1
qemu-img dd if=base of=o8 foo
qemu-img dd if=base of=o8 if=a
qemu-img dd if=base of=o8 of=o9
qemu-img dd if=nope of=o8
qemu-img dd if=base of=/nope/x
qemu-img dd -f qed if=base of=o8
qemu-img dd -f foo if=base of=o8
qemu-img dd -O foo if=base of=o8
qemu-img dd -n if=base of=o8
qemu-img dd -U if=base of=o8
qemu-img dd --image-opts if=driver=raw,file.filename=base of=o8
qemu-img dd --image-opts -f raw if=driver=raw,file.filename=base of=o8
qemu-img dd -x if=base of=o8
qemu-img dd bs=4k bs=8k if=base of=o13
qemu-img dd if=base of=o14 oseek=1
qemu-img dd if=base of=o14 conv=notrunc
qemu-img dd if=base of=o15 count=1b bs=1k
qemu-img info o15
qemu-img dd if= of=x
qemu-img dd if=base of=
qemu-img dd if=base of=o17 bs=100M
qemu-img dd if=base of=o18 bs=512 count=99999999999999
qemu-img dd if=base of=o19 bs=2147483647 count=1
qemu-img dd if=base of=x:y
qemu-img dd if=base of='json:{}'
qemu-img dd if=base of=o20 bs=1000 count=3
qemu-img info o20
~qemu-img dd if=small of=small ~[1] Is another process using the image [small]?
qemu-img create -q -f raw o22 100k
qemu-img dd if=top of=o23 -O qed bs=32k count=9
qemu-img compare o23 top
qemu-img dd if=odd of=o24 bs=1000 skip=1
qemu-img info o24
qemu-img dd if=empty of=o25
qemu-img info o25
qemu-img dd if=dir of=o26
qemu-img dd if=missing of=o26
qemu-img dd if=base of=dir
qemu-img dd -f raw -O raw if=a of=o27
qemu-img compare -f raw -F raw a o27
"""


def main(results):
    if not side_by_side.need_reference(results, "qemu-cli"):
        return
    side_by_side.make_template()
    side_by_side.run_list(results, "qemu-cli-convert", CONVERT, images=("b",))
    side_by_side.run_list(results, "qemu-cli-dd", DD, images=(
        "o1", "o2", "o3", "o4", "o5", "o6", "o7", "o8", "o15", "o18", "o20", "o23", "o24", "o27"))


interop.main(main)
