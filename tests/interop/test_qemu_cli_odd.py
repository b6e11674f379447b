#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""qemu-img and qemu-io and ours side by side on odd command lines: with more than one error,
numbers at the end of their range, options that no format here supports. Random command lines
found most of them. side_by_side.py describes the format of the lines."""

import os
import shutil

import interop
from interop import must
import side_by_side

IMG = """
qemu-img create -f qed n 0x10k
qemu-img create -f qed n 0x1p3
qemu-img create -f qed n +0x1k
qemu-img create -f qed n 0x1kx
~qemu-img create -f qed -o size=0x40k n ~[0] on hex numbers is deprecated: 0x40k
qemu-img create -f qed -o size=16E n
qemu-img create -f qed -o size=-1 n
qemu-img create -f qed -o cluster_size=-1 n 1M
qemu-img resize -f qed new 0x800k
qemu-img resize -f qed new 16E
qemu-img resize -f qed new +99999999999999999999
~qemu-img resize -f qed new 9E ~ Value '9E' is out of range for parameter 'size'
qemu-img resize -f raw odd +1
qemu-img resize -f raw odd +100
qemu-img resize -f raw odd 4001
qemu-img resize -f raw --shrink odd 3500
~qemu-img resize -f raw odd 9223372036854775807 ~ Could not resize file: File too large
qemu-img resize --image-opts driver=raw,offset=1024,file.filename=odd 4001
qemu-img resize -f qed new +1
qemu-img resize -f qed --preallocation=falloc new 5M
qemu-img resize -f qed --preallocation=full new 5M
qemu-img resize -f qed --preallocation=metadata new 5M
qemu-img measure --size 0x10k
qemu-img map -l 0x10k a
qemu-img dd bs=0x1k count=1 if=base of=n1
qemu-img compare -p base nope
qemu-img compare -p nope base
qemu-img compare -p -F qed base odd
qemu-img compare -p -q base nope
qemu-img compare -p base base
qemu-img compare -p -T foo base base
qemu-img bench -c 1 -n -i threads -f raw base
qemu-img bench -c 1 -i native -i threads -f raw base
qemu-img convert -C --salvage -S 4k a n2
qemu-img convert -C --salvage --target-image-opts a n2
qemu-img measure --output=x -z
qemu-img measure -o , --output=x
qemu-img map -f QED x:y
~qemu-img map astray ~ Could not read file metadata: Input/output error
qemu-img convert -l x a n2
qemu-img convert -l "" a n2
qemu-img convert -l x -O foo -c base n2
qemu-img convert -l x q2 n2
qemu-img convert -l x base base n2
qemu-img convert -l snapshot.id=1 base base n2
qemu-img convert -l snapshot.id=1,snapshot.name=x q2 n2
qemu-img convert -l snapshot.foo=1 base n2
qemu-img convert -l snapshot. base n2
qemu-img convert -l x nope n2
qemu-img convert -l x -T foo a n2
qemu-img convert --bitmaps base n2
qemu-img convert --bitmaps a n2
qemu-img convert --bitmaps a a n2
qemu-img convert --bitmaps -O foo a n2
qemu-img convert --bitmaps -O qed -c a n2
qemu-img convert --bitmaps -O qed q2 n3
qemu-img convert --bitmaps -O raw q2 n3
qemu-img convert --bitmaps -t foo q2 n3
qemu-img convert --bitmaps -n -O qed q2 nope
qemu-img convert --bitmaps -n -O qed q2 new
qemu-img convert --skip-broken-bitmaps a n2
qemu-img convert --skip-broken-bitmaps -c -C a n2
qemu-img convert -c -C -S 4k a n2
qemu-img measure -l x a
qemu-img measure -l x q2
qemu-img measure -l x -O foo base
qemu-img measure -l x --size 3
qemu-img measure -l x
qemu-img measure -l snapshot.foo=1 base
qemu-img measure base -Ul snapshot.id=1
~qemu-img measure -l first shot ~[1] 'qcow2' used by device '' does not support temporarily loading internal snapshots
qemu-img bitmap --add -b a x
qemu-img bitmap --add -F a
qemu-img bitmap --remove -g 3
qemu-img bitmap --add -b a -F qed -g 3 a b c
qemu-img info --object secret,help base
qemu-img info file:co:lon
qemu-img info --object secret,id=s,? nope
qemu-img convert --object tls-creds-anon,help
qemu-img info --object tls-creds-psk,id=x,help base
~qemu-img info --object help base ~[0] tls-creds-x509
~qemu-img info --object foo,help base ~[0] tls-creds-psk
~qemu-img info --object tls-creds-x509,help base ~[0] sanity-check=<bool>
qemu-img info --output=json /dev/zero
qemu-img map /dev/null
qemu-img compare /dev/null /dev/zero
qemu-img convert -f raw -O qed /dev/null none
qemu-img create -f qed -b /dev/null -F raw nothing 1M
qemu-img map --output=json nothing
qemu-img create -f qed -u -b x -F rwa n 1M
qemu-img create -f qed -F rwa n 1M
qemu-img create -f qed -u -o backing_file=x,backing_fmt=rwa n 1M
qemu-img create -f qed -u -b x -F dmg n 1M
qemu-img convert -O qed -B base -F rwa a n
qemu-img convert -O qed -o backing_fmt=rwa a n
qemu-img rebase -u -b x -F rwa a
qemu-img rebase -u -b base -F vvfat thin
qemu-img info thin
qemu-img info --image-opts driver=null-co
qemu-img info 'json:{"driver":"raw","file":{"driver":"null-co"}}'
qemu-img bench -s 9E a
qemu-img bench -S 9E a
qemu-img bench -S -1 a
qemu-img bench -s 1x a
"""

IO = """
qemu-io -f qed -c 'read -P 0 0x1p3 1' -c 'read 0x1k 1' -c 'read 0x1kk 1' -c 'read 0xk 1' a
qemu-io -f qed -c 'truncate 1000' a
qemu-io -f qed -c 'truncate 512' a
qemu-io -f raw -c 'truncate -m metadata 512' -c 'truncate -m metadata 5M' base
qemu-io -f raw -c 'write -c 1M 64k' -c 'write -c 0 64k' odd
qemu-io -f raw -c 'write -bc 1M 64k' base
qemu-io -f qed -c 'aio_write 512 0' -c 'readv 5M 128k' a
qemu-io -f qed -c 'aio_write 512 0' -c 'read 5M 128k' a
qemu-io -f qed -c 'aio_write 512 0' -c 'writev 5M 128k' a
qemu-io -f qed -c 'aio_read 5M 1' -c 'readv 5M 128k' a
qemu-io -f qed -c 'reopen -o backing.read-only=on' new
qemu-io --image-opts -f raw -c length odd
qemu-io --image-opts -f raw -c length
qemu-io -f qed -c 'aio_write 4k 100' -c reopen -c length a
qemu-io -f qed -c 'aio_write 4k 100' -c 'reopen -o driver=raw' -c length a
qemu-io -f qed -c 'aio_write 4k 100' -c 'reopen -o x=1' -c length a
~qemu-io --object ? -c length a ~[0] tls-creds-x509
qemu-io --object secret,help -c length a
"""


def main(results):
    if not side_by_side.need_reference(results, "qemu-cli-odd"):
        return
    side_by_side.make_template()
    os.chdir("template")
    must("qemu-img", "create", "-q", "-f", "qcow2", "shot", "1M")
    must("qemu-img", "snapshot", "-c", "first", "shot")
    shutil.copy("base", "co:lon")
    os.chdir("..")
    side_by_side.run_list(results, "qemu-cli-odd", IMG, images=("n1", "new"))
    side_by_side.run_list(results, "qemu-io-odd", IO)


interop.main(main)
