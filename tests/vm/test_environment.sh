#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The guest itself: everything that the other tests depend on exists and works.
. "$(dirname "$0")/lib.sh"

require "ublk control device" test -c /dev/ublk-control
require "device-mapper control device" test -c /dev/mapper/control
check "this guest counts as one with ublk and device-mapper" "$REPO/scripts/have-ublk-dm"
check "two processors" test "$(nproc)" -ge 2

image=$SCRATCH/disk
truncate -s 64M "$image"
require "loop device with direct I/O on the scratch disk" \
	losetup --direct-io=on --find --show "$image"
loop=$(cat "$SCRATCH/.out")
at_exit losetup -d "$loop"

at_exit dmsetup remove --retry t-env
check "linear mapping" dmsetup create t-env --noudevsync --table "0 131072 linear $loop 0"
check "its node" dmsetup mknodes t-env
check "fio with verify through the mapping" fio --name=t --filename=/dev/mapper/t-env --rw=randwrite \
	--bs=4k --size=8M --direct=1 --ioengine=io_uring --iodepth=8 --verify=crc32c

for fs in ext4 xfs; do
	mnt=$SCRATCH/mnt-$fs
	mkdir "$mnt"
	at_exit umount "$mnt"
	case $fs in
	ext4) check "mkfs.ext4" mkfs.ext4 -q -F /dev/mapper/t-env ;;
	# Newer mkfs.xfs refuses less than 300 MiB, so it gets its own file.
	xfs) truncate -s 400M "$SCRATCH/xfs" && check "mkfs.xfs" mkfs.xfs -q -f "$SCRATCH/xfs" ;;
	esac
	case $fs in
	ext4) check "mount ext4" mount /dev/mapper/t-env "$mnt" ;;
	xfs) check "mount xfs" mount -o loop "$SCRATCH/xfs" "$mnt" ;;
	esac
	check "$fs takes a file" dd if=/dev/urandom of="$mnt/file" bs=64k count=16 conv=fsync
	check "umount $fs" umount "$mnt"
done

check "O_DIRECT write on the scratch disk" \
	dd if=/dev/zero of="$SCRATCH/direct" bs=4k count=16 oflag=direct
check "O_DIRECT read on the scratch disk" dd if="$SCRATCH/direct" of=/dev/null bs=512 iflag=direct
truncate -s 16M "$SCRATCH/hole" && dd if=/dev/zero of="$SCRATCH/hole" bs=1M count=16 conv=notrunc,fsync 2>/dev/null
check "punch a hole on the scratch disk" fallocate -p -o 0 -l 16M "$SCRATCH/hole"
same "the hole has no blocks" "$(stat -c %b "$SCRATCH/hole")" 0
finish
