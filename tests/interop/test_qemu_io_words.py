#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
"""qemu-io and qed-io side by side, continued: numbers, words, combinations of options, ways to
open, and command sequences from QEMU's own tests. side_by_side.py describes the format of the
lines."""

import interop
import side_by_side

IO_NUMBERS = """
qemu-io -r -f qed -c 'read 1.k 1' -c 'read +0 1' -c 'read -- -0 1' -c 'read -- +-1 1' a
qemu-io -r -f qed -c 'read 0x1k 1' -c 'read 0X10 1' -c 'read 0x10M 0' -c 'read 0x1p 1' a
qemu-io -r -f qed -c 'read 010 1' -c 'read 0x 1' -c 'read 0xg 1' -c 'read x 1' a
qemu-io -r -f qed -c 'read 1e1 1' -c 'read 1.5e1k 1' -c 'read inf 1' -c 'read nan 1' a
qemu-io -r -f qed -c 'read .5k 1' -c 'read 1.5 1' -c 'read 1.0 1' -c 'read 0x1.8k 1' a
qemu-io -r -f qed -c 'read 0.0000001k 1' -c 'read 0.001k 1' -c 'read 1.9999k 1' a
qemu-io -r -f qed -c 'read 1B 1' -c 'read 1b 1' -c 'read 1bb 1' -c 'read 0x1b 1' -c 'read 1kB 0' a
qemu-io -r -f qed -c 'read 7.99999E 1' -c 'read 8E 1' -c 'read 18446744073709551615 1' a
qemu-io -r -f qed -c 'read 9223372036854775807 0' -c 'read 9223372036854775808 0' a
qemu-io -r -f qed -c 'read 0xffffffffffffffffff 1' -c 'read -- -9999999999999999999999 1' a
qemu-io -r -f qed -c 'read 1K 1' -c 'read 1m 0' -c 'read 1g 0' -c 'read 1t 0' -c 'read 1p 0' a
qemu-io -r -f qed -c 'read 0 1K' -c 'read 0 0x400' -c 'read 0 1.5K' -c 'read 0 +1' a
qemu-io -r -f qed -c 'alloc 1.k 1.k' -c 'alloc 0x1k' -c 'alloc +1' -c 'alloc -- -1' a
qemu-io -r -f qed -c 'read -P 0x -- 0 1' -c 'read -P 01 0 1' -c 'read -P 0x01 0 1' a
qemu-io -r -f qed -c 'read -P -1 0 1' -c 'read -P 1k 0 1' -c 'read -P +1 0 1' a
qemu-io -r -f qed -c 'read -P 99999999999999999999 0 1' -c 'read -P 255 0 1' -c 'read -P 256 0 1' a
qemu-io -r -f qed -c 'sleep 0x1' -c 'sleep -1' -c 'sleep 1x' -c 'sleep 1 2' -c 'sleep 01' -c 'sleep +1' a
qemu-io -r -f qed -c 'sleep 0' -c 'sleep -- 0' -c 'sleep 0x' a
"""

IO_WORDS = """
qemu-io -f qed -c 'read' -c 'readv' -c 'aio_read' -c 'write' -c 'writev' -c 'aio_write' a
qemu-io -f qed -c 'read 0' -c 'readv 0' -c 'aio_read 0' -c 'write 0' -c 'writev 0' -c 'aio_write 0' a
qemu-io -f qed -c 'discard' -c 'discard 0' -c 'discard 0 1 2' -c 'discard -q 0' a
qemu-io -f qed -c 'r' -c 'w' -c 'd' -c 'a' -c 't' -c 'o' a
qemu-io -f qed -c 'f 1' -c 'l 1' -c 'i 1' -c 'c 1' -c 'map 1' -c 'aio_flush 1' -c '? 1 2' a
qemu-io -f qed -c 'abort 1' -c 'sigraise' -c 'sigraise 1 2' -c 'break' -c 'break a' -c 'break a b c' a
qemu-io -f qed -c 'remove_break' -c 'remove_break a b' -c 'resume' -c 'resume a b' a
qemu-io -f qed -c 'wait_break' -c 'wait_break a b' -c 'truncate 1 2 3 4' a
qemu-io -f qed -c 'break write_aio x' -c 'remove_break x' -c 'resume x' a
qemu-io -f raw -c 'break write_aio x' -c 'remove_break x' -c 'resume x' base
qemu-io -c 'break a b' -c 'remove_break a' -c 'resume a' -c 'wait_break a'
!qemu-io -f qed -c 'wait_break' -c 'wait_break x' -c length a ~[1] Could not wait for breakpoint x: Operation not supported
qemu-io -c 'length' -c 'read 0 1' -c 'write 0 1' -c 'flush' -c 'aio_flush' -c 'alloc 0' -c map -c info -c 'discard 0 1'
qemu-io -c 'close' -c 'truncate 1' -c 'reopen' -c 'readv 0 1' -c 'writev 0 1' -c 'aio_read 0 1' -c 'aio_write 0 1'
qemu-io -c 'read' -c 'foo' -c 'sleep 0' -c 'sigraise 0' -c 'help foo'
qemu-io -c 'help' -c '?'
qemu-io -c 'quit' -c length a
qemu-io -c 'quit 1 2' -c length a
qemu-io -c 'q -x' -c length a
qemu-io -c 'sigraise 0' -c 'sigraise x' -c 'sigraise -1' -c 'sigraise 65' -c 'sigraise 66' -c 'sigraise 1k' a
qemu-io -c 'sigraise 9999999999999999999999' -c 'sigraise 0x0' -c 'sigraise 1.5' a
qemu-io -c 'sigraise 17' -c 'sigraise 13' -c 'sigraise 28' -c length a
qemu-io -c length -c 'sigraise 15' -c length a
qemu-io -c length -c 'sigraise 2' a
qemu-io -c length -c 'sigraise 9' a
qemu-io -c length -c 'sigraise 6' a
qemu-io -c length -c 'sigraise 64' a
qemu-io -c length -c 'abort' a
qemu-io -c 'abort'
qemu-io -f qed -c '   length   ' -c 'read   0    512' -c ' ' a
qemu-io -f qed -c 'length;length' -c '#length' -c 'Length' -c 'LENGTH' -c 'len' a
qemu-io -f qed -c 'read -q 0 512' -c 'read 0 -q 512' -c 'read 0 512 -q' a
qemu-io -f qed -c 'read -qP1 0 512' -c 'read -P' -c 'read -P 1' -c 'read -P 1 0' a
qemu-io -f qed -c 'read --foo 0 1' -c 'read -- 0 1' -c 'read - 0 1' a
qemu-io -f qed -c 'help read readv' -c 'help -x' -c 'help nothing' a
"""

IO_REQUESTS = """
qemu-io -f qed -c 'read -s 512 x 1' -c 'read -s 512 0 3G' -c 'read -l 1 0 1' -c 'read -s x 0 1' flat
qemu-io -f qed -c 'read -l x 0 1' -c 'read -P 1 -l x -s y 0 1' -c 'read -P 1 -s 1 -l 2 0 2' flat
qemu-io -f qed -c 'read -P 1 -s 0 -l 0 0 2' -c 'read -P 1 -s 2 0 2' -c 'read -P 1 -s 3 0 2' flat
qemu-io -f qed -c 'read -P 1 -l 3 0 2' -c 'read -P 3 -s 64k -l 4k 0 128k' -c 'read -P 1 -s 64k -l 4k 0 128k' flat
qemu-io -f qed -c 'read -P 1 -P 3 64k 4k' -c 'read -P 3 -P 1 64k 4k' flat
qemu-io -f qed -c 'read -b 1 1' -c 'read -b 0 1' -c 'read -b 512 1' -c 'read -b 0 512' -c 'read -b -q 0 512' flat
qemu-io -f qed -c 'read -b x 1' -c 'read -b 0 3G' -c 'read -b -P 1 -s 5 0 3' -c 'read -bP 1 0 512' flat
qemu-io -f raw -c 'read -b 0 512' -c 'write -b 0 512' -c 'write -c 0 512' -c 'write -c 0 64k' base
qemu-io -f qed -c 'read -pCq 0 512' -c 'read -pC 0 512' -c 'read -vq 0 16' -c 'read -vC 0 16' flat
qemu-io -f qed -c 'read -a 0 1' -c 'read -A 0 1' -c 'read -x 0 1' -c 'read -P1x 0 1' flat
qemu-io -f qed -c 'readv 0 1' -c 'readv 0 1 2' -c 'readv 1 1 1 1 1 1 1 1 1' -c 'readv 0 0' -c 'readv 0 0 0' flat
qemu-io -f qed -c 'readv -P 3 64k 1k 1k' -c 'readv -P 4 64k 1k 1k' -c 'readv -P 3 64k 1k 0 1k' flat
qemu-io -f qed -c 'readv -v 65530 4 4' -c 'readv -C 0 1k' -c 'readv -q 0 1k' -c 'readv -qv 0 1k' flat
qemu-io -f qed -c 'readv 3M 1' -c 'readv 2M 1' -c 'readv 2M 0' -c 'readv 2097151 1 1' -c 'readv 1M 1M' flat
qemu-io -f qed -c 'readv 0 2000M 2000M' -c 'readv 0 3G' -c 'readv 0 2G' -c 'readv 0 1 2147483136' flat
qemu-io -f qed -c 'readv x 1' -c 'readv 0 1 y' -c 'readv 0 y 1' -c 'readv -1 1' -c 'readv -- -1 1' flat
qemu-io -f qed -c 'readv -s 1 0 1' -c 'readv -l 1 0 1' -c 'readv -b 0 1' -c 'readv -p 0 1' -c 'readv -P x 0 1' flat
qemu-io -f qed -c 'aio_read -i -z 0 1' -c 'aio_read -z -i 0 1' -c 'aio_read -i x y' -c 'aio_read -iP x 0 1' flat
qemu-io -f qed -c 'aio_read -P x 0 1' -c 'aio_read -s 1 0 1' -c 'aio_read 0 x' -c 'aio_read x 0' flat
qemu-io -f qed -c 'aio_read 0 3G' -c 'aio_read 0 2000M 2000M' -c 'aio_read 0 1k 1k 1k' -c aio_flush a
qemu-io -f qed -c 'write -b -f 1 1' -c 'write -c -f 0 1' -c 'write -b -c -f 0 1' -c 'write -f -z -c 0 1' flat
qemu-io -f qed -c 'write -c 1 1' -c 'write -c 0 1' -c 'write -c -z 1 1' -c 'write -b 1 1' -c 'write -b 0 1' flat
qemu-io -f qed -c 'write -n -z 0 3G' -c 'write -n 0 3G' -c 'write -z 0 3G' -c 'write -z 0 2G' flat
qemu-io -f qed -c 'write -b -z -n 0 0' -c 'write -c -b 0 512' -c 'write -n -u 0 0' -c 'write -un 0 0' flat
qemu-io -f qed -c 'write -z -P 1 -s base 0 1' -c 'write -s nope -P 1 0 1' -c 'write -P x -s nope 0 1' flat
qemu-io -f qed -c 'write -s nope 0 3G' -c 'write -s nope x 1' -c 'write -s nope 0 1' -c 'write -s dir 0 1' flat
qemu-io -f qed -c 'write -s tiny 0 1' -c 'write -s tiny 64k 5' -c 'read -v 64k 8' -c 'write -s tiny 0 0' flat
qemu-io -f qed -c 'write -s empty 0 1' -c 'write -s empty 0 0' flat
qemu-io -f qed -c 'write -P 7 -P 8 0 1k' -c 'read -P 8 0 1k' -c 'write -q 0 1' -c 'write -C 0 1' flat
qemu-io -f qed -c 'write -P 9 2097151 1' -c 'write -P 9 2097151 2' -c 'read -v 2097140 12' flat
qemu-io -f qed -c 'write -f 100 100' -c 'write -zf 200k 1' -c 'write -z 200k 3' -c 'write -p 5 5' flat
qemu-io -f qed -c 'write -h 0 1' -c 'write -v 0 1' -c 'write -l 1 0 1' -c 'write -i 0 1' flat
qemu-io -f qed -c 'writev 0 1' -c 'writev 0 1 2' -c 'writev -z 0 1' -c 'writev -P 3 0 1k 1k' -c 'read -P 3 0 2k' flat
qemu-io -f qed -c 'writev -f 0 1k 1k' -c 'writev -q 0 1' -c 'writev -C 0 1k' -c 'writev 0 0' -c 'writev -P x 0 1' flat
qemu-io -f qed -c 'writev 3M 1' -c 'writev 2M 0' -c 'writev 0 3G' -c 'writev 0 2000M 2000M' -c 'writev 0 x' flat
qemu-io -f qed -c 'writev x 1' -c 'writev -u 0 1' -c 'writev -s base 0 1' -c 'writev -n 0 1' flat
qemu-io -f qed -c 'aio_write -i -P x 0 1' -c 'aio_write -P x -i 0 1' -c 'aio_write -x -i 0 1' flat
qemu-io -f qed -c 'aio_write -z -u 0 1k 1k' -c 'aio_write -u 0 1k 1k' -c 'aio_write -u 0 1k' flat
qemu-io -f qed -c 'aio_write -z 0 x' -c 'aio_write -z x 1' -c 'aio_write -n -z 0 1' -c 'aio_write -c 0 1' flat
qemu-io -f qed -c 'aio_write -z -q 0 64k' -c aio_flush -c 'read -P 0 0 64k' flat
qemu-io -f qed -c 'aio_write -zqP 4 64k 64k' -c aio_flush -c 'read -P 0 64k 64k' flat
qemu-io -f qed -c 'aio_write -P 4 100 1 2 3' -c aio_flush -c 'read -P 4 100 6' -c 'aio_write -C 0 1' -c aio_flush a
qemu-io -f qed -c 'aio_write -z 0 3G' -c aio_flush -c 'aio_write -z 3M 1' -c aio_flush a
qemu-io -f qed -c 'discard -x 0 1' -c 'discard -P 1 0 1' -c 'discard 0 2147483137' -c 'discard 0 8E' flat
qemu-io -f qed -c 'discard 2M 1' -c 'discard 2M 0' -c 'discard 0 0' -c 'discard -qC 0 64k' flat
qemu-io -f raw -c 'discard 0 64k' -c 'read -P 0 0 64k' -c 'discard 1 1' -c 'discard 1M 1' -c 'discard 0 2M' base
qemu-io -f raw -c 'write -z 0 64k' -c 'write -zu 64k 64k' -c 'write -zn 128k 64k' -c map base
qemu-io -f raw -c 'writev -P 5 3 5 7' -c 'readv -v 0 16 4' -c 'write -z 1 1' -c 'read -v 0 20' base
qemu-io -f raw -c 'aio_write -P 6 500k 100k' -c aio_flush -c 'aio_read -P 6 500k 100k' -c aio_flush base
qemu-io -f raw -c 'write 1M 1' -c 'write 1048575 2' -c 'read 1M 1' -c 'read 1M 0' -c 'write 1M 0' base
qemu-io -f raw -c 'read 2900 200' -c 'write -P 1 2900 172' -c 'read -P 1 2900 172' -c 'read 3071 2' odd
qemu-io -f raw -c 'read -v 0 2' -c 'read 512 1' -c 'write -P 0x61 0 512' -c 'read -v 0 16' tiny
qemu-io -f raw -c 'read 0 1' -c 'write 0 1' -c 'read 0 0' -c length -c 'alloc 0' -c 'discard 0 0' empty
"""

IO_OPEN = """
qemu-io -f qed -c close -c close -c 'open -r a' -c length -c 'write 0 1' -c close a
qemu-io -c 'open a' -c length -c 'open base' -c close -c 'open -o driver=raw base' -c info
qemu-io -c 'open -r -o driver=qed a' -c info -c 'write 0 1' -c 'read 0 1'
qemu-io -c 'open -o driver=qed -r a' -c 'w 0 1' -c close -c 'o -rU a' -c l -c c
qemu-io -c 'open nope' -c 'open -r nope' -c 'open -o driver=raw nope' -c 'open dir' -c 'open ""'
qemu-io -c 'open -z a' -c 'open -o' -c 'open -t' -c 'open -t foo a' -c 'open -d foo a' -c 'open -i foo a'
qemu-io -c 'open a b' -c 'open -r' -c 'open -s' -c 'open -C'
qemu-io -c 'open -k a' -c 'open -U a' -c 'open -i native a' -c 'open -rC a'
qemu-io -c 'open -kn a' -c length -c close -c 'open -n -i native a' -c length -c close
qemu-io -c 'open -i threads a' -c length -c close -c 'open -i io_uring a' -c length -c close
qemu-io -c 'open -t none -i native a' -c length -c close -c 'open -t directsync a' -c 'write 0 1k' -c close
qemu-io -c 'open -t unsafe a' -c 'write 0 1k' -c flush -c close -c 'open -t writethrough a' -c 'write 0 1'
qemu-io -c 'open -d ignore -o driver=raw base' -c 'discard 0 64k' -c 'read -P 1 0 64k' -c close
qemu-io -c 'open -d off -o driver=raw base' -c 'discard 0 64k' -c 'read -P 1 0 64k' -c close
qemu-io -c 'open -d on -o driver=raw base' -c 'discard 0 64k' -c 'read -P 0 0 64k' -c close
qemu-io -c 'open -d unmap -o driver=raw base' -c 'discard 64k 4k' -c 'read -P 0 64k 4k' -c close
qemu-io -c 'open -C -o driver=qed top' -c 'read 0 4k' -c map -c close
qemu-io -c 'open -s -o driver=qed top' -c 'write -P 9 0 4k' -c 'read -P 9 0 4k' -c close
qemu-io -c 'open -rs -o driver=qed top' -c 'write -P 9 0 4k' -c close
qemu-io -r -c 'read -P 1 0 4k' top
qemu-io -rs -c 'write 0 1' -c 'read 0 1' a
qemu-io -s -r -c 'write 0 1' -c 'read 0 1' a
qemu-io -s -n -c 'write 0 4k' -c 'read -P 0xcd 0 4k' a
qemu-io -s nope
qemu-io -s -f raw -c 'write -P 9 0 4k' -c 'read -P 9 0 4k' -c 'read -P 1 4k 4k' base
qemu-io -f raw -c 'read -P 1 0 4k' base
qemu-io -f qed -c 'open -o driver=foo a' a
qemu-io -c 'open -o driver=foo a' -c 'open -o driver=qed base' -c 'open -o driver=qcow2 a'
qemu-io -c reopen -c 'reopen -r'
qemu-io -f qed -c 'reopen -r' -c 'write 0 1' -c 'reopen -w' -c 'write 0 1' -c 'reopen -r' -c 'read 0 1' a
qemu-io -f qed -c 'reopen -w' -c 'write 0 1' -c 'reopen' -c 'write 0 1' a
qemu-io -f qed -c 'reopen -r -r' -c 'reopen -w -w' -c 'reopen -rw' -c 'reopen -w -r' a
qemu-io -f qed -r -c 'reopen -w' -c 'write -P 6 0 1k' -c 'reopen -r' -c 'write 0 1' -c 'read -P 6 0 1k' a
qemu-io -f qed -c 'reopen -c none' -c 'write 0 1k' -c 'reopen -c writethrough' -c 'write 0 1' -c 'reopen -c unsafe' a
qemu-io -f qed -c 'reopen -c writeback' -c 'reopen -c directsync' -c 'reopen -c off' -c 'reopen -c foo' a
qemu-io -f qed -c 'reopen -c' -c 'reopen -o' -c 'reopen -x' -c 'reopen a' -c 'reopen -r a' a
qemu-io -f qed -c 'reopen -r -c none' -c 'read 0 1k' -c 'write 0 1' -c length a
qemu-io -f raw -c 'reopen -r' -c 'write 0 1' -c 'reopen -w' -c 'write 0 1' -c 'reopen -c none' -c 'read 0 1' base
~qemu-io -C -f qed -c 'reopen -r' -c 'read 0 4k' -c 'reopen -c none' -c 'read 64k 4k' top ~ Can't set node 'top' to r/o with copy-on-read enabled
qemu-io -f qed -c 'write -P 5 0 64k' -c 'reopen -r' -c 'read -P 5 0 64k' -c map a
qemu-io -s -f qed -c 'write -P 8 0 64k' -c 'reopen -c none' -c 'read -P 8 0 64k' a
qemu-io -f qed -c 'aio_write -P 7 1M 64k' -c 'reopen -r' -c 'read -P 7 1M 64k' a
qemu-io -f qed -c 'reopen -r' -c close -c 'open a' -c 'write 0 1' a
"""

IO_GLOBAL = """
~qemu-io -x a ~ Usage: qemu-io [OPTION]...
qemu-io -r
~qemu-io -c ~ option requires an argument -- 'c'
qemu-io -f qed -f raw -c info a
qemu-io -f '' -c length a
qemu-io --format qed -c length a
qemu-io --format=qed --cmd length a
qemu-io --cmd=length --read-only a
qemu-io --read-only --cmd 'write 0 1' a
qemu-io --snapshot --cmd 'write 0 1' a
qemu-io --nocache --cmd 'read 0 1' a
qemu-io --copy-on-read --cmd 'read 0 1' a
qemu-io --misalign --nocache --cmd 'write -P 3 0 8k' --cmd 'read -P 3 0 8k' a
qemu-io -m -n -f raw -c 'write -P 3 1 8191' -c 'read -P 3 1 8191' -c 'aio_write -P 4 0 1k 1k' -c aio_flush base
qemu-io --native-aio --cmd length a
qemu-io --native-aio --nocache --cmd length a
qemu-io --discard ignore --cmd 'discard 0 64k' a
qemu-io --discard=foo --cmd length a
qemu-io --cache none --cmd length a
qemu-io --cache=foo --cmd length a
qemu-io --aio threads --cmd length a
qemu-io --aio=foo --cmd length a
qemu-io --force-share --read-only --cmd length a
qemu-io --force-share --cmd length a
qemu-io --read --cmd length a
~qemu-io --fo qed --cmd length a ~ option '--fo' is ambiguous
qemu-io -rf qed -c length a
qemu-io -c length -- a
qemu-io -t none -t writeback -c length a
qemu-io -k -t none -c length a
qemu-io -k -i threads -c length a
qemu-io -i native -k -c length a
qemu-io -i native -i threads -c length a
qemu-io -d foo -t bar a
qemu-io -t bar -d foo a
qemu-io -n -t writeback -k -c length a
qemu-io -t writeback -n -k -c length a
qemu-io -t writethrough -n -k -c length a
qemu-io -U -C -r a
qemu-io -C -r -c 'read 0 1' a
qemu-io -C -r -s -c 'read 0 1' a
qemu-io -U -s -c 'read 0 1' a
qemu-io a -c length -r
qemu-io -c length ./a
qemu-io -c length file:a
qemu-io -c length $PWD/a
qemu-io -c length foo:a
qemu-io -c length ""
qemu-io -c length empty
qemu-io -c length tiny
qemu-io -f qed -c length empty
qemu-io -f qed -c length tiny
qemu-io -f qed -c length base
qemu-io -f qcow2 -c length base
qemu-io -f raw -c length a
qemu-io -f qed -c length missing
qemu-io -r -f qed -c length missing
"""

IO_SEQUENCES = """
qemu-io -f qed -c 'write -P 0xa 0 64k' -c 'write -P 0xb 64k 64k' -c 'read -P 0xa 0 64k' -c 'read -P 0xb 64k 64k' new
qemu-io -f qed -c 'write -P 0xa5 0 128k' -c 'write -z 32k 64k' -c 'read -P 0xa5 0 32k' -c 'read -P 0 32k 64k' -c 'read -P 0xa5 96k 32k' new
qemu-io -f qed -c 'write -z 0 1M' -c map -c 'alloc 0 1M' -c 'read -P 0 0 1M' new
qemu-io -f qed -c 'write -P 1 0 512' -c 'write -P 2 512 512' -c 'write -P 3 1024 512' -c 'read -v 508 8' -c 'read -v 1020 8' new
qemu-io -f qed -c 'write -P 0x11 65535 2' -c 'read -v 65528 16' -c 'read -P 0x11 65535 2' new
qemu-io -f qed -c 'aio_write -P 0x22 0 128k' -c aio_flush -c 'aio_read -P 0x22 0 128k' -c aio_flush new
qemu-io -f qed -c 'writev -P 0x33 0 4k 8k 52k' -c 'readv -P 0x33 0 52k 8k 4k' -c 'read -P 0x33 0 64k' new
qemu-io -f qed -c 'write -P 1 0 1M' -c flush -c 'reopen -r' -c 'read -P 1 0 1M' -c 'reopen -w' -c 'write -P 2 0 1M' -c 'read -P 2 0 1M' new
qemu-io -f qed -c 'truncate 2M' -c length -c 'write -P 7 1M 1M' -c 'read -P 7 1M 1M' -c map new
qemu-io -f qed -c 'write -P 4 0 64k' -c 'read -P 4 0 64k' -c 'read -P 1 64k 32k' -c map thin
qemu-io -f qed -C -c 'read -P 1 64k 4k' -c map -c 'alloc 64k 64k' thin
qemu-io -f qed -c 'read -P 1 64k 4k' -c 'write -P 8 100 1' -c 'read -v 96 8' -c map thin
qemu-io -f qed -c 'write -P 0xcc 1032192 16k' -c 'read -P 0xcc 1032192 16k' -c 'read 1048575 1' -c 'read 1M 1' new
qemu-io -f qed -c 'write -q -P 5 0 1M' -c 'read -q -P 5 0 1M' -c 'read -q -P 6 0 1M' new
qemu-io -f qed -c 'write -C 0 64k' -c 'read -C 0 64k' -c 'writev -C 0 64k' -c 'readv -C 0 64k' -c 'discard -C 0 4k' new
qemu-io -f raw -c 'write -P 0xaa 0 64k' -c 'write -z 16k 16k' -c 'read -P 0 16k 16k' -c 'read -P 0xaa 32k 32k' -c flush small
qemu-io -f raw -c 'truncate 1M' -c length -c 'write -P 1 1000k 24k' -c 'truncate 512k' -c length -c 'read 512k 1' small
qemu-io -f raw -c 'truncate -m falloc 600k' -c length -c 'truncate -m full 700k' -c length -c 'truncate -m off 500k' -c length small
qemu-io -f raw -c 'truncate -m falloc 100k' -c 'truncate -m full 100k' -c length -c 'truncate -m full 700001' -c length -c map small
qemu-io -f raw -c 'truncate 7E' -c length -c 'truncate -m falloc 7E' -c length -c 'truncate -m full 8E' small
qemu-io -f raw -c 'truncate -m off x' -c 'truncate x -m off' -c 'truncate 1 2' -c 'truncate 10k 20k' -c length small
qemu-io -f raw -c 'truncate -m metadata 800k' -c 'truncate -m foo 1' -c 'truncate -m' -c 'truncate -x 1' small
!qemu-io -f raw -c 'truncate -m off' small ~[1] truncate [-m prealloc_mode] off -- truncates
qemu-io -f qed -c 'truncate -m falloc 2M' -c 'truncate -m metadata 2M' -c 'truncate 512' -c length new
qemu-io -f qed -c 'truncate 1000' -c 'truncate 2097153' -c length new
qemu-io -f qed -c 'truncate 0' -c 'truncate -- -1' -c 'truncate 8E' -c length new
qemu-io -f qed -c 'write 0 64k' -c 'length' -c 'info' -c 'alloc 0 1M' -c 'map' -c 'flush' -c 'close' -c 'open new' -c 'read -P 0xcd 0 64k' new
qemu-io -f qed -c 'write -z -u 0 64k' -c 'read -P 0 0 64k' -c 'write -P 3 0 4k' -c 'read -P 3 0 4k' -c 'read -P 0 4k 60k' new
qemu-io -f qed -c 'write -s base 0 1M' new
qemu-io -f qed -c 'read -P 1 0 100k' -c 'read -P 0 100k 100k' -c 'read -P 0 200k 64k' new
qemu-img compare -f qed -F raw new base
qemu-img check -q -f qed new
qemu-img check -q -f qed thin
"""

IO_FORMATS = """
qemu-io -c length -c info -c map -c 'read -P 2 0 64k' q2
qemu-io -f qcow2 -c 'read -P 2 0 64k' -c 'read -P 0 128k 64k' -c 'read -P 1 64k 32k' -c 'alloc 0 1M' q2
qemu-io -r -f qcow2 -c 'readv -P 2 0 1k 1k' -c 'aio_read -P 2 0 64k' -c aio_flush -c 'read -v 65530 12' q2
qemu-io -r -f qcow2 -c 'write 0 1' -c 'discard 0 1' -c 'truncate 1' -c 'aio_write 0 1' -c 'writev 0 1' -c 'flush' q2
qemu-io -r -f qcow2 -c 'read 1M 1' -c 'read 0 2M' -c 'read -q 0 1M' -c 'map' -c 'alloc 128k 64k' q2
qemu-io -s -f qcow2 -c 'write -P 9 0 4k' -c 'read -P 9 0 4k' -c 'read -P 2 4k 60k' q2
qemu-io -r -f qcow2 -c 'reopen -r' -c 'read -P 2 0 4k' -c 'reopen -c none' -c 'read -P 2 0 4k' q2
qemu-io -r -n -f qcow2 -c 'read -P 2 0 4k' q2
qemu-io -r -c length -c info -c map packed
qemu-io -r -c 'read -P 1 0 100k' -c 'read -P 0 100k 100k' -c 'aio_read -P 1 0 64k' packed
qemu-io -f qcow2 -c length a
qemu-io -r -c info -c length null-co://
qemu-io -f raw -c info -c 'read 0 1' null-co://
qemu-io -f null-co -c info -c 'write 0 64k' null-co://
qemu-io -f file -c info -c length -c 'read -P 1 0 4k' base
qemu-io -f raw -r -c length q2
"""

IO_OPTIONS = """
qemu-io -f qed -c 'reopen -o read-only=off' -c 'write 0 1' -c 'reopen -r -o read-only=on' -c 'reopen -o read-only=foo' a
~qemu-io -f qed -c 'reopen -o read-only=on' -c 'write 0 1' a ~ Read-only block node 'a' cannot support read-write users
qemu-io -f qed -r -c 'reopen -o read-only=on' -c 'write 0 1' a
qemu-io -f qed -c 'reopen -o cache.direct=on' -c 'read 0 1' -c 'reopen -c none -o cache.direct=on' -c 'reopen -o cache.direct=x' a
qemu-io -f qed -c 'reopen -o cache.no-flush=on' -c 'write 0 1' -c 'reopen -c none -o cache.no-flush=on' a
qemu-io -f raw -c 'reopen -o discard=ignore' -c 'discard 0 4k' -c 'reopen -o discard=unmap' -c 'discard 4k 4k' -c 'reopen -o discard=foo' base
qemu-io -f qed -c 'reopen -o driver=qed' -c 'reopen -o driver=raw' -c 'reopen -o driver=foo' a
qemu-io -f qed -c 'reopen -o foo' -c 'reopen -o nofoo' -c 'reopen -o foo=1' -c 'reopen -o ,' a
qemu-io -f qed -c 'reopen -o file.locking=off' -c 'reopen -o force-share=on' -c 'reopen -o node-name=x' a
qemu-io -f qed -c 'reopen -o cache.writeback=off' -c 'reopen -o copy-on-read=on' -c 'reopen -o size=3' a
qemu-io -f qed -c 'reopen -o backing=base' -c 'reopen -o file=x' -c 'reopen -o auto-read-only=on' a
qemu-io -f qed -c 'reopen -o file.filename=a' -c 'reopen -o file.filename=b' -c 'reopen -o filename=b' a
qemu-io -f qed -c 'reopen -o detect-zeroes=on' -c 'reopen -o detect-zeroes=foo' -c 'reopen -o read-only=off,discard=unmap' a
qemu-io -f qed -c 'reopen -o discard=ignore -o read-only=off' -c 'write 0 1' -c 'reopen -c writethrough -o discard=on' a
qemu-io -c 'open -o driver=qed,read-only=on a' -c 'write 0 1' -c close
qemu-io -c 'open -r -o driver=qed,read-only=on a' -c 'write 0 1' -c 'read 0 1'
qemu-io -c 'open -o driver=qed,file.filename=a' -c length -c close -c 'open -o file.filename=a' -c info
qemu-io -c 'open -r -o read-only=on -o driver=qed a' -c 'write 0 1' -c info
qemu-io -c 'open -o foo=1 a' -c 'open -o driver=qed,foo=1 a' -c 'open -o driver=foo a' -c 'open -o discard=foo a'
qemu-io -c 'open -o force-share=on a' -c 'open -r -o force-share=on a' -c length
qemu-io -c 'open -o force-share=on,read-only=on a'
qemu-io -c 'open' -c 'open -r' -c 'open -o driver=null-co' -c length -c close
qemu-io -c 'open -o driver=null-co,size=1M' -c length -c close -c 'open -o driver=raw' -c 'open -o file.filename=nope'
qemu-io -c 'open -o cache.direct=foo a' -c 'open -o xx a' -c 'open -o cache.direct=on a' -c length
qemu-io -c 'open -o driver=raw,offset=64k,size=64k base' -c length -c 'read -P 1 0 36k' -c 'write -P 9 0 4k' -c close
qemu-io -f raw -c 'read -P 9 64k 4k' -c 'read -P 1 0 64k' base
qemu-io --image-opts -c length driver=qed,file.filename=a
qemu-io --image-opts -f qed -c length driver=qed,file.filename=a
qemu-io --image-opts -c length
qemu-io --image-opts -c 'open file.filename=a' -c length
qemu-io --image-opts -c 'open -o file.filename=a' -c length
qemu-io --image-opts -c length a
qemu-io --image-opts -c length driver=qed
qemu-io --image-opts -c length driver=foo,file.filename=a
qemu-io --image-opts -c length driver=qed,file.filename=nope
qemu-io --image-opts -r -c 'write 0 1' driver=qed,file.filename=a
qemu-io --image-opts -n -c 'write 0 1k' driver=raw,file.filename=base
qemu-io --image-opts -c 'write -P 7 0 4k' -c 'read -P 7 0 4k' driver=raw,offset=4k,size=8k,file.filename=base
qemu-io --image-opts -c 'truncate -m falloc 1M' -c length -c map driver=raw,offset=512k,file.filename=small
qemu-io -f raw -c length -c map small
qemu-io --image-opts -s -c 'write -P 7 0 4k' -c 'read -P 7 0 4k' driver=qed,file.filename=a
qemu-io --image-opts -c 'reopen -r' -c 'write 0 1' -c 'reopen -w' -c 'write 0 1' driver=qed,file.filename=a
qemu-io --image-opts -r -c length driver=qed,backing.driver=raw,backing.file.filename=small,file.filename=a
qemu-io --image-opts -r -c 'read -P 0 0 64k' -c length driver=qed,backing.driver=raw,backing.file.filename=small,file.filename=a
qemu-io -c length 'json:{"driver":"qed","file":{"driver":"file","filename":"a"}}'
qemu-io -f qed -c length 'json:{"driver":"qed","file.filename":"a"}'
qemu-io -f raw -r -c info 'json:{"driver":"qed","file.filename":"a"}'
qemu-io -c length 'json:{"driver":"foo","file.filename":"a"}'
qemu-io -c length 'json:{}'
qemu-io -c length 'json:'
qemu-io -c length 'json:{"driver":"qed","file":{"driver":"file","filename":"nope"}}'
qemu-io -s -c 'write -P 7 0 4k' -c 'read -P 7 0 4k' 'json:{"driver":"qed","file":{"driver":"file","filename":"a"}}'
qemu-io -c 'open json:{"driver":"qed","file.filename":"a"}' -c length
qemu-io --object secret,id=s0,data=x -c length a
qemu-io --object secret -c length a
qemu-io --object foo,id=a -c length a
qemu-io --object secret,data=x -c length a
qemu-io --object secret,id=s0,foo=1 -c length a
qemu-io --object secret,id=1,data=x -c length a
qemu-io --object secret,id=s0,data=x --object secret,id=s0,data=y -c length a
qemu-io --object '{"qom-type":"secret","id":"s","data":"x"}' -c length a
qemu-io --object ''
qemu-io -T foo -c length a
qemu-io -T enable=foo -c length a
qemu-io --trace enable=foo*,file=trace.log -c length a
qemu-io -T bar=1 -c length a
qemu-io -T '' -c length a
qemu-io -T enable=foo,enable=bar -c length a
qemu-io -T foo -T bar* -c length a
~qemu-io -T qed_need_check_timer_cb -c length a ~ warning: trace event 'qed_need_check_timer_cb' does not exist
"""

LISTS = (
    ("numbers", IO_NUMBERS, ()),
    ("words", IO_WORDS, ()),
    ("requests", IO_REQUESTS, ("flat", "base", "odd", "tiny")),
    ("open", IO_OPEN, ("a", "base", "top")),
    ("global", IO_GLOBAL, ("a", "base")),
    ("sequences", IO_SEQUENCES, ("new", "thin", "small")),
    ("options", IO_OPTIONS, ("a", "base")),
    ("formats", IO_FORMATS, ("q2", "packed")),
)


def main(results):
    if not side_by_side.need_reference(results, "qemu-io-words"):
        return
    side_by_side.make_template()
    for title, lines, images in LISTS:
        side_by_side.run_list(results, "qemu-io-" + title, side_by_side.without_aborts(lines),
                              images)


interop.main(main)
