#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
"""qemu-io and qed-io side by side; side_by_side.py describes the format of the lines."""

import interop
import side_by_side

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
qemu-io -c 'reopen -c none' -c 'reopen -r' -c 'reopen -w' -c length base
qemu-io -c 'open base' -c 'reopen -o cache.direct=on' -c close -c 'open base'
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

# Standard input; each entry is a session on image `a`.
IO_SESSIONS = (
    "length\nread 0 64k\n\n  length  \nfoo\n#length\nread \"0\" 512\nquit\nlength\n",
    "length\naio_read 0 64k",
    "length\n",
    "",
    "close\nlength\nopen -o driver=qed a\nlength\nq\n",
    "write -P 3 0 4k\nread -P 3 0 4k\nread -P 4 0 4k\nflush\nmap\n",
)


def run_sessions(results):
    for number, text in enumerate(IO_SESSIONS):
        with side_by_side.Sides() as sides:
            side_by_side.compare(results, "qemu-io-session-%d" % number, sides.theirs, sides.ours,
                                 "qemu-io -f qed a", text)


def main(results):
    if not side_by_side.need_reference(results, "qemu-io"):
        return
    side_by_side.make_template()
    for title, lines in (("read", IO_READ), ("look", IO_LOOK), ("write", IO_WRITE)):
        side_by_side.run_list(results, "qemu-io-" + title, lines)
    run_sessions(results)


interop.main(main)
