#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
# A server that receives SIGTERM while its device is in use goes on. At the second one it ends
# cleanly under load, and data whose flush was acknowledged is in the image: QEMU reads it back.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1
seed=${SEED:-$RANDOM}
echo "# seed $seed"
RANDOM=$seed

# Blocks of 4 KiB, filled with 1, with 2, and so on to 255.
LC_ALL=C awk 'BEGIN { for (byte = 1; byte < 256; byte++) {
	block = sprintf("%c", byte)
	while (length(block) < 4096)
		block = block block
	printf "%s", block
} }' >blocks

# Write a block and flush, repeatedly; record only what was acknowledged.
write_and_flush() {
	local n=0 byte place
	while :; do
		n=$((n + 1)) byte=$((RANDOM % 255 + 1)) place=$((n * 37 % 8000))
		dd if=blocks of=$dev bs=4k count=1 skip=$((byte - 1)) seek=$place oflag=direct \
			conv=notrunc,fsync status=none 2>/dev/null || return
		echo "$place $byte" >>"$1"
	done
}

# run NAME OPTIONS...
run() {
	local name=$1 pid writer noise before
	shift
	: >flushed
	require "$name: create" qedctl create vm1 vm1.qed --size 128M --depth 64 "$@"
	pid=$(status_of vm1 pid)
	write_and_flush flushed &
	writer=$!
	# Other writers write all the time and never flush.
	fio --name=n --filename=$dev --direct=1 --ioengine=io_uring --iodepth=16 --rw=randwrite \
		--bs=4k-128k --offset=64M --size=64M --time_based --runtime=100 --output=/dev/null \
		>/dev/null 2>&1 &
	noise=$!
	check "$name: some writes are flushed" wait_until 40 eval 'test "$(wc -l <flushed)" -ge 15'
	kill -TERM "$pid"
	sleep 2
	before=$(wc -l <flushed)
	check "$name: SIGTERM does not stop it while it is in use" \
		wait_until 40 eval 'test "$(wc -l <flushed)" -gt $((before + 5))'
	check "$name: no write has failed" kill -0 $writer
	kill -TERM "$pid"
	check "$name: the second one does: the server ends" wait_until 40 test ! -e "/proc/$pid"
	wait $writer
	kill $noise 2>/dev/null
	# fio does not always survive the removal of its device; its status is ignored.
	wait $noise 2>/dev/null
	same "$name: it leaves what recover needs" "$(ls /run/qedblk)" vm1.json
	same "$name: as ls shows" "$(qedctl ls | awk 'NR == 2 { print $NF }')" dead
	mv vm1.qed away.qed
	exits=3 expect_line "$name: recover makes no new image" \
		"recover vm1: $SCRATCH/vm1.qed: No such file or directory" qedctl recover vm1
	mv away.qed vm1.qed
	check "$name: recover brings the device back" qedctl recover vm1
	same "$name: with its options" "$(status_of vm1 depth)" 64
	check "$name: it can be read" dd if=$dev of=/dev/null bs=1M iflag=direct
	check "$name: and written" dd if=/dev/zero of=$dev bs=1M count=1 seek=127 oflag=direct
	check "$name: remove" qedctl remove vm1
	only_these "$name: nothing is left"
	check "$name: qemu-img check" qemu-img check -f qed vm1.qed
	awk '{ last[$1] = $2 } END { for (p in last)
		printf "read -q -P %d %d 4096\n", last[p], p * 4096 }' flushed >commands
	check "$name: QEMU reads each of them" eval \
		'qemu-io -f qed vm1.qed <commands >seen 2>&1 && ! grep -iE "failed|error" seen'
	rm -f vm1.qed
}

run "no backing"
head -c 128M /dev/urandom >golden.img
run "backing" --backing golden.img
finish
