#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
# SIGKILL at random times under load, and `qedctl recover`, repeatedly: fio writes, trims, flushes
# and verifies; files are copied; no request fails, and no data differs. QEDBLK_RECOVER_KILLS=N
# kills N times, by hand.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
. "$vm_dir/load_lib.sh"
dev=/dev/mapper/vm1
kills=${QEDBLK_RECOVER_KILLS:-26}

# Separate regions: one job must not trim what another verifies. The kernel repeats a request whose
# server was killed, and the order within a job holds.
cat >job <<-END
	[global]
	filename=$dev
	direct=1
	ioengine=io_uring
	iodepth=16
	randseed=$seed
	verify_fatal=1

	[mixed]
	rw=randrw
	rwmixread=30
	bsrange=512-128k
	size=16M
	io_size=1M
	verify=crc32c
	verify_backlog=32

	[flushed]
	rw=randwrite
	bs=4k
	offset=16M
	size=24M
	io_size=512k
	fdatasync=16
	verify=crc32c

	# Each block is trimmed, then written.
	[trimmed]
	rw=randtrimwrite
	bs=64k
	offset=40M
	size=16M
	io_size=2M
	verify=crc32c

	[trims]
	rw=randtrimwrite
	bs=16k
	offset=56M
	size=8M
	io_size=1M
END

# Copy files through the page cache, sync, drop the cache, compare.
copy_files() {
	local i
	for ((i = 0; ; i++)); do
		[ -e enough ] && return
		cp data mnt/"$i" && sync -f mnt && echo 3 >/proc/sys/vm/drop_caches &&
			cmp data mnt/"$i" && rm -f mnt/$((i - 1)) && fstrim mnt || return 1
	done
}

kill_again_and_again() {
	local i
	for ((i = 0; i < kills; i++)); do
		a_while
		kill_and_recover_all || return 1
	done
}

# A third data, a third written zeroes, a third hole.
head -c 24M /dev/urandom >golden.img
head -c 24M /dev/zero >>golden.img
truncate -s 72M golden.img
head -c 3M /dev/urandom >data
require "create" qedctl create vm1 vm1.qed --backing golden.img --backing-format raw --queues 2 \
	--depth 32
require "create another" qedctl create vm2 vm2.qed --size 64M
mkdir mnt
at_exit umount "$SCRATCH/mnt"
require "a file system" eval "mkfs.ext4 -q /dev/mapper/vm2 && mount /dev/mapper/vm2 mnt"

load fio fio_rounds
load copy copy_files
check "servers of both killed, and recovered, $kills times" kill_again_and_again
touch enough
load_ended fio "fio verified all, with no error"
load_ended copy "files are as they were copied"
no_errors vm1 vm2
umount mnt
check "e2fsck finds nothing" e2fsck -fn /dev/mapper/vm2
dd if=$dev of=seen bs=1M iflag=direct status=none
check "remove" qedctl remove vm1 vm2
check "qemu-img check" eval "qemu-img check -f qed vm1.qed && qemu-img check -f qed vm2.qed"
check "QEMU reads what the device showed" qemu-img compare -f qed -F raw vm1.qed seen
finish
