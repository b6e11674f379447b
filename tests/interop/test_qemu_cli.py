#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
"""qemu-img and qed-img side by side; side_by_side.py describes the format of the lines."""

import interop
import side_by_side

IMG_CREATE = """
qemu-img
qemu-img foo
qemu-img -x
qemu-img create
qemu-img create n
qemu-img create n 1M
qemu-img create n 1M 2M
qemu-img create -f qed n 1M
qemu-img create -f qed n 1000
qemu-img create -f qed n 1001
qemu-img create -f raw r 1001
qemu-img create -f raw r 0
qemu-img create -f qed n 0
qemu-img create -f qed n 1.5M
qemu-img create -f qed n 0x1000
qemu-img create -f qed n 512b
qemu-img create -f qed n 64k
qemu-img create -f qed n 64K
qemu-img create -f qed n 1X
qemu-img create -f qed n 1Mx
qemu-img create -f qed n 1Mb
qemu-img create -f qed n 1.5
qemu-img create -f qed n ""
qemu-img create -f qed n -1
qemu-img create -f qed n -- -1
qemu-img create -f qed n 8E
qemu-img create -f qed n 7E
qemu-img create -f qed n 64T
qemu-img create -f qed n 65T
qemu-img create -f qed -o cluster_size=4k,table_size=2 n 5G
qemu-img create -f qed -o cluster_size=4k,table_size=2 n 4294967808
qemu-img create -f qed n 9999999999999999999999
qemu-img create -f foo n 1M
qemu-img create -f qed -o foo=1 n 1M
qemu-img create -f qed -o =x n 1M
qemu-img create -f qed -o cluster_size=4k,=x n 1M
qemu-img create -f raw -o = n 1M
qemu-img measure -O qed -o size=1M,=x
qemu-img create -f qed -o help n 1M
qemu-img create -f qed -o help
qemu-img create -f raw -o ?
qemu-img create -f bla -o help
qemu-img create -f qed -o cluster_size=4k n 1M
qemu-img create -f qed -o cluster_size=4k,table_size=1 n 1M
qemu-img create -f qed -o cluster_size=3k n 1M
qemu-img create -f qed -o cluster_size=2k n 1M
qemu-img create -f qed -o cluster_size=128M n 1M
~qemu-img create -f qed -o cluster_size=64M n 1M ~[0] cluster_size=67108864
qemu-img create -f qed -o table_size=3 n 1M
qemu-img create -f qed -o table_size=32 n 1M
qemu-img create -f qed -o table_size=16 n 1M
qemu-img create -f qed -o table_size=1 n 1M
qemu-img create -f qed -o table_size=x n 1M
qemu-img create -f qed -o cluster_size=0 n 1M
qemu-img create -f qed -o table_size=0 n 1M
qemu-img create -f qed -o cluster_size n 1M
qemu-img create -f qed -o size=2M n
qemu-img create -f qed -o size=2M n 1M
qemu-img create -f qed -o cluster_size=4k -o table_size=2 n 1M
qemu-img create -f qed -o cluster_size=4k, n 1M
qemu-img create -f qed -o , n 1M
qemu-img create -f qed -o "" n 1M
qemu-img create -f qed /nonexistent/n 1M
qemu-img create -f raw /nonexistent/n 1M
qemu-img create -f qed dir 1M
qemu-img create -f raw dir 1M
~qemu-img create -f qed -b base n ~ Detected format of raw.
qemu-img create -f qed -b base -F raw n
qemu-img create -f qed -b base -F raw n 2M
qemu-img create -f qed -b a -F qed n
qemu-img create -f qed -b base -F qed n
qemu-img create -f qed -b base -F foo n
qemu-img create -f qed -F raw n 1M
qemu-img create -f qed -b nope -F raw n
qemu-img create -f qed -b nope -F raw n 1M
qemu-img create -f qed -b nope n 1M
qemu-img create -f qed -u -b nope -F raw n 1M
qemu-img create -f qed -u -b nope n 1M
qemu-img create -f qed -u -b nope -F raw n
qemu-img create -f qed -o backing_file=base,backing_fmt=raw n
qemu-img create -f qed -o backing_file=base -b base -F raw n
qemu-img create -f raw -b base -F raw n
qemu-img create -f raw -F raw n
qemu-img create -f qed -b n -F raw n
qemu-img create -f qed -b "" n 1M
qemu-img create -f qed -u -b a,b -F raw n 1M
qemu-img create -f qed -o backing_file=a,,b -F raw -u n 1M
qemu-img create -q -f qed n 1M
qemu-img create -f qed -z n 1M
qemu-img create -f qed -qz n 1M
qemu-img create -f
qemu-img create --foo
qemu-img create -f raw -o preallocation=full n 1M
qemu-img create -f raw -o preallocation=falloc n 1M
qemu-img create -f raw -o preallocation=foo n 1M
qemu-img create -f raw -o cluster_size=4k n 1M
qemu-img create -f raw "a b" 1M
qemu-img create -f raw "a'b" 1M
qemu-img create -f qed x:foo 1M
qemu-img create -f qed ./x:foo 1M
qemu-img create -f qed file:foo 1M
qemu-img info foo
qemu-img create -f raw -o help
qemu-img create -f raw -o help x
qemu-img create -f raw -o nocow=on n1 1M
qemu-img create -f raw -o nocow=x n1 1M
qemu-img create -f raw -o extent_size_hint=1M n1 1M
qemu-img create -f raw -o extent_size_hint=x n1 1M
qemu-img create -f qed -o nocow=on n2 1M
qemu-img create -f qed -o preallocation=full n2 1M
qemu-img create -f qed -o preallocation=metadata n2 1M
qemu-img create -f qed -o preallocation=foo n2 1M
qemu-img create -f qed -o extent_size_hint=1M,cluster_size=4k n2 1M
qemu-img create -f qed -o extent_size_hint=1M,cluster_size=4k,nocow=off,preallocation=falloc,table_size=2 n2 1M
qemu-img create -f raw -o extent_size_hint=1M,nocow=off,preallocation=falloc n2 1M
qemu-img create -f raw -o preallocation=metadata n1 1M
qemu-img create -f raw -o preallocation=off n1 1M
qemu-img create -f raw -o extent_size_hint=5G n1 1M
qemu-img create -f raw -o extent_size_hint=1000 n1 1M
qemu-img create -f raw -o nocow n1 1M
qemu-img create -f raw -o nonocow n1 1M
qemu-img create -f raw -o size n1
"""

IMG_INFO = """
qemu-img info
qemu-img info base
qemu-img info a
qemu-img info top
qemu-img info missing
qemu-img info abs
qemu-img info odd
qemu-img info tiny
qemu-img info empty
qemu-img info dir
qemu-img info nope
qemu-img info /dev/null
qemu-img info -f raw a
qemu-img info -f qed base
qemu-img info -f qed empty
qemu-img info -f foo base
qemu-img info a b
qemu-img info --output=json a
qemu-img info --output json top
qemu-img info --output json base
qemu-img info --output=json abs
qemu-img info --output=json missing
qemu-img info --output=foo base
qemu-img info --output=human base
qemu-img info --backing-chain top
qemu-img info --backing-chain missing
qemu-img info --backing-chain --output=json top
qemu-img info --backing-chain --output=json missing
qemu-img info --backing-chain base
qemu-img info -U top
qemu-img info --force-share top
qemu-img info -z top
qemu-img info --out=json -- empty
qemu-img info ""
qemu-img info file:base
qemu-img info foo:base
qemu-img info ./base
qemu-img info dir/../a
qemu-img info $PWD/a
qemu-img info --output=json $PWD/a
"""

IMG_MAP = """
qemu-img map
qemu-img map base
qemu-img map a
qemu-img map top
qemu-img map new
qemu-img map --output=json top
qemu-img map --output=json a
qemu-img map --output=json base
qemu-img map --output=json new
qemu-img map --output=json empty
qemu-img map empty
qemu-img map odd
qemu-img map tiny
qemu-img map --output=json odd
qemu-img map --output=json -s 100k -l 200k a
qemu-img map --output=json --start-offset=1M a
qemu-img map --output=json --start-offset=5M a
qemu-img map --start-offset=5M a
qemu-img map --start-offset=5x a
qemu-img map --max-length=zz a
qemu-img map --max-length=0 a
qemu-img map --start-offset=512 --max-length=1000 --output=json a
qemu-img map --output=json missing
qemu-img map nope
qemu-img map --output=bla a
qemu-img map -U a
qemu-img map -f raw a
qemu-img map a b
qemu-img map new --output=json
"""

IMG_COMPARE = """
qemu-img compare
qemu-img compare a
qemu-img compare a b c
qemu-img compare -z a a
qemu-img compare a a
qemu-img compare -q a a
qemu-img compare -p a a
qemu-img compare -p -q a a
qemu-img compare -s a a
qemu-img compare a top
qemu-img compare top a
qemu-img compare -q a top
qemu-img compare -s a top
qemu-img compare base small
qemu-img compare -f raw -F raw base small
qemu-img compare small new
qemu-img compare new small
qemu-img compare -s new small
qemu-img compare small large
qemu-img compare large small
qemu-img compare -p small large
qemu-img compare -s small large
qemu-img compare -f raw -F raw a a
qemu-img compare -f raw a a
qemu-img compare -F raw a a
qemu-img compare -f qed -F qed a a
qemu-img compare -f qed base a
qemu-img compare -f foo a a
qemu-img compare a nope
qemu-img compare nope a
qemu-img compare missing a
qemu-img compare -T none a a
qemu-img compare -T foo a a
qemu-img compare -U a a
qemu-img compare odd small
qemu-img compare empty small
qemu-img compare tiny odd
qemu-img compare -s odd odd
qemu-img convert -O raw a flat
qemu-img compare a flat
qemu-img compare flat a
qemu-img compare -s a flat
qemu-img convert -O qed a again
qemu-img compare a again
qemu-img compare -s a again
qemu-img create -f qed -b base -F raw thin 1M
qemu-img compare thin base
qemu-img compare -s thin base
qemu-io -f raw -c "write -P 1 900000 512" small
qemu-img compare small large
qemu-io -f raw -c "write -P 1 100000 1" small
qemu-img compare small large
qemu-img compare large small
qemu-img compare small new
"""

IMG_RESIZE = """
qemu-img resize
qemu-img resize a
qemu-img resize -f qed a
qemu-img resize -f qed a b 1M
qemu-img resize -f qed a 3M
qemu-img info a
qemu-img resize -f qed a 3M
qemu-img resize -f qed a +1M
qemu-img resize -f qed a +512
qemu-img resize -q -f qed a +1k
qemu-img info a
qemu-img resize -f qed a 0
qemu-img resize -f qed a -100M
qemu-img resize -f qed a foo
qemu-img resize -f qed a +foo
qemu-img resize -f qed a +
qemu-img resize -f qed a ""
qemu-img resize -f qed a 1X
qemu-img resize -f qed a 1M
qemu-img resize -f qed a -1M
qemu-img resize -f qed --shrink a 1M
qemu-img resize -f qed --shrink a -1M
qemu-img info a
qemu-img compare a top
qemu-img resize a 5M
qemu-img resize -f raw base 2M
qemu-img resize -f raw base 512k
qemu-img resize -f raw --shrink base 512k
qemu-img resize -f raw --shrink base -100k
qemu-img resize -f raw base +1000
qemu-img info base
qemu-img resize --preallocation=off -f raw base 1M
qemu-img resize --preallocation=foo -f raw base 2M
qemu-img resize nope 1M
qemu-img resize -f foo a 1M
qemu-img resize -f qed base 1M
qemu-img resize missing 2M
qemu-img resize dir 1M
qemu-img resize -z a 1M
qemu-img resize base 3M
qemu-img resize --preallocation=full -f raw base 6M
qemu-img resize --preallocation=falloc -f raw base 7M
qemu-img resize --preallocation=metadata -f raw base 8M
qemu-img resize --preallocation=full -f qed a 4M
qemu-img resize --preallocation=falloc -f qed a 4M
qemu-img resize --preallocation=metadata -f qed a 4M
qemu-img resize --preallocation=foo -f qed a 4M
qemu-img resize --preallocation=full -f raw base 1M
qemu-img resize --preallocation=full -f raw --shrink base 1M
qemu-img resize --preallocation=off -f raw base 8M
qemu-img resize --preallocation= -f raw base 9M
"""

IMG_MEASURE = """
qemu-img measure
qemu-img measure --size 10M
qemu-img measure --size 10M -O raw
qemu-img measure --size 1001
qemu-img measure --size 0
qemu-img measure --size x
qemu-img measure --size -1
qemu-img measure --output=json --size 10M
qemu-img measure --output=foo --size 10M
qemu-img measure -O foo --size 10M
qemu-img measure -f qed --size 10M
qemu-img measure --size 10M a
qemu-img measure a b
qemu-img measure a
qemu-img measure -f qed a
qemu-img measure -f raw a
qemu-img measure -U a
qemu-img measure --output=json top
qemu-img measure base
qemu-img measure odd
qemu-img measure nope
qemu-img measure -f foo a
qemu-img measure -o foo=1 a
qemu-img measure -o size=x a
qemu-img measure -o nocow=x --size 1M
qemu-img measure -o =x --size 1M
~qemu-img measure -z a ~[1] unrecognized option '-z'
~qemu-img measure -O qed --size 1M ~[0] required size: 327680
~qemu-img measure -O qed a ~[0] fully allocated size: 2686976
qemu-img measure -o preallocation=full --size 1M
qemu-img measure -o nocow=on --size 1M
"""

IMG_CHECK = """
qemu-img check
qemu-img check a
qemu-img check new
qemu-img check base
qemu-img check missing
qemu-img check -f qed base
qemu-img check --output=json a
qemu-img check --output=json new
qemu-img check --output=json base
qemu-img check -q a
qemu-img check -r a
qemu-img check -r foo a
qemu-img check -r leaks a
qemu-img check -r all a
qemu-img check -r all -q a
qemu-img check --repair=all a
qemu-img check nope
qemu-img check a b
qemu-img check -T foo a
qemu-img check -T none a
qemu-img check -U a
qemu-img check -U -r all a
qemu-img check -z a
qemu-img check --output=z a
qemu-img check leaky
qemu-img check --output=json leaky
qemu-img check -q leaky
~qemu-img check -r leaks leaky ~[0] Double checking the fixed image now...
qemu-img check corrupt
qemu-img check -q corrupt
qemu-img check --output=json corrupt
qemu-img check -r leaks corrupt
~qemu-img check -r all corrupt ~[0] Double checking the fixed image now...
~qemu-img check astray ~[2] 3/32 = 9.38% allocated
~qemu-img check -r leaks astray ~[2] 1 errors were found on the image.
~qemu-img check -r all astray ~[0] No errors were found on the image.
~qemu-img info dirty ~ cleanly shut down: no
~qemu-img info --output=json dirty ~ "dirty-flag": true
"""

IMG_BENCH = """
qemu-img bench
qemu-img bench nope
qemu-img bench a top
qemu-img bench -c 20 a
qemu-img bench -f qed -c 20 -d 3 -s 64k a
qemu-img bench -f qed -c 0 a
qemu-img bench -f qed -c 0x10 -d 1 a
qemu-img bench -f qed -c -1 a
qemu-img bench -f qed -c x a
qemu-img bench -f qed -c 9999999999 a
qemu-img bench -f qed -d x a
~qemu-img bench -f qed -c 0 -d 0 a ~[1] Invalid queue depth specified
qemu-img bench -f qed -c 3 -s 0 a
qemu-img bench -f qed -s 3G a
qemu-img bench -f qed -s x a
qemu-img bench -f qed -c 50 -S 68k a
qemu-img bench -f qed -S 3G a
qemu-img bench -f qed -S -1 a
qemu-img bench -f qed -c 3 -o 2M a
qemu-img bench -f qed -c 3 -o 3M a
qemu-img bench -f qed -c 3 -o 2097151 a
qemu-img bench -f qed -o x a
qemu-img bench -f qed -c 3 -s 3M a
qemu-img bench -f qed -c 3 --pattern=7 a
qemu-img bench -f qed --pattern=256 a
qemu-img bench -f qed --pattern=x a
qemu-img bench -f qed -c 3 -i threads a
qemu-img bench -f qed -c 3 -i io_uring a
qemu-img bench -f qed -c 3 -i native a
qemu-img bench -f qed -c 3 -i native -t none a
qemu-img bench -f qed -c 3 -n -t none a
qemu-img bench -f qed -n a
qemu-img bench -f qed -i foo a
qemu-img bench -f qed -c 3 -t unsafe a
qemu-img bench -f qed -t foo a
qemu-img bench -f qed -c 3 -q a
qemu-img bench -f qed -c 3 -U a
qemu-img bench -f qed -c 3 -w -U a
qemu-img bench -f foo a
qemu-img bench -f raw -c 3 -w -s 4000 -o 1000 --pattern=9 base
qemu-io -r -f raw -c 'read -P 9 1000 12000' -c 'read -P 1 0 1000' -c 'read -P 1 13000 80000' base
qemu-img bench -f qed -c 40 -w -S 68k -o 4k --pattern=0x41 a
qemu-img bench -f qed -c 40 -w -s 512 -S 1000 -o 900k --pattern=0x42 -t writethrough a
qemu-img bench -f qed -c 12 -w --pattern=1 --flush-interval=4 -d 4 -t none a
qemu-img bench -f qed -c 13 -w --pattern=1 --flush-interval=5 -d 4 --no-drain a
qemu-img bench -f qed -c 13 -w --pattern=1 --flush-interval=0 a
qemu-img bench -f qed -w --flush-interval=4 -d 5 a
qemu-img bench -f qed -w --flush-interval=x a
qemu-img bench -f qed --flush-interval=4 -d 4 a
qemu-img bench -f qed -c 3 --no-drain a
qemu-img bench -f qed -c 1 -w -o 2M a
qemu-io -r -f qed -c 'read -P 1 0 52k' -c 'read -P 0x41 72k 4k' -c 'read -P 0x42 900k 10k' a
qemu-img bench -f qed -c 9 -z a
qemu-img bench -f qed -c 9 -t
"""


def main(results):
    if not side_by_side.need_reference(results, "qemu-cli"):
        return
    side_by_side.make_template()
    for title, lines in (("create", IMG_CREATE), ("info", IMG_INFO), ("map", IMG_MAP),
                         ("check", IMG_CHECK), ("compare", IMG_COMPARE),
                         ("resize", IMG_RESIZE), ("measure", IMG_MEASURE)):
        side_by_side.run_list(results, "qemu-cli-" + title, lines)
    side_by_side.run_list(results, "qemu-cli-bench", IMG_BENCH, images=("a", "base"))


interop.main(main)
