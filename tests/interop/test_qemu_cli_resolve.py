#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""What names stand for, on the command line, in headers and in json:{...}: "file:", colons, unknown
protocols, relative names.  Side by side (side_by_side.py describes the format of the lines), and
images of either side read by both."""

import json
import os

import interop
import side_by_side
from interop import Failure, must, run

TYPED = """
qemu-img create -f raw co:lon 1M
qemu-img create -f raw file:co:lon 1M
qemu-io -f raw -c 'write -P 7 0 64k' file:co:lon
qemu-img info co:lon
qemu-img info :lon
qemu-img info raw:base
qemu-img info file:
qemu-img info ""
qemu-img info file:json:{}
qemu-img info file:/dev/null
qemu-img info null-co:
qemu-img info -f file co:lon
qemu-img info -f file file:co:lon
qemu-img info host_device:co:lon
qemu-img info host_cdrom:co:lon
qemu-img info -f host_device host_device:co:lon
qemu-img info -f host_device file:co:lon
qemu-img info --image-opts driver=raw,file.filename=co:lon
qemu-img info --image-opts driver=raw,file.filename=file:co:lon
qemu-img info --image-opts driver=raw,file.driver=file,file.filename=co:lon
qemu-img info --image-opts driver=file,filename=co:lon
qemu-img info --image-opts driver=file,filename=file:co:lon
qemu-img info --image-opts driver=host_device
~qemu-img info --image-opts driver=raw,file.filename=nbd://localhost/x ~[1] Could not open './nbd://localhost/x': No such file
qemu-io -r -c 'open -o file.filename=a a' -c 'open -o driver=file,filename=base base'
qemu-io -r -c 'open -r -o file.locking=off file:base' -c length -c 'open -r -o file.driver=file base'
qemu-io -r -c 'open -r -o driver=raw,file.driver=qed a' -c length -c 'read -P 3 64k 4k'
qemu-io -r -c 'open -r -o driver=raw,file.driver=qed file:a' -c length -c 'read -P 3 64k 4k'
qemu-img convert -O raw base co:py
qemu-img convert -O raw base 'json:{}'
qemu-img convert -O qed base file:co:py
qemu-img dd -O raw if=co:lon of=file:x
qemu-img compare file:co:py base
qemu-img create -f qed null-co:// 1M
"""

JSON = """
qemu-img info "json:{'driver':'raw','file':{'driver':'file','filename':'base'}}"
qemu-img info "json: { 'driver' : \\"raw\\", 'file.filename' : 'base' } "
qemu-img info "json:{'driver':'raw','file':{'filename':'it\\\\'s'}}"
qemu-img info "json:{'driver':'raw','file':{'filename':'it\\\\\\"s'}}"
qemu-img info "json:{'driver':'raw','file':{'filename':\\"it's\\"}}"
qemu-img info 'json:{"driver":"raw","file":{"filename":"it\\u0027s"}}'
qemu-img info "json:{'driver':'raw','file':{'filename':'b\\\\u0061se'}}"
qemu-img info "json:{'driver':'qed','file':{'filename':'a'},'backing':null,'read-only':true}"
qemu-img map "json:{'driver':'qed','file':{'filename':'a'},'backing':{'driver':'raw','file':{'filename':'small'}}}"
qemu-img info "json:{'driver':'raw','file':{'filename':'base'},'size':1e5}"
qemu-img info "json:{'driver':'raw','file':{}}"
qemu-img info "json:{'driver':'raw','file':null}"
qemu-img info "json:{'driver':'raw','file':'base'}"
~qemu-img info "json:{'driver':'raw','driver':'raw','file.filename':'base'}" ~ Could not parse the JSON options: JSON parse error,
~qemu-img info "json:{'driver':'raw','file.filename':'base'} x" ~ Could not parse the JSON options: JSON parse error,
~qemu-img info "json:{'driver':'raw','file.filename':'base',}" ~ Could not parse the JSON options: JSON parse error,
~qemu-img info "json:{driver:'raw','file.filename':'base'}" ~ Could not parse the JSON options: JSON parse error,
~qemu-img info "json:{'driver':'raw','file.filename':'base','read-only':True}" ~ Could not parse the JSON options: JSON parse error,
~qemu-img info "json:{'driver':'raw','file.filename':'base','size':01}" ~ Could not parse the JSON options: JSON parse error,
"""

STORED = """
qemu-img create -q -f raw file:co:lon 1M
qemu-img create -q -f raw dir/base 2M
qemu-io -f raw -c 'write -P 6 0 64k' dir/base
qemu-io -f raw -c 'write -P 7 0 64k' file:co:lon
qemu-img create -f qed -b file:base -F raw dir/1
qemu-img info --backing-chain dir/1
qemu-img map dir/1
qemu-img create -f qed -b base -F raw file:dir/2
qemu-img info --backing-chain file:dir/2
qemu-img create -f qed -b file:co:lon -F raw file:dir/3
qemu-img info --output=json --backing-chain dir/3
qemu-img map --output=json dir/3
qemu-img create -f qed -b co:lon -F raw 4
qemu-img create -u -f qed -b co:lon -F raw 4 1M
qemu-img info 4
qemu-img info --backing-chain 4
qemu-img map 4
qemu-img create -f qed -b base -F raw file:5:5
qemu-img create -f qed -b file:5:5 -F qed file:6:6
qemu-img info --backing-chain file:6:6
qemu-img map file:6:6
qemu-img create -f qed -b "json:{'driver':'raw','file':{'driver':'file','filename':'base'}}" -F raw 7
qemu-img info --backing-chain 7
qemu-img map 7
qemu-img create -f qed -b "json:{'driver':'raw','file':{'filename':'base'}}" -F qed 8
qemu-img create -f qed -b host_device:base -F raw 9
qemu-img create -u -f qed -b host_device:base -F raw 9 1M
qemu-img map 9
qemu-img create -f qed -b file: -F raw 9
qemu-img create -f qed -b "" -F raw 9
qemu-img create -f qed -b 9 -F qed 9
qemu-img rebase -u -b file:dir/base -F raw dir/1
qemu-img map dir/1
qemu-img rebase -b base -F raw dir/1
qemu-img rebase -b file:co:lon -F raw dir/1
qemu-img info dir/1
qemu-img compare dir/1 dir/base
qemu-img rebase -b co:lon -F raw dir/1
qemu-img rebase -b "json:{'driver':'raw','file.filename':'base'}" -F raw dir/1
qemu-img info --backing-chain dir/1
qemu-img convert -O qed -B file:base -F raw 5:5 10
qemu-img convert -O qed -B file:base -F raw file:5:5 dir/10
qemu-img info dir/10
qemu-img map dir/10
qemu-io -f qed -c 'write -P 9 0 4k' dir/3
qemu-img commit -b file:co:lon dir/3
qemu-img commit -b co:lon dir/3
qemu-img commit -b file:base dir/3
qemu-io -f qed -c 'write -P 8 0 4k' file:6:6
qemu-img commit file:6:6
qemu-img compare -f raw -F raw file:co:lon base
qemu-img compare dir/10 file:5:5
~qemu-img commit -b ./5:5 file:6:6 ~[0] Image committed.
"""

LOST = """
~qemu-img create -f qed -b base -F raw file:base ~[1] Trying to create an image with the same filename
~qemu-img create -f qed -b base -F raw dir/../base ~[1] Trying to create an image with the same filename
~qemu-img create -f qed -b top -F qed ./a ~[1] Trying to create an image with the same filename
"""

# ---- Images of either side, read by both ----

BACKING = (
    "base", "./base", "dir/base", "$PWD/base", "file:base", "file:./base", "file:dir/base",
    "file:$PWD/base", "co:lon", "./co:lon", "file:co:lon", "nope", "file:nope",
    'json:{"driver":"raw","file":{"driver":"file","filename":"base"}}',
    "json:{'driver':'raw','file':{'driver':'file','filename':'co:lon'}}",
    "json:{'driver':'raw','file.filename':'dir/base'}",
    "json:{'file':{'filename':'./co:lon'}}",
)
OVERLAYS = ("over", "dir/over", "file:dir/over", "file:ov:er", "$PWD/over")


def show(program, verb, image, *options):
    """Return the status, and what @program's @verb says about @image, without the disk size."""
    result = run(program, verb, *options, "--output=json", image)
    if result.status:
        return result.status, result.err.replace("qed-img:", "qemu-img:")
    value = json.loads(result.out)
    for entry in value if verb == "info" else []:
        entry.pop("actual-size")
    return 0, value


def read_by_both(image, fmt):
    for verb, options in (("info", ("--backing-chain",)), ("map", ())):
        theirs, ours = (show(program, verb, image, *options)
                        for program in ("qemu-img", side_by_side.OURS["qemu-img"]))
        if theirs != ours:
            raise Failure("%s of %s, %s: QEMU: %s; ours: %s" % (verb, image, fmt, theirs, ours))


def both_ways(backing, overlay):
    here = os.getcwd()
    backing, overlay = (name.replace("$PWD", here) for name in (backing, overlay))
    args = ("create", "-f", "qed", "-b", backing, "-F", "raw", overlay)
    theirs = run("qemu-img", *args)
    if not theirs.status:
        read_by_both(overlay, "made by QEMU")
    ours = run(side_by_side.OURS["qemu-img"], *args)
    # QEMU's own way from "file:ov:er" to its directory is another one than that of readers.
    if (theirs.status, theirs.out, theirs.err) != (ours.status, ours.out,
                                                   ours.err.replace("./nope", "nope")):
        raise Failure("create: QEMU: %s; ours: %s" % (theirs, ours))
    if not ours.status:
        read_by_both(overlay, "made here")
    must("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F", "raw", overlay, "1M")
    read_by_both(overlay, "qcow2")


def cross(results):
    must("cp", "-a", "template", "cross")
    os.chdir("cross")
    must("qemu-img", "create", "-q", "-f", "raw", "file:co:lon", "1M")
    must("qemu-img", "create", "-q", "-f", "raw", "dir/base", "2M")
    must("qemu-io", "-f", "raw", "-c", "write -P 7 0 64k", "file:co:lon")
    for overlay in OVERLAYS:
        for backing in BACKING:
            results.run("%s below %s" % (backing, overlay), both_ways, backing, overlay)
    os.chdir("..")


def main(results):
    if not side_by_side.need_reference(results, "qemu-cli-resolve"):
        return
    side_by_side.make_template()
    side_by_side.run_list(results, "typed", TYPED)
    side_by_side.run_list(results, "json", JSON)
    side_by_side.run_list(results, "stored", STORED)
    side_by_side.run_list(results, "lost", LOST)
    cross(results)


interop.main(main)
