# SPDX-License-Identifier: GPL-2.0
# A file system's life on a device; sourced after lib.sh and device_lib.sh. The script that calls
# fs_life defines fs_check DEVICE, which must change nothing and fail if anything is wrong.

# data_mib IMAGE: MiB that QEMU sees allocated as data in the image itself.
data_mib() {
	qemu-img map --output=json -f qed "$1" | python3 -c '
import json, sys
print(sum(e["length"] for e in json.load(sys.stdin) if e["data"] and not e["depth"]) >> 20)'
}

disk_mib() {
	echo $(($(stat -c %b "$1") >> 11))
}

# fs_fill DIR: make small and large files, one of zeroes, one with a hole; checksums in ./sums.
fs_fill() {
	local i
	mkdir "$1/small" && cp -r "$REPO/userspace" "$REPO/tests" "$1/small" || return 1
	for i in {1..4}; do
		head -c 8M /dev/urandom >"$1/large$i" || return 1
	done
	head -c 16M /dev/zero >"$1/zeroes" && truncate -s 64M "$1/hole" &&
		echo end >>"$1/hole" || return 1
	(cd "$1" && find . -type f -exec cksum {} +) >sums && sync -f "$1"
}

# Called after a mount, so that the data comes from the device.
fs_same_sums() {
	(cd "$1" && find . -type f -exec cksum {} +) >sums.now && cmp sums sums.now
}

# fs_life MKFS...: the device's name is appended to the command. The script has set fs_size_mib, the
# device's size, and fs_rest_mib, what may stay allocated when most files are deleted.
fs_life() {
	local dev=/dev/mapper/vm1 mnt=$SCRATCH/mnt
	cd "$SCRATCH" && mkdir mnt || exit 1
	at_exit umount "$mnt"
	require "create" qedctl create vm1 vm1.qed --size "${fs_size_mib}M" --queues 2

	check "blkdiscard -z of the new device" blkdiscard -z $dev
	check "its zeroes take no space" test "$(disk_mib vm1.qed)" -le 1
	require "mkfs" "$@" $dev
	require "mount" mount $dev "$mnt"
	check "fill" fs_fill "$mnt"
	check "unmount" umount "$mnt"
	check "fsck finds nothing" fs_check $dev
	check "mount again" mount $dev "$mnt"
	check "all files are right" fs_same_sums "$mnt"

	check "delete most" rm -rf "$mnt"/large[123] "$mnt/zeroes" "$mnt/hole" "$mnt/small/tests"
	(cd "$mnt" && find . -type f -exec cksum {} +) >sums
	# A file system discards blocks only once their deletion is committed to its journal.
	sync -f "$mnt"
	check "fstrim" fstrim -v "$mnt"
	check "unmount then" umount "$mnt"
	check "fsck finds nothing then" fs_check $dev
	check "remove" qedctl remove vm1
	check "qemu-img check" qemu-img check -f qed vm1.qed
	# The rest: a file of 8 MiB, some sources, and file system metadata.
	check "deleted data is gone from the image" test "$(data_mib vm1.qed)" -le "$fs_rest_mib"
	check "and from the disk below" test "$(disk_mib vm1.qed)" -le $((fs_rest_mib + 2))

	require "create again" qedctl create vm1 vm1.qed
	check "mount it" mount $dev "$mnt"
	check "what was kept is right" fs_same_sums "$mnt"
	check "unmount it" umount "$mnt"
	check "blkdiscard -z over data" blkdiscard -z $dev
	check "it reads as zeroes" cmp -n $((128 << 20)) $dev /dev/zero
	check "blkdiscard" blkdiscard $dev
	check "remove at the end" qedctl remove vm1
	check "qemu-img check at the end" qemu-img check -f qed vm1.qed
	same "no data is left in the image" "$(data_mib vm1.qed)" 0
	check "nor on the disk below" test "$(disk_mib vm1.qed)" -le 1
}
