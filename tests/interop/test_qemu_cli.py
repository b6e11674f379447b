#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
"""The same command lines for QEMU's programs and ours, side by side: standard output, standard
error and exit status must be the same, but for what Documentation/differences.rst lists."""

import os
import re
import shlex
import shutil

import interop
from interop import must

REFERENCE = (7, 2)

# ---- What both sides start from; made by QEMU ----


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
    must("qemu-img", "create", "-q", "-f", "raw", "small", "512k")
    must("qemu-img", "create", "-q", "-f", "raw", "large", "5M")
    os.mkdir("dir")
    os.truncate(os.open("odd", os.O_CREAT | os.O_WRONLY, 0o644), 3000)
    interop.write_file("empty", b"")
    interop.write_file("tiny", b"hi")
    make_damaged()
    os.chdir("..")


def make_damaged():
    for name in ("leaky", "corrupt", "astray", "dirty"):
        shutil.copy("a", name)
    os.truncate("leaky", os.path.getsize("leaky") + 2 * 65536)
    # Two guest clusters on one, and one that is nowhere.
    entry = interop.l2_entry_offset("a", 16)
    interop.poke64("corrupt", entry, interop.peek64("a", entry + 8))
    interop.poke64("astray", interop.l2_entry_offset("a", 20), 1 << 40)
    interop.write_header("dirty", features=interop.read_header("dirty")["features"] |
                         interop.F_NEED_CHECK)


# ---- Command lines ----
#
# A list is run in order in one directory. A line that starts with "~" is one of the deliberate
# differences: ours must print what follows " ~ " in it, on either stream, with the same status
# unless another is given as "[STATUS]".

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
~qemu-img create -f qed n 7E ~ QED image size 8070450532247928832 is more than 70368744177664 bytes
qemu-img create -f qed n 64T
~qemu-img create -f qed n 65T ~ QED image size 71468255805440 is more than 70368744177664 bytes
qemu-img create -f qed n 9999999999999999999999
qemu-img create -f foo n 1M
qemu-img create -f qed -o foo=1 n 1M
~qemu-img create -f qed -o help n 1M ~ table_size=<size>      - L1/L2 table size (in clusters)
~qemu-img create -f qed -o help ~ Supported qed options:
~qemu-img create -f raw -o ? ~ Supported raw options:
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
~qemu-img create -f qed -b base n ~ n: Backing file specified without backing format (detected format of raw)
qemu-img create -f qed -b base -F raw n
qemu-img create -f qed -b base -F raw n 2M
qemu-img create -f qed -b a -F qed n
~qemu-img create -f qed -b base -F qed n ~ n: Could not open backing image: Image not in QED format
~qemu-img create -f qed -b base -F foo n ~ n: Could not open backing image: Unknown driver 'foo'
qemu-img create -f qed -F raw n 1M
~qemu-img create -f qed -b nope -F raw n ~ n: Could not open backing image: Could not open 'nope': No such file or directory
~qemu-img create -f qed -b nope -F raw n 1M ~ n: Could not open backing image: Could not open 'nope': No such file or directory
~qemu-img create -f qed -b nope n 1M ~ n: Could not open backing image: Could not open 'nope': No such file or directory
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
~qemu-img info dir ~ Could not open 'dir': Could not open 'dir': Is a directory
qemu-img info nope
~qemu-img info /dev/null ~[1] Could not open '/dev/null': Not a regular file or block device
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
~qemu-img measure -o foo=1 a ~ Invalid parameter 'foo'
~qemu-img measure -z a ~[1] unrecognized option '-z'
~qemu-img measure -O qed --size 1M ~[0] required size: 327680
~qemu-img measure -O qed a ~[0] fully allocated size: 2686976
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
qemu-img bench -f qed -c 3 -w -o 2M a
qemu-io -r -f qed -c 'read -P 1 0 52k' -c 'read -P 0x41 72k 4k' -c 'read -P 0x42 900k 10k' a
qemu-img bench -f qed -c 9 -z a
qemu-img bench -f qed -c 9 -t
"""

IMG_CONVERT = """
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
~qemu-img convert -O qed -o help base b ~ Supported options:
~qemu-img convert -O qed -o help ~ Supported qed options:
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
~qemu-img convert base base ~ base: error while converting raw: Failed to get "write" lock
qemu-img convert -S 0 -p -O raw top b
qemu-img map --output=json b
qemu-img convert -O raw top b
qemu-img map --output=json b
qemu-img convert odd b
qemu-img info b
"""

IO_READ = """
qemu-io -f qed -c 'read 0 64k' a
qemu-io -f qed -c 'read' a
qemu-io -f qed -c 'read 0' a
qemu-io -f qed -c 'read 0 1 2' a
qemu-io -f qed -c 'read x 1' a
qemu-io -f qed -c 'read 0 x' a
qemu-io -f qed -c 'read 0 -1' a
qemu-io -f qed -c 'read -1 1' a
qemu-io -f qed -c 'read -- -5 1' a
qemu-io -f qed -c 'read 0 0' a
qemu-io -f qed -c 'read 1 1' a
qemu-io -f qed -c 'read 3M 1' a
qemu-io -f qed -c 'read 2M 1' a
qemu-io -f qed -c 'read 2096640 1k' a
qemu-io -f qed -c 'read 0 3G' a
qemu-io -f qed -c 'read 0 2G' a
qemu-io -f qed -c 'read -P 1 0 64k' a
qemu-io -f qed -c 'read -P1 0 64k' a
qemu-io -f qed -c 'read -P 2 0 64k' a
qemu-io -f qed -c 'read -P 256 0 64k' a
qemu-io -f qed -c 'read -P x 0 64k' a
qemu-io -f qed -c 'read -P 0x01 0 64k' a
qemu-io -f qed -c 'read -P 1 -s 512 -l 512 0 64k' a
qemu-io -f qed -c 'read -P 1 -s 512 -l 65536 0 64k' a
qemu-io -f qed -c 'read -P 1 -s 65537 0 64k' a
qemu-io -f qed -c 'read -P 1 -s x 0 64k' a
qemu-io -f qed -c 'read -s 512 0 64k' a
qemu-io -f qed -c 'read -l 512 0 64k' a
qemu-io -f qed -c 'read -P 2 -s 512 -l 512 0 64k' a
qemu-io -f qed -c 'read -v 0 48' a
qemu-io -f qed -c 'read -v 65530 70' a
qemu-io -f qed -c 'read -q 0 64k' a
qemu-io -f qed -c 'read -C 0 64k' a
qemu-io -f qed -c 'read -z 0 64k' a
qemu-io -f qed -c 'read -b 0 64k' a
qemu-io -f qed -c 'read -p 0 64k' a
qemu-io -f qed -c 'read -h' a
qemu-io -f qed -c 'r 0 64k' a
qemu-io -f qed -c 'read 0 1k' -c 'read 0 0x200' -c 'read 0 1.5k' -c 'read 0 512b' -c 'read 0 1K' a
qemu-io -f qed -c 'read 0 1kk' -c 'read 0 99999999999999999999' -c 'read 0 9E' a
qemu-io -f qed -c 'read 8E 1' -c 'read 7E 1' -c 'read -P 1 -l -1 0 1' a
qemu-io -f qed -c 'aio_read 0 64k' a
qemu-io -f qed -c 'aio_read 0 64k' -c aio_flush a
qemu-io -f qed -c 'aio_read 0 64k 64k' -c aio_flush a
qemu-io -f qed -c 'aio_read -P 9 0 1k' -c aio_flush a
qemu-io -f qed -c 'aio_read' a
qemu-io -f qed -c 'aio_read 0' a
qemu-io -f qed -c 'aio_read -P x 0 1' a
qemu-io -f qed -c 'aio_read -v 0 16' -c aio_flush a
qemu-io -f qed -c 'aio_read -q 0 16' -c aio_flush a
qemu-io -f qed -c 'aio_read -C 0 16' -c aio_flush a
qemu-io -f qed -c 'aio_read -z 0 16' -c aio_flush a
qemu-io -f qed -c 'aio_read 3M 16' -c aio_flush a
qemu-io -f qed -c 'aio_read -i 0 64k 64k' -c aio_flush a
"""

IO_LOOK = """
qemu-io -f qed -c 'alloc 0' a
qemu-io -f qed -c 'alloc 0 64k' a
qemu-io -f qed -c 'alloc 0 2M' a
qemu-io -f qed -c 'alloc 64k 64k' a
qemu-io -f qed -c 'alloc 0 3M' a
qemu-io -f qed -c 'alloc 1 1' a
qemu-io -f qed -c 'alloc x' a
qemu-io -f qed -c 'alloc 0 x' a
qemu-io -f qed -c 'alloc' a
qemu-io -f qed -c 'alloc 0 1 2' a
qemu-io -f qed -c 'alloc 3M 1' a
qemu-io -f raw -c 'alloc 0 100k' -c map base
qemu-io -f qed -c 'map' a
qemu-io -f qed -c 'map' top
qemu-io -f qed -c 'map' new
qemu-io -f qed -c 'map 1' a
qemu-io -f raw -c 'map' -c length -c info odd
qemu-io -f raw -c 'map' -c length -c info empty
qemu-io -f qed -c 'length' a
qemu-io -f qed -c 'length 1' a
qemu-io -f qed -c 'info' a
qemu-io -f qed -c 'info 1' a
qemu-io -f qed -c 'sleep 1' a
qemu-io -f qed -c 'sleep' a
qemu-io -f qed -c 'sleep x' a
qemu-io -f qed -c 'quit' -c 'length' a
qemu-io -f qed -c 'q' -c 'length' a
qemu-io -f qed -c 'foo' -c length a
qemu-io -f qed -c 'foo' a
qemu-io -f qed -c '' a
qemu-io -f qed -c 'help foo' a
qemu-io -f qed -c 'help read write' a
qemu-io -f qed -c 'help length' -c 'help map' -c 'help quit' -c 'help flush' a
qemu-io -f qed -c close a
qemu-io -f qed -c close -c length a
qemu-io -f qed -c close -c 'open a' -c length a
qemu-io -f qed -c 'open a' -c length a
qemu-io -f qed -c close -c 'open -o driver=qed a' -c length a
qemu-io -f qed -c close -c 'open nope' -c length a
qemu-io -f qed -c close -c 'open -z a' -c length a
qemu-io -f qed -c close -c 'open -r -o driver=qed a' -c 'write 0 1' -c info a
qemu-io -f qed -c close -c 'open' a
qemu-io -f qed -c close -c 'open a base' a
qemu-io -f qed -c close -c 'open -t foo a' a
qemu-io -f qed -c close -c 'read 0 1' a
qemu-io -f qed -c 'reopen' a
qemu-io -f qed -c 'reopen -c foo' a
qemu-io -f qed -c 'reopen -c none' -c 'read 0 1' a
qemu-io -f qed -c 'reopen -o foo=1' a
qemu-io -f qed -c 'reopen -r -w' a
qemu-io -f qed -c 'reopen -z' a
qemu-io -f qed -c 'reopen a' a
qemu-io -f qed -c 'reopen -r' -c 'write 0 1' a
qemu-io
qemu-io -c length
qemu-io -f qed nope
qemu-io nope
qemu-io -c length nope
qemu-io -f foo a
qemu-io -c length base
qemu-io -c length missing
qemu-io -c length dir
qemu-io -f raw -c length dir
qemu-io -t foo -c length a
qemu-io -t writethrough -c length a
qemu-io -d foo -c length a
qemu-io -d unmap -c length a
qemu-io -n -c length a
qemu-io -r -C -c 'read 0 64k' a
qemu-io -U -c length a
qemu-io -U -r -c length a
qemu-io -k -c length a
qemu-io -k -n -c length a
qemu-io -i foo -c length a
qemu-io -i io_uring -c length a
qemu-io -i native -c length a
qemu-io -m -c length a
qemu-io -c length -c quit -c length a
~qemu-io a b ~ Usage: qemu-io [OPTION]...
~qemu-io -z a ~ invalid option -- 'z'
~qemu-io --foo a ~ unrecognized option '--foo'
~qemu-io -f ~ option requires an argument -- 'f'
"""

IO_WRITE = """
qemu-io -f qed -c 'write 0 64k' a
qemu-io -f qed -c 'write -P 5 0 64k' a
qemu-io -f qed -c 'write -P' a
qemu-io -f qed -c 'write -z 0 64k' a
qemu-io -f qed -c 'write -z -u 0 64k' a
qemu-io -f qed -c 'write -u 0 64k' a
qemu-io -f qed -c 'write -n 0 64k' a
qemu-io -f qed -c 'write -z -P 1 0 64k' a
~qemu-io -f qed -c 'write -z -n 0 64k' a ~[0] wrote 65536/65536 bytes at offset 0
qemu-io -f qed -c 'write -f 0 64k' a
qemu-io -f qed -c 'write -zf 0 64k' a
qemu-io -f qed -c 'write -c 0 64k' a
qemu-io -f qed -c 'write -q 0 64k' a
qemu-io -f qed -c 'write -b 0 64k' a
qemu-io -f qed -c 'write -b -z 0 64k' a
qemu-io -f qed -c 'write -b -c 0 64k' a
qemu-io -f qed -c 'write -c -z 0 64k' a
qemu-io -f qed -c 'write -P 1 -s base 0 64k' a
qemu-io -f qed -c 'write -s base 0 64k' -c 'read -P 1 0 64k' a
qemu-io -f qed -c 'write -s tiny 0 9' -c 'read -v 0 16' a
qemu-io -f qed -c 'write -s nope 0 64k' a
qemu-io -f qed -c 'write -s empty 0 64k' a
qemu-io -f qed -c 'write -z -s base 0 64k' a
qemu-io -f qed -c 'write 0' a
qemu-io -f qed -c 'write 1 1' a
qemu-io -f qed -c 'write 2M 1' a
qemu-io -f qed -c 'write 2M 0' a
qemu-io -f qed -c 'write 0 0' a
qemu-io -f qed -c 'write -C 0 64k' a
qemu-io -f qed -c 'write 0 3G' a
qemu-io -f qed -c 'w -P 0x41 64k 40' -c 'r -v 64k 70' a
qemu-io -r -f qed -c 'write 0 1' a
qemu-io -r -f qed -c 'write -z 0 1' a
qemu-io -r -f qed -c 'discard 0 64k' a
qemu-io -r -f qed -c 'aio_write 0 64k' a
qemu-io -r -f qed -c 'truncate 4M' a
qemu-io -r -f qed -c 'flush' a
qemu-io -f qed -c 'aio_write 0 64k' -c aio_flush a
qemu-io -f qed -c 'aio_write -z 0 64k' -c aio_flush a
qemu-io -f qed -c 'aio_write -u 0 64k' -c aio_flush a
qemu-io -f qed -c 'aio_write -z 0 64k 64k' -c aio_flush a
qemu-io -f qed -c 'aio_write 0 64k 64k' -c aio_flush a
qemu-io -f qed -c 'aio_write 3M 64k' -c aio_flush a
qemu-io -f qed -c 'aio_write -f 0 64k 64k' -c aio_flush a
qemu-io -f qed -c 'aio_write -i 0 64k 64k' -c aio_flush a
qemu-io -f qed -c 'aio_write 0 3G' -c aio_flush a
qemu-io -f qed -c 'aio_write 0 2000M 2000M' -c aio_flush a
qemu-io -f qed -c 'aio_write x 1' -c aio_flush a
qemu-io -f qed -c 'aio_write 0 y' -c aio_flush a
qemu-io -f qed -c 'aio_write' -c aio_flush a
qemu-io -f qed -c 'discard 0 64k' a
qemu-io -f qed -c 'discard 0' a
qemu-io -f qed -c 'discard x 1' a
qemu-io -f qed -c 'discard 0 x' a
qemu-io -f qed -c 'discard 0 3G' a
qemu-io -f qed -c 'discard 3M 64k' a
qemu-io -f qed -c 'discard -C 0 64k' a
qemu-io -f qed -c 'discard -q 0 64k' a
qemu-io -f qed -c 'discard -z 0 64k' a
qemu-io -f qed -c 'flush' a
qemu-io -f qed -c 'flush 1' a
qemu-io -f qed -c 'reopen -r' -c 'reopen -w' -c 'write 0 1' a
qemu-io -c 'write 0 512' base
qemu-io -f qed -c 'truncate 3M' -c length a
qemu-io -f qed -c 'truncate 1M' -c length a
qemu-io -f qed -c 'truncate x' a
qemu-io -f qed -c 'truncate' a
qemu-io -f qed -c 'truncate -m full 4M' -c length a
qemu-io -f qed -c 'truncate -m foo 4M' -c length a
qemu-io -f raw -c 'truncate 1000' -c length base
qemu-io -f raw -c 'truncate 100k' -c 'alloc 0 100k' -c map base
qemu-io -f raw -c 'read 0 1000' -c 'write 0 3072' -c 'write 3072 1' -c length odd
qemu-io -s -f qed -c 'write 0 64k' -c 'read -P 0xcd 0 64k' top
qemu-io -f qed -c 'read -P 1 0 64k' top
qemu-io -C -f qed -c 'read 0 4k' -c map top
"""

# Standard input; each is a whole session on image `a`.
IO_SESSIONS = (
    "length\nread 0 64k\n\n  length  \nfoo\n#length\nread \"0\" 512\nquit\nlength\n",
    "length\naio_read 0 64k",
    "length\n",
    "",
    "close\nlength\nopen -o driver=qed a\nlength\nq\n",
    "write -P 3 0 4k\nread -P 3 0 4k\nread -P 4 0 4k\nflush\nmap\n",
)

# ---- Comparing ----

REPLACEMENTS = (
    (re.compile(r"\d+:\d\d:\d\d\.\d\d|\d\d\.\d\d sec"), "TIME"),
    (re.compile(r"\([0-9.e+]+( [KMGTP]iB)?( bytes)?/sec and [0-9.]+ ops/sec\)"), "(RATE)"),
    (re.compile(r"(TIME),[0-9.]+,[0-9.]+"), r"\1,RATE"),
    (re.compile(r"Run completed in \d+\.\d{3} seconds"), "Run completed in TIME seconds"),
    # Ours are sparse where QEMU's are not; other tests look at how much.
    (re.compile(r"disk size: .*"), "disk size: SIZE"),
    (re.compile(r'"actual-size": \d+'), '"actual-size": SIZE'),
    # Progress comes in steps that depend on time.
    (re.compile(r"(    \(\d+\.\d\d/100%\)\r)+\n"), "PROGRESS\n"),
)


def normal(text, directory):
    # The folder first: it may lie in the build folder, whose name goes, too.
    text = text.replace(directory, "DIRECTORY").replace(interop.BUILD + "/", "")
    text = text.replace("qed-img", "qemu-img").replace("qed-io", "qemu-io")
    for pattern, replacement in REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text


class Side:
    """A directory of its own, and which programs run in it."""

    def __init__(self, name, programs):
        self.directory, self.programs = os.path.abspath(name), programs
        # With the holes, which map tells of.
        must("cp", "-a", "--sparse=always", "template", name)

    def run(self, line, stdin=""):
        args = shlex.split(line.replace("$PWD", self.directory))
        args[0] = self.programs[args[0]]
        before = os.getcwd()
        os.chdir(self.directory)
        try:
            result = interop.run(*args, stdin=stdin)
        finally:
            os.chdir(before)
        return (result.status, normal(result.out, self.directory),
                normal(result.err, self.directory))


THEIRS = {"qemu-img": "qemu-img", "qemu-io": "qemu-io"}
OURS = {"qemu-img": interop.QED_IMG, "qemu-io": interop.QED_IO}


def show(side):
    return "status %d, out %r, err %r" % side


def compare(results, name, theirs, ours, line, stdin=""):
    expected, got = theirs.run(line, stdin), ours.run(line, stdin)
    if expected == got:
        results.ok(name)
    else:
        results.not_ok(name, "QEMU: %s; ours: %s" % (show(expected), show(got)))


def compare_different(results, name, theirs, ours, line):
    """A deliberate difference: it must be there, and be what was meant."""
    command, text = line[1:].split(" ~", 1)
    expected, got = theirs.run(command), ours.run(command)
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
    """What both sides wrote."""
    result = interop.run("qemu-img", "compare", "theirs/" + name, "ours/" + name)
    if result.status:
        results.not_ok("qemu-cli-%s-%s" % (title, name), str(result))
    else:
        results.ok("qemu-cli-%s-%s" % (title, name))


def run_list(results, title, lines):
    theirs, ours = Side("theirs", THEIRS), Side("ours", OURS)
    for number, line in enumerate(lines.strip().splitlines()):
        name = "qemu-cli-%s-%02d (%s)" % (title, number, line.lstrip("~").split(" ~")[0])
        if line.startswith("~"):
            compare_different(results, name, theirs, ours, line)
        else:
            compare(results, name, theirs, ours, line)
    if title == "bench":
        compare_images(results, title, "a")
        compare_images(results, title, "base")
    shutil.rmtree("theirs")
    shutil.rmtree("ours")


def run_sessions(results):
    for number, text in enumerate(IO_SESSIONS):
        theirs, ours = Side("theirs", THEIRS), Side("ours", OURS)
        compare(results, "qemu-cli-session-%d" % number, theirs, ours, "qemu-io -f qed a", text)
        shutil.rmtree("theirs")
        shutil.rmtree("ours")


def main(results):
    if not interop.need_qemu(results, "qemu-cli"):
        return
    # Words and fields change from version to version; scripts know those of one.
    if interop.qemu_version() != REFERENCE:
        results.skip("qemu-cli", "the reference is QEMU %d.%d, and %d.%d is installed" % (
            *REFERENCE, *interop.qemu_version()))
        return
    make_template()
    for title, lines in (("create", IMG_CREATE), ("info", IMG_INFO), ("map", IMG_MAP),
                         ("check", IMG_CHECK), ("compare", IMG_COMPARE),
                         ("resize", IMG_RESIZE), ("measure", IMG_MEASURE), ("bench", IMG_BENCH), ("convert", IMG_CONVERT), ("read", IO_READ),
                         ("look", IO_LOOK), ("write", IO_WRITE)):
        run_list(results, title, lines)
    run_sessions(results)


interop.main(main)
