#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 400
# The target `qed` under load, with all its features: fio verifies what it wrote, partly zeroes, on
# several queues, while tables are swapped; then file systems.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"
. "$vm_dir/dm_qed_lib.sh"

cd "$SCRATCH" || exit 1
. "$vm_dir/load_lib.sh"
dev=/dev/mapper/vm1
seconds=${QEDBLK_LOAD_SECONDS:-60}

# fio verifies a pattern of zeroes, too: those writes are converted.
cat >job <<-END
	[global]
	filename=$dev
	direct=1
	ioengine=io_uring
	iodepth=16
	randseed=$seed
	time_based
	runtime=$seconds

	[mixed]
	rw=randrw
	rwmixread=40
	bsrange=4k-512k
	size=32M
	verify=crc32c
	verify_backlog=32

	[zeroes]
	rw=randwrite
	bsrange=32k-1M
	blockalign=4k
	offset=32M
	size=32M
	verify=pattern
	verify_pattern=0x00
	verify_backlog=16

	[durable]
	rw=randwrite
	bs=64k
	sync=dsync
	iodepth=1
	offset=64M
	size=8M
	verify=pattern
	verify_pattern=0x00
	verify_backlog=16

	[small]
	rw=randwrite
	bs=4k
	offset=72M
	size=8M
	verify=crc32c
	verify_backlog=64
END

# Do write-zeroes and discards in a region of their own, and send tables and messages to all
# devices.
disturb() {
	local i
	for ((i = 0; ; i++)); do
		[ ! -e enough ] || return 0
		blkdiscard -z -o $(((80 << 20) + (i % 7) * 1000 * 4096)) -l $((3 << 20)) $dev &&
			blkdiscard -o $(((80 << 20) + (i % 5) * 300 * 4096)) -l $((2 << 20)) $dev || return 1
		case $((i % 4)) in
		0) qedctl suspend vm1 && qedctl resume vm1 ;;
		1) qedctl reload vm1 --detect-zeroes on ;;
		2) qedctl message vm1 detect_zeroes unmap ;;
		3) qedctl message vm1 forget ;;
		esac || return 1
	done
}

run_fio() {
	local status
	load disturb disturb
	within $((seconds + 150)) fio --output=fio.out --output-format=normal job
	status=$?
	kill -0 "${load_pids[disturb]}" || status=1
	touch enough
	wait "${load_pids[disturb]}" || { echo "the disturber failed: $(cat disturb.log)" && status=1; }
	[ $status -eq 0 ] || fio_complaints fio.out
	return $status
}

require "create" qedctl create vm1 vm1.qed --size 112M --queues 4 --depth 32 --detect-zeroes on \
	--known-zero
check "fio verifies for $seconds s" run_fio
check "writes were converted" test "$(stat_of vm1 zero_ops)" -gt 20
check "reads were answered" eval "blkdiscard -z -o $((32 << 20)) -l $((8 << 20)) $dev &&
	dd if=$dev bs=1M skip=32 count=8 iflag=direct status=none | cmp -n $((8 << 20)) - /dev/zero &&
	test $(status_of vm1 target.answered-sectors) -lt \$(status_of vm1 target.answered-sectors)"
no_errors vm1
dd if=$dev of=seen bs=1M iflag=direct status=none
check "remove" qedctl remove vm1
check "the image is whole" qemu-img check -q -f qed vm1.qed
check "QEMU reads what the device showed" qemu-img compare -f qed -F raw vm1.qed seen
rm -f seen vm1.qed

# ---- File systems ----
mkdir mnt
at_exit umount "$SCRATCH/mnt"
# fs NAME FSCK MKFS...
fs() {
	local name=$1 fsck=$2
	shift 2
	require "$name: create" qedctl create vm1 vm1.qed --size 320M --queues 2 --detect-zeroes unmap \
		--known-zero
	require "$name: mkfs" "$@" $dev
	require "$name: mount" mount $dev mnt
	check "$name: files, of zeroes too" eval "cp -r $REPO/userspace $REPO/kernel mnt &&
		head -c 8M /dev/urandom >mnt/random && head -c 24M /dev/zero >mnt/zeroes &&
		(cd mnt && find . -type f -exec cksum {} +) >sums && sync -f mnt"
	check "$name: some are deleted" eval "rm -r mnt/userspace && sync -f mnt && fstrim mnt"
	check "$name: unmount" umount mnt
	check "$name: fsck finds nothing" $fsck $dev
	check "$name: mount again" mount $dev mnt
	check "$name: the files are right" eval "(cd mnt && find . -type f -exec cksum {} +) |
		sort >now && grep -v ' ./userspace/' sums | sort | cmp - now"
	check "$name: writes were converted" test "$(status_of vm1 target.converted-bios)" -gt 0
	check "$name: unmount at the end" umount mnt
	check "$name: remove" qedctl remove vm1
	check "$name: the image is whole" qemu-img check -q -f qed vm1.qed
	check "$name: zeroes took no space" test "$(stat -c %b vm1.qed)" -lt $((32 << 11))
	rm vm1.qed
}
fs ext4 "e2fsck -fn" mkfs.ext4 -q
fs xfs "xfs_repair -n" mkfs.xfs -q
check "the module goes" rmmod dm-qed
finish
