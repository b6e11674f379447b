#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
# The old contents of a block device do not show in an image written to it: loop devices of both
# sector sizes, dm-linear above each, and a device without a command to write zeroes.
. "$(dirname "$0")/lib.sh"

cd "$SCRATCH" || exit 1

# Make unaligned data with zeroes between, longer than the device's blocks.
make_sources() {
	for at in 0 71 137 2048 4099 6146; do
		head -c 700 /dev/urandom | dd of=src.raw bs=512 seek=$at conv=notrunc status=none
	done
	truncate -s $((6148 * 512)) src.raw
	qed-img create -q -f qed base.qed 2M &&
		qed-img create -q -f qed -b base.qed -F qed over.qed 3M &&
		qed-io -f qed -c 'write -q -P 5 1M 64k' base.qed &&
		qed-io -f qed -c 'write -q -z 0 512k' -c 'write -q -P 6 2560k 512' over.qed &&
		qed-img convert -f qed -O raw over.qed over.raw &&
		head -c 8M /dev/zero | tr '\0' '\377' >old
}

# refill DEVICE: overwrite all of it with other bytes.
refill() {
	dd if=old of="$1" bs=1M conv=fsync,nocreat oflag=direct status=none
}

# holds DEVICE FILE: it has FILE's bytes, then the old ones.  Read the disk, not only the page
# cache.
holds() {
	local bytes
	bytes=$(stat -c %s "$2")
	blockdev --flushbufs "$1" && cmp -n "$bytes" "$1" "$2" &&
		cmp -i "$bytes" "$1" old
}

copied() {
	local dev=$1 want=$2
	shift 2
	refill "$dev" && qed-img "$@" && holds "$dev" "$want"
}

created() {
	head -c 512 /dev/zero >sector && refill "$1" && qed-img create -q -f raw "$1" 1M &&
		holds "$1" sector
}

try_device() {
	local kind=$1 dev=$2 flags
	check "$kind: create clears the first sector" created "$dev"
	for flags in "" "-n -W -t none"; do
		# shellcheck disable=SC2086
		check "$kind: convert $flags" \
			copied "$dev" src.raw convert $flags -f raw -O raw src.raw "$dev"
	done
	check "$kind: convert of a chain" \
		copied "$dev" over.raw convert -t none -f qed -O raw over.qed "$dev"
	check "$kind: dd" copied "$dev" src.raw dd -f raw bs=1000 if=src.raw "of=$dev"
}

loop_of() {
	truncate -s 8M "disk$1" && losetup --find --show --sector-size "$1" "disk$1"
}

require "sources" make_sources
for sector in 512 4096; do
	loop=$(loop_of $sector) || { not_ok "loop of $sector"; continue; }
	at_exit losetup -d "$loop"
	try_device "loop of $sector" "$loop"
	# In two parts, with the second one before the first on the disk.
	linear="0 8192 linear $loop 8192
8192 8192 linear $loop 0"
	require "dm-linear above it" dmsetup create --noudevsync "linear$sector" --table "$linear"
	at_exit dmsetup remove --noudevsync --retry "linear$sector"
	check "its node" dmsetup mknodes "linear$sector"
	try_device "dm-linear above a loop of $sector" "/dev/mapper/linear$sector"
done

if modprobe brd rd_nr=1 rd_size=8192 2>/dev/null && [ -b /dev/ram0 ]; then
	at_exit modprobe -r brd
	try_device "ram disk" /dev/ram0
else
	skip "ram disk" "the kernel has no brd"
fi
finish
