#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
# A device in use while it is streamed, from a raw file and from a QED image over one: the server
# killed in the middle and recovered, the stream ended, the golden image deleted; all verified.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"
. "$vm_dir/stream_lib.sh"

cd "$SCRATCH" || exit 1

# Many files: the copies below read them, too, and must not populate all before the server is killed.
make_golden golden.img 24
cp --sparse=always golden.img golden.copy

# ---- From a raw file ----
require "raw: a device" qedctl create raw raw.qed --backing golden.img --backing-format raw \
	--queues 2 --stream --speed 100K
use_begin raw
same "raw: it streams" "$(stream_of raw state)" running
check "raw: paused" qedctl stream raw --pause
check "raw: it says so" wait_until 20 eval '[ "$(stream_of raw state)" = paused ]'
kill_stream_server raw
recover_stream raw
check "raw: paused still" wait_until 20 eval '[ "$(stream_of raw state)" = paused ]'
check "raw: resumed" qedctl stream raw --resume
kill_and_recover raw
streamed_out raw
same "raw: a stream that was done" "$(qedctl stream raw --wait; echo $?)" \
	$'raw: nothing to stream: there is no backing file\n0'
check "the golden image is as it was" cmp golden.img golden.copy
rm golden.img
kill_stream_server raw
recover_stream raw
same "raw: nothing is to be streamed any more" "$(status_of raw stream)" ""
use_end raw
check "raw: removed" qedctl remove raw --retry
check "raw: the same words, without the golden image" qedctl create raw raw.qed \
	--backing golden.img --backing-format raw --stream
check "raw: mounted" mount /dev/mapper/raw mnt
check "raw: every file is right, again" eval '(cd mnt && sha256sum -c --quiet ../sums)'
umount mnt
removed raw raw.qed

# ---- The data clusters of an image without guest writes ----
mv golden.copy golden.img
require "exact: a device" qedctl create exact exact.qed --backing golden.img --backing-format raw \
	--stream
check "exact: to its end" wait_until 60 is_streamed exact
removed exact exact.qed
qemu-img map --output=json -f qed exact.qed >exact.map
check "exact: data clusters for what is not zero in the golden image, and no others" \
	python3 - golden.img exact.map <<-'END'
	import json, sys
	cluster = 65536
	with open(sys.argv[1], "rb") as golden:
	    blocks = iter(lambda: golden.read(cluster), b"")
	    wanted = {n for n, block in enumerate(blocks) if block.strip(b"\0")}
	with open(sys.argv[2]) as listing:
	    got = {n for run in json.load(listing) if run["data"] and not run["zero"]
	           for n in range(run["start"] // cluster,
	                          -(-(run["start"] + run["length"]) // cluster))}
	if got != wanted or not wanted:
	    sys.exit("missing: %r, too many: %r" % (sorted(wanted - got), sorted(got - wanted)))
END
mv golden.img golden.copy

# ---- From a QED image over a raw one, which stays ----
cp --sparse=always golden.copy base.img
qed-img create -q -f qed -b base.img -F raw middle.qed
qed-io -f qed -c "write -P 7 90M 1M" middle.qed >/dev/null
require "chain: a device" qedctl create chain chain.qed --backing middle.qed --backing-format qed
use_begin chain
expect_line "a base that is not there" "stream chain: nowhere.img: not in the backing chain" \
	qedctl stream chain --base nowhere.img
check "chain: streamed down to its base, slowly" qedctl stream chain --base base.img --speed 90K
kill_stream_server chain
recover_stream chain
same "chain: and its successor does that, too" "$(stream_of chain state)" running
qedctl stream chain --speed 0
check "chain: to its end" wait_until 60 is_streamed chain
json_is "chain: the base is what is left" \
	'[e["filename"] for e in d["backing-chain"]] == ["'"$SCRATCH"'/base.img"]' \
	qedctl status --json chain
same "chain: as it is already" "$(qedctl stream chain --base base.img --wait; echo $?)" \
	$'chain: nothing to stream: the base is the backing file already\n0'
rm middle.qed
streamed_out chain
rm base.img
use_end chain
removed chain chain.qed
same "chain: bytes of the middle are there" "$(qed-io -f qed -c 'read -P 7 90M 1M' chain.qed |
	grep -c '^read 1048576/1048576')" 1

# ---- A cancelled stream is not resumed ----
require "cancelled: a device" qedctl create cancelled cancelled.qed --backing golden.copy \
	--backing-format raw --stream --speed 90K
check "cancelled: it is" qedctl stream cancelled --cancel
kill_stream_server cancelled
recover_stream cancelled
same "cancelled: still" "$(status_of cancelled stream)" ""
check "cancelled: removed" qedctl remove cancelled --retry

# ---- A trace, and prefetch from it ----
mv golden.copy golden.img
require "trace: a device" qedctl create trace trace.qed --backing golden.img --backing-format raw
check "trace: started" qedctl trace trace start first.trace
exits=4 expect_line "trace: once at a time" \
	"trace trace: a trace is recorded already, to $SCRATCH/first.trace" \
	qedctl trace trace start second.trace
dd if=/dev/mapper/trace of=/dev/null bs=64k skip=100 count=2 iflag=direct status=none
dd if=/dev/mapper/trace of=/dev/null bs=4k skip=160 count=1 iflag=direct status=none
check "trace: stopped" qedctl trace trace stop
check "trace: what was read first, in order" eval "sed 's/ .*//' first.trace | grep -n -e '^6553600\$' \
	-e '^655360\$' | cut -d: -f2 | tr '\n' ' ' | grep -q '6553600 655360'"
qedctl remove trace --retry
rm trace.qed
expect_line "prefetch: no trace" "" qedctl create trace trace.qed --backing golden.img \
	--backing-format raw --prefetch sums
check "prefetch: nothing was made" test ! -e trace.qed
check "prefetch: a device" qedctl create trace trace.qed --backing golden.img --backing-format raw \
	--prefetch first.trace --no-copy-on-read
check "prefetch: it is done" wait_until 20 is_streamed trace
check "prefetch: removed" qedctl remove trace --retry
same "prefetch: what the trace lists is in the image" "$(qed-io -f qed -c 'alloc 6553600 128k' \
	-c 'alloc 655360 4k' -c 'alloc 20M 64k' trace.qed | sed 's/ .*//' | tr '\n' ' ')" \
	"131072/131072 4096/4096 0/65536 "
json_verdicts
finish
