#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
# A device in use while it is streamed from a compressed qcow2 image and from an NBD export: its
# server killed in between and recovered, the stream completed, the source removed. And a source
# that fails.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"
. "$vm_dir/stream_lib.sh"

cd "$SCRATCH" || exit 1
at_exit eval 'kill -KILL $(cat "$SCRATCH"/*.pid)'

# stream_from NAME SOURCE FORMAT: stream to the end; `unsource` removes the source.
stream_from() {
	require "$1: a device" qedctl create "$1" "$1.qed" --backing "$2" --backing-format "$3" \
		--queues 2 --stream --speed 100K
	use_begin "$1"
	kill_and_recover "$1"
	streamed_out "$1"
	check "$1: the source is taken away" unsource
	use_end "$1"
	removed "$1" "$1.qed"
}

make_golden golden.img 8

# ---- qcow2 ----
require "a compressed qcow2 image" qemu-img convert -c -O qcow2 golden.img golden.qcow2
unsource() {
	rm golden.qcow2
}
stream_from qcow2 golden.qcow2 qcow2

# ---- NBD ----
command -v nbdkit >/dev/null || { skip "nbd" "nbdkit is not installed"; json_verdicts; finish; }
unsource() {
	kill -KILL "$(cat nbd.pid)" && rm nbd.pid
}
require "nbd: a server" nbdkit -r -U "$SCRATCH/nbd.sock" -P "$SCRATCH/nbd.pid" file golden.img
stream_from nbd "nbd+unix:///?socket=$SCRATCH/nbd.sock" nbd

# ---- Half of all reads fail while the file `inject` exists ----
require "bad: a server" nbdkit -r -U "$SCRATCH/bad.sock" -P "$SCRATCH/bad.pid" --filter=error \
	file golden.img error-pread-rate=50% error-file="$SCRATCH/inject"
create_bad=(qedctl create bad bad.qed --backing "nbd+unix:///?socket=$SCRATCH/bad.sock"
	--backing-format nbd --stream --speed 1M)
require "bad: a device" "${create_bad[@]}"
check "bad: removed at once" qedctl remove bad --retry
require "bad: created again, with the same words" "${create_bad[@]}"
touch inject
check "bad: errors are counted" wait_until 60 eval '[ "$(stream_of bad errors)" -gt 2 ]'
rm inject
qedctl stream bad --resume
check "bad: it ends when the source is well again" qedctl stream bad --speed 0 --wait
removed bad bad.qed
check "bad: nothing wrong was written" qemu-img compare -f raw -F qed golden.img bad.qed
json_verdicts
finish
