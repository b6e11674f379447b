#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Our programs in the place of QEMU's, by links named qemu-img and qemu-io: the name in messages, the
version, numbers with blanks before them, the words of damaged headers. side_by_side.py describes the
format of the lines."""

import os
import re
import shutil

import interop
from interop import must
import side_by_side

# A shell script with a tab between arguments gives qemu-io a number with a tab before it.
BLANKS = """
qemu-img create -f qed n " 1M"
qemu-img create -f qed n "	1M"
qemu-img create -f qed n " -1M"
qemu-img create -f qed n " - 1M"
qemu-img create -f qed n "1M "
qemu-img create -f qed n " "
qemu-img create -f qed n " +1M"
qemu-img create -f qed n " 0x100000"
qemu-img create -f qed n " 0x1k"
qemu-img create -f qed n " -99999999999999999999"
qemu-img create -f qed -o "size= 1M" n
qemu-img create -f qed -o "size=-99999999999999999999" n
qemu-img create -f qed -o "size=1M,cluster_size= 4k" n
qemu-img resize -f qed n " 2M"
qemu-img resize -f qed n "+ 2M"
qemu-img resize -f qed n " +2M"
qemu-img resize -f qed n "- 2M"
qemu-img dd "bs= 4k" "count= 3" if=base of=n1
qemu-img dd "bs= 4k" "skip= 1" if=base of=n3
qemu-img dd bs=-1 if=base of=n1
qemu-img measure --size " 1M"
qemu-img convert -f raw -O raw -S " 4k" -m " 2" base n2
qemu-img map -f raw -s " 64k" -l " 64k" base
qemu-img bench -f raw -c " 1" -d " 1" -s " 4k" -o " 0" base
qemu-io -r --image-opts -c length "driver=raw,offset= 64k,size=	64k,file.filename=base"
qemu-io -f raw -c 'read	0 512' base
qemu-io -f raw -c 'readv 0 	8k	8k' -c 'readv 0 	8k 8k' base
qemu-io -f raw -c 'write -P 	5 	64k 	1k' -c 'read -P 	5 	64k 	1k' base
qemu-io -f raw -c 'writev 	64k 	1k 	2k' -c 'aio_read 	0 	1k' -c aio_flush base
qemu-io -f raw -c 'write -z 	64k 	1k' -c 'discard 	0 	512' -c 'alloc 	0 	512' base
qemu-io -f raw -c 'read -P 0 -s 	512 -l 	64 	0 1k' -c 'truncate 	2M' -c length base
"""

COLONS = """
qemu-img create -f qed file:co:lon 1M
qemu-img info file:co:lon
qemu-img info ./co:lon
qemu-img info co:lon
qemu-img info file:no:pe
qemu-img info -f qed file:no:pe
qemu-img create -f qed -b base -F raw file:co:top
qemu-img info file:co:top
qemu-img info --output=json file:co:top
qemu-img info --backing-chain file:co:top
qemu-img map file:co:top
qemu-img map --output=json file:co:top
qemu-img check file:co:top
qemu-img convert -O raw file:co:top file:ou:t
qemu-img compare file:co:top file:ou:t
qemu-img dd -f raw -O raw if=file:ou:t of=file:du:p
qemu-img compare -f raw -F raw file:du:p ./ou:t
qemu-img resize -f qed file:co:top 2M
qemu-img rebase -u -b base -F raw file:co:top
qemu-img commit -f qed file:co:top
qemu-io -f qed -c length -c 'write 0 4k' file:co:lon
qemu-io -c 'open -o driver=qed file:co:lon' -c length -c 'open file:no:pe'
"""

DRIVERS = "\n".join(line.replace("DRIVER", driver) for driver in ("file", "host_device", "host_cdrom")
                    for line in """
qemu-img info -f DRIVER base
qemu-img info -f DRIVER dir
qemu-img info -f DRIVER nope
qemu-img info -f DRIVER /dev/null
qemu-img info --image-opts driver=DRIVER,filename=base
qemu-img info --image-opts driver=DRIVER,filename=dir
qemu-img info --image-opts driver=qed,file.driver=DRIVER,file.filename=a
qemu-img info --image-opts driver=raw,file.driver=DRIVER,file.filename=/dev/null,file.locking=off
qemu-img info 'json:{"driver":"raw","file":{"driver":"DRIVER","filename":"nope"}}'
qemu-img map -f DRIVER a
qemu-io -f DRIVER -c length base
qemu-io -f DRIVER -c length -c 'write 0 512' dir
qemu-io -r -f DRIVER -c length dir
qemu-io -c 'open -r -o driver=DRIVER,filename=dir' -c 'open -o driver=DRIVER,filename=dir'
qemu-io -c 'open -r -o driver=DRIVER,filename=/dev/null,locking=off'
qemu-io -c 'open -o driver=DRIVER,filename=/dev/null,locking=off'
qemu-io -c 'open -o driver=host_device,filename=/dev/null,locking=off' -c length -c flush
qemu-io -c 'open -o driver=raw,file.driver=DRIVER,file.filename=base' -c length
qemu-img convert -f DRIVER -O raw base n
qemu-img compare -f DRIVER base base
""".strip().splitlines())

# Clusters of data and of zeroes beside each other, of which rebase makes extents. Each cluster of the
# old backing file that the new one has, too, differs there or is the same.
REBASED = """
qemu-img create -q -f qed old 1M
qemu-img create -q -f qed new2 1M
qemu-img create -q -f qed -b old -F qed over
qemu-io -f qed -c 'write -P 17 0 128k' -c 'write -P 17 192k 64k' -c 'write -P 5 512k 64k' old
qemu-io -f qed -c 'write -P 34 64k 128k' -c 'write -P 17 192k 64k' -c 'write -P 6 512k 256k' new2
qemu-img rebase -f qed -b new2 -F qed over
qemu-io -r -f qed -c 'read -P 17 0 128k' -c 'read -P 0 128k 64k' -c 'read -P 17 192k 64k' -c 'read -P 5 512k 64k' -c 'read -P 0 576k 448k' over
qemu-img info over
qemu-img create -q -f qed -b old -F qed second
qemu-io -f qed -c 'write -P 0 64k 64k' old
qemu-img create -q -f raw ones 1M
qemu-io -f raw -c 'write -P 255 0 256k' ones
qemu-img rebase -f qed -b ones -F raw second
qemu-io -r -f qed -c 'read -P 17 0 64k' -c 'read -P 0 64k 128k' -c 'read -P 17 192k 64k' second
"""


def test_rebased_extents(results):
    """As QEMU's own block test 024: what map shows of an image after rebase, without offsets in files."""
    for name in ("old", "new2"):
        must("qemu-img", "create", "-q", "-f", "qed", name, "1M")
    must("qemu-img", "create", "-q", "-f", "qed", "-b", "old", "-F", "qed", "over")
    must("qemu-io", "-f", "qed", "-c", "write -P 17 0 128k", "-c", "write -P 17 192k 64k", "old")
    must("qemu-io", "-f", "qed", "-c", "write -P 34 64k 128k", "-c", "write -P 17 192k 64k", "-c",
         "write -P 6 512k 256k", "new2")
    must(side_by_side.OURS["qemu-img"], "rebase", "-f", "qed", "-b", "new2", "-F", "qed", "over")
    lines = must(side_by_side.OURS["qemu-img"], "map", "over").out.splitlines()[1:]
    got = [(line.split()[0], line.split()[1], line.split()[3]) for line in lines]
    expect(results, "rebased-extents", got == [("0", "0x30000", "over"), ("0x30000", "0x10000", "new2")], got)


# "outer" is a qed image whose bytes are those of "a", a qed image.
NESTED = """
qemu-img convert -f raw -O qed a outer
qemu-img map --image-opts driver=raw,file.driver=qed,file.file.filename=base
qemu-io -r --image-opts -c 'read -P 1 0 64k' -c 'read -P 3 64k 4k' -c 'read -P 0 128k 64k' driver=raw,file.driver=qed,file.file.filename=a
qemu-io -r --image-opts -c 'read -P 2 0 64k' -c 'read -P 1 64k 36k' -c length driver=raw,file.driver=qcow2,file.file.filename=q2
qemu-img compare --image-opts driver=qed,file.driver=qed,file.file.filename=outer driver=qed,file.filename=a
qemu-img compare 'json:{"driver":"qed","file":{"driver":"qed","file":{"driver":"file","filename":"outer"}}}' a
qemu-img check --image-opts driver=qed,file.driver=qed,file.file.filename=outer
qemu-img convert --image-opts -O raw driver=raw,offset=64k,size=1M,file.driver=qed,file.file.filename=a part
qemu-io -c 'open -o driver=qed,file.driver=qed,file.file.filename=outer' -c length -c 'read -P 1 0 64k' -c 'read -P 3 64k 4k' -c 'write -P 7 4k 4k' -c 'read -P 7 4k 4k' -c flush
qemu-io --image-opts -c 'write -P 9 512k 100k' -c 'write -z 0 64k' -c 'discard 128k 64k' driver=raw,offset=64k,file.driver=qed,file.file.filename=top
qemu-io -r -f qed -c 'read -P 9 576k 100k' -c 'read -P 0 64k 64k' top
~qemu-io -r --image-opts -c 'read -P 7 4k 4k' driver=qed,file.driver=qed,file.file.filename=outer ~[0] read 4096/4096 bytes at offset 4096
qemu-io -c length 'json:{"driver":"qed","file":{"driver":"raw","file":{"driver":"qed","file.filename":"outer"}}}'
qemu-img info --image-opts driver=raw,file.driver=qed,file.file.filename=nope
qemu-img info --image-opts driver=raw,file.driver=qed,file.file.filename=base
qemu-img info --image-opts driver=raw,file.driver=qed
qemu-img info --image-opts driver=qed,file.driver=raw,file.file.filename=base
qemu-img info --image-opts driver=raw,file.driver=qed,file.foo=1,file.file.filename=a
qemu-img info --image-opts driver=raw,file.driver=foo,file.file.filename=a
qemu-img create -q -f qed -u -b 'json:{"driver":"raw","file":{"driver":"qed","file.filename":"a"}}' -F raw on 2M
qemu-io -r -f qed -c 'read -P 1 0 64k' -c 'read -P 3 64k 4k' on
~qemu-img info --image-opts driver=raw,file.driver=raw,file.file.driver=raw,file.file.file.driver=raw,file.file.file.file.driver=raw,file.file.file.file.file.filename=a ~[1] too many images lie on top of each other
"""

# What each image of make_headers() has in its header.
HEADERS = {
    "magic": {"magic": b"QEE\0"},
    "cluster": {"cluster_size": 3},
    "cluster-large": {"cluster_size": 0xffffffff},
    "table": {"table_size": 3},
    "table-large": {"table_size": 0xffffffff},
    "header-large": {"header_size": 0xffffffff},
    "header-file": {"header_size": 1000},
    "features": {"features": 0x80 | 1 << 33},
    "l1": {"l1_table_offset": 0xffffffffffffffff},
    "l1-odd": {"l1_table_offset": 65537},
    "l1-far": {"l1_table_offset": 1 << 40},
    "l1-header": {"l1_table_offset": 0},
    "size": {"image_size": 0xffffffffffffffff},
    "size-odd": {"image_size": 1 << 20 | 1},
    "size-large": {"image_size": 1 << 60},
    "name": {"features": 1, "backing_filename_offset": 1 << 20, "backing_filename_size": 4},
}


def make_headers():
    for name, fields in HEADERS.items():
        shutil.copy("template/new", "template/" + name)
        interop.write_header("template/" + name, **fields)
    shutil.copy("template/new", "template/truncated")
    os.truncate("template/truncated", 512)


def headers():
    lines = []
    for name in [*HEADERS, "truncated"]:
        lines += ["qemu-img info -f qed " + name, "qemu-img resize -f qed %s 4M" % name,
                  "qemu-io -f qed -c length " + name, "qemu-io -c 'open -r -o driver=qed %s'" % name,
                  "qemu-img create -f qed -b %s -F qed over" % name]
    return "\n".join(lines)


# ---- The program's name ----


def expect(results, name, true, got):
    if true:
        results.ok(name)
    else:
        results.not_ok(name, str(got))


# As cinder and nova look for it, and a line with a version anywhere in it.
VERSIONS = (r"qemu-img version ([0-9.]*)", r"^qemu-img version (\d+\.\d+(?:\.\d+)?)[ ,(]",
            r"\d+\.\d+(\.\d+)?")


def test_version(results):
    line = must(side_by_side.OURS["qemu-img"], "--version").out
    for pattern in VERSIONS:
        found = re.search(pattern, line)
        number = re.search(r"[0-9.]+", found.group(0)).group(0) if found else "0"
        if tuple(int(part) for part in number.split(".")) < (7, 2):
            results.not_ok("version", "%r finds %s in %r" % (pattern, number, line))
            return
    line = must(side_by_side.OURS["qemu-io"], "-V").out
    expect(results, "version", line.startswith("qemu-io version 7.2.0 (qedblk "), line)


def test_own_name(results):
    """By their own names they have their own version, and say more than QEMU does."""
    line = must(interop.QED_IMG, "--version").out
    expect(results, "own-version", re.match(r"qed-img version 0\.\d+\n$", line), line)
    got = interop.run(interop.QED_IMG, "info", "-f", "qed", "template/cluster")
    expect(results, "own-words", got.status == 1 and got.err.startswith("qed-img: Could not open ") and
           "QED cluster size is invalid: 3 is not a power of 2" in got.err, str(got))


def test_any_name(results):
    os.symlink(interop.QED_IMG, "disk-tool")
    got = interop.run("./disk-tool", "info")
    expect(results, "any-name", got.err.startswith("disk-tool: Expecting one image file name\n"
                                                     "Try 'disk-tool --help'"), str(got))


def test_nested_loop(results):
    """An image whose backing file is made of itself is refused, at any depth."""
    must("qemu-img", "create", "-q", "-f", "qed", "-u", "-b",
         'json:{"driver":"raw","file":{"driver":"qed","file.filename":"itself"}}', "-F", "raw", "itself", "1M")
    got = interop.run(interop.QED_IMG, "map", "itself")
    expect(results, "nested-loop", got.status == 1 and "images lie on top of each other" in got.err, got)


def main(results):
    if not side_by_side.need_reference(results, "drop-in"):
        return
    side_by_side.make_template()
    make_headers()
    test_version(results)
    test_own_name(results)
    test_any_name(results)
    side_by_side.run_list(results, "blanks", BLANKS, images=("n", "n1", "n2", "n3", "base"))
    side_by_side.run_list(results, "headers", headers())
    side_by_side.run_list(results, "colons", COLONS, images=("./co:lon", "./co:top", "./ou:t"))
    side_by_side.run_list(results, "drivers", DRIVERS)
    side_by_side.run_list(results, "nested", NESTED, images=("part", "a", "top"))
    test_nested_loop(results)
    side_by_side.run_list(results, "rebased", REBASED, images=("over", "second"))
    test_rebased_extents(results)


interop.main(main)
