#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 480
# qedd alone, with raw images on ext4 (O_DIRECT) and tmpfs: limits, data, and the effects of FUA,
# write-zeroes and discard on the image.
. "$(dirname "$0")/lib.sh"

cd "$SCRATCH" || exit 1
modprobe ublk_drv
mkdir -p tmpfs && mount -t tmpfs tmpfs tmpfs && at_exit umount "$SCRATCH/tmpfs"
at_exit pkill -x qedd

# stat NAME: a counter of the server.
stat() {
	perl -MIO::Socket::UNIX -e '
		my $s = IO::Socket::UNIX->new("/run/qedblk/r.sock") or die;
		print $s "{\"execute\":\"stats\"}\n"; print <$s> =~ /"$ARGV[0]":(\d+)/, "\n"' "$1"
}

queue() {
	cat "/sys/block/${dev#/dev/}/queue/$1"
}

allocated() {
	du -B 1024 --apparent-size "$1" >/dev/null && du -B 1024 "$1" | cut -f 1
}

for where in . tmpfs; do
	image=$where/a.raw
	truncate -s 64M $image
	dev=$(qedd --name r --image $image --format raw --queues 2 --depth 32)
	same "$where: the path is printed when the device is live" "$dev" /dev/ublkb0
	require "$where: it is a block device" test -b "$dev"
	same "$where: size" "$(blockdev --getsize64 "$dev")" 67108864
	same "$where: queues" "$(ls "/sys/block/ublkb0/mq" | wc -l)" 2
	same "$where: a cache to be flushed, FUA, write-zeroes, discard" \
		"$(queue write_cache) $(queue fua) $(queue write_zeroes_max_bytes) $(queue discard_max_bytes)" \
		"write back 1 1073741824 1073741824"
	same "$where: block sizes" \
		"$(queue logical_block_size) $(queue physical_block_size) $(queue max_hw_sectors_kb)" \
		"512 4096 512"
	check "$where: what is written is what is read" fio --name=v --filename="$dev" --direct=1 \
		--ioengine=libaio --iodepth=32 --rw=randrw --bsrange=512-64k --bs_unaligned=0 \
		--blockalign=512 --size=16M --verify=crc32c --verify_fatal=1 --randseed=7 --minimal
	check "$where: large requests too" fio --name=l --filename="$dev" --direct=1 \
		--ioengine=libaio --iodepth=8 --rw=write --bs=2M --offset=16M --size=16M \
		--verify=crc32c --verify_fatal=1 --minimal
	sync "$dev"
	check "$where: and is in the image" cmp -n 33554432 "$dev" $image

	# The kernel marks O_DSYNC writes FUA; those must not take the path without a flush.
	before=$(stat direct_ops)
	dd if=/dev/zero of="$dev" bs=4k count=10 oflag=direct,dsync status=none
	same "$where: FUA is heard" $(($(stat direct_ops) - before)) 0
	before=$(stat direct_ops)
	dd if=/dev/zero of="$dev" bs=4k count=10 oflag=direct status=none
	same "$where: plain writes go straight to the file" $(($(stat direct_ops) - before)) 10

	dd if=/dev/urandom of="$dev" bs=1M count=8 seek=32 oflag=direct status=none
	full=$(allocated $image)
	check "$where: discard" blkdiscard -o 32M -l 4M "$dev"
	same "$where: discard gives back 4 MiB" $((full - $(allocated $image))) 4096
	check "$where: write-zeroes" blkdiscard -z -o 36M -l 4M "$dev"
	same "$where: write-zeroes without unmap keeps the space" $((full - $(allocated $image))) 4096
	check "$where: both read as zeroes" cmp -n 8388608 -i 33554432:0 "$dev" /dev/zero
	check "$where: write-zeroes with unmap" fallocate -p -o 36M -l 4M "$dev"
	same "$where: it gives the space back" $((full - $(allocated $image))) 8192

	check "$where: SIGTERM" stop_server r
	same "$where: nothing is left" "$(ls /sys/class/ublk-char /run/qedblk)" "$(
		echo /run/qedblk:
		echo
		echo /sys/class/ublk-char:
	)"
done

# ---- Options that the kernel shows ----
truncate -s 16M o.raw
dev=$(qedd --name r --image o.raw --format raw --read-only --queues 1 --depth 7 --cache writeback)
same "--read-only" "$(blockdev --getro "$dev")" 1
expect_fail "and cannot be written" dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct
same "--depth" "$(cat /sys/block/ublkb0/mq/0/nr_tags)" 7
check "it can be read" dd if="$dev" of=/dev/null bs=1M
stop_server r
dev=$(qedd --name r --image o.raw --format raw --discard ignore)
same "--discard ignore offers none" "$(queue discard_max_bytes)" 0
expect_fail "so there is none" blkdiscard "$dev"
stop_server r
dev=$(qedd --name r --image o.raw --format raw --depth 4096)
check "the deepest queue works" fio --name=v --filename="$dev" --direct=1 --ioengine=libaio \
	--iodepth=256 --rw=randwrite --bs=4k --size=8M --verify=crc32c --minimal
stop_server r
same "nothing is left at last" "$(ls /sys/class/ublk-char)" ""
finish
