#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
# A device in use while it is streamed, from a raw file and from a QED image over one: the server
# killed in the middle, the stream taken up again, ended; the golden image deleted; all verified.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/device_lib.sh"

cd "$SCRATCH" || exit 1

# The stream of device $1: member $2 (a word of status).
stream_of() {
	qedctl status "$1" | awk -v key="stream.$2" '$1 == key { print $2 }'
}

is_streamed() {
	[ "$(stream_of "$1" state)" = done ]
}

# ---- A golden image: a file system with files, and holes ----
mkdir files
for i in $(seq 12); do
	head -c $((RANDOM * 40 + i)) /dev/urandom >files/$i
done
head -c 8M /dev/zero >files/zeroes
(cd files && sha256sum *) >sums
truncate -s 96M golden.img
require "a golden image" mkfs.ext4 -q -d files golden.img
cp --sparse=always golden.img golden.copy

# in_use NAME: mounted, read and written to; what is written is remembered.
in_use() {
	mkdir -p mnt
	check "$1: it is mounted" mount "/dev/mapper/$1" mnt
	check "$1: the first files are right" eval 'head -n 4 sums | (cd mnt && sha256sum -c --quiet)'
	for i in $(seq 6); do
		head -c $((RANDOM * 20)) /dev/urandom >mnt/new$i
		rm -f mnt/$i
		sync -f mnt
	done
	(cd mnt && sha256sum new*) >"$1.sums"
	(cd mnt && sha256sum [0-9]* zeroes) >>"$1.sums"
}

verify() {
	check "$1: every file is right" eval '(cd mnt && sha256sum -c --quiet) <"$SCRATCH/'"$1"'.sums"'
}

# streamed_out NAME IMAGE: the end of a stream, and what the image is then.
streamed_out() {
	check "$1: the stream ends, with progress" eval \
		"qedctl stream $1 --speed 0 -p | tr '\r' '\n' | grep -q '(100.00/100%)'"
	same "$1: nothing is left" "$(stream_of "$1" clusters.left)" 0
	json_is "$1: no backing chain" 'd["backing-chain"] == []' qedctl status --json "$1"
	verify "$1"
	check "$1: it is unmounted" umount mnt
	check "$1: removed" qedctl remove "$1" --retry
	check "$1: no backing file in the image" eval "! qed-img info $2 | grep -q backing"
	check "$1: QEMU finds nothing wrong" qemu-img check -q -f qed "$2"
}

# ---- From a raw file ----
require "raw: a device" qedctl create raw raw.qed --backing golden.img --backing-format raw \
	--stream --speed 100K
in_use raw
same "raw: it streams" "$(stream_of raw state)" running
pid=$(status_of raw pid)
check "raw: paused" qedctl stream raw --pause
check "raw: it says so" wait_until 5 eval '[ "$(stream_of raw state)" = paused ]'
check "raw: resumed" qedctl stream raw --resume
sync
umount mnt
before=$(stream_of raw source-bytes)
kill -KILL "$pid"
wait_until 10 eval '! kill -0 $pid'
qedctl remove raw --force
check "raw: created again, with the same words" qedctl create raw raw.qed --backing golden.img \
	--backing-format raw --stream --speed 100K
check "raw: it is mounted again" mount /dev/mapper/raw mnt
verify raw
[ "$before" -gt 0 ] && ok "raw: something was streamed before" ||
	not_ok "raw: something was streamed before" "$before"
streamed_out raw raw.qed
check "the golden image is as it was" cmp golden.img golden.copy
rm golden.img
check "raw: the same words, without the golden image" qedctl create raw raw.qed \
	--backing golden.img --backing-format raw --stream
check "raw: mounted" mount /dev/mapper/raw mnt
verify raw
umount mnt
qedctl remove raw
# What is zero takes nothing: data clusters only for what the golden image or the guest had.
check "raw: it is sparse" eval '[ "$(qemu-img map --output=json -f qed raw.qed |
	grep -c "\"zero\": true")" -gt 0 ]'

# ---- From a QED image over a raw one, the latter to stay ----
cp --sparse=always golden.copy base.img
qed-img create -q -f qed -b base.img -F raw middle.qed
qed-io -f qed -c "write -P 7 90M 1M" middle.qed >/dev/null
require "chain: a device" qedctl create chain chain.qed --backing middle.qed --backing-format qed
in_use chain
expect_line "a base that is not there" "stream chain: nowhere.img: not in the backing chain" \
	qedctl stream chain --base nowhere.img
check "chain: streamed down to its base" qedctl stream chain --base base.img --wait
json_is "chain: the base is what is left" \
	'[e["filename"] for e in d["backing-chain"]] == ["'"$SCRATCH"'/base.img"]' \
	qedctl status --json chain
rm middle.qed
verify chain
streamed_out chain chain.qed
rm base.img
same "chain: bytes of the middle are there" "$(qed-io -f qed -c 'read -P 7 90M 1M' chain.qed |
	grep -c '^read 1048576/1048576')" 1

# ---- A trace, and fetching by it ----
mv golden.copy golden.img
require "trace: a device" qedctl create trace trace.qed --backing golden.img --backing-format raw
check "trace: started" qedctl trace trace start first.trace
expect_line "trace: once at a time" \
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
