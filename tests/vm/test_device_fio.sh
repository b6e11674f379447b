#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
# fio over /dev/mapper, with verification: random reads and writes, trims and write-zeroes, several
# queues, 32 requests in flight in each; without and with a backing file.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1

# Separate regions for the jobs that fio verifies and for those that only add load.
write_job() {
	cat >job <<-END
		[global]
		filename=$dev
		direct=1
		ioengine=io_uring
		iodepth=32
		group_reporting=0
		randseed=$1

		[random-a]
		rw=randrw
		rwmixread=30
		bsrange=512-128k
			offset=0
		size=24M
		io_size=6M
		verify=crc32c
		verify_backlog=64

		[random-b]
		rw=randwrite
		bs=4k
		offset=24M
		size=24M
		io_size=3M
		fdatasync=32
		verify=crc32c

		[trims]
		rw=randtrimwrite
		bs=64k
		offset=48M
		size=24M
		io_size=12M

		[sequential]
		rw=write
		bs=256k
		offset=72M
		size=12M
		verify=crc32c
	END
}

# While fio runs, do write-zeroes with and without permission to unmap, and discards, of whole
# clusters and parts.
write_zeroes() {
	local i start length
	for i in {1..15}; do
		start=$(((RANDOM % 3000) * 4096 + (84 << 20)))
		length=$(((RANDOM % 64 + 1) * 4096))
		case $((i % 3)) in
		0) blkdiscard -z -o $start -l $length $dev ;;
		1) fallocate -p -o $start -l $length $dev ;;
		2) blkdiscard -o $start -l $length $dev ;;
		esac || return 1
	done
}

run_fio() {
	local seed=$RANDOM
	echo "fio's seed: $seed"
	write_job $seed
	write_zeroes &
	within 200 fio --output=fio.out --output-format=normal job || { cat fio.out; return 1; }
	wait $! || { echo "write-zeroes or discard failed"; return 1; }
}

judge() {
	check "$1: no request failed" test "$(stat_of vm1 errors)" = 0
	check "$1: discards and write-zeroes came through" eval \
		"qedctl stats vm1 | awk '\$1 ~ /^(discard|zero)_ops\$/ && \$2 > 0 { n++ } END { exit n != 2 }'"
	dd if=$dev of=seen bs=1M iflag=direct status=none
	check "$1: remove" qedctl remove vm1
	check "$1: qemu-img check" qemu-img check -f qed vm1.qed
	check "$1: QEMU reads what the device showed" qemu-img compare -f qed -F raw vm1.qed seen
	rm -f seen
}

require "no backing: create" qedctl create vm1 vm1.qed --size 96M --queues 2 --depth 32
check "no backing: fio verifies" run_fio
judge "no backing"
rm -f vm1.qed

# A third data, a third written zeroes, a third holes; shorter than the image.
head -c 30M /dev/urandom >golden.img
head -c 30M /dev/zero >>golden.img
truncate -s 90M golden.img
require "backing: create" qedctl create vm1 vm1.qed --backing golden.img --size 96M --queues 4 \
	--depth 32
check "backing: unread, the image is small" test "$(stat -c %b vm1.qed)" -lt 2048
check "backing: fio verifies, with copy-on-read" run_fio
judge "backing"

rm -f vm1.qed
require "copy-on-read: create" qedctl create vm1 vm1.qed --backing golden.img --queues 2
check "copy-on-read: readers at odds read what is there" fio --name=r --filename=$dev --direct=1 \
	--ioengine=io_uring --iodepth=32 --numjobs=2 --rw=randread --bs=16k --size=90M --io_size=15M \
	--output=/dev/null
check "copy-on-read: end to end, the device is the golden image" cmp golden.img <(dd if=$dev bs=1M \
	iflag=direct status=none)
check "copy-on-read: remove" qedctl remove vm1
check "copy-on-read: only data takes space" test "$(stat -c %b vm1.qed)" -lt $((31 * 2048))
same "copy-on-read: nothing is left to be read from the golden image" \
	"$(qemu-img map --output=json -f qed vm1.qed | grep -c '"depth": 1')" 0
finish
