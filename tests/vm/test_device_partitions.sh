#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# vm: --udev
# newer: yes
# timeout: 120
# An image with partitions: below a mapping the ublk device has none, and the mapping holds it.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
lower=/dev/ublkb0
# Two partitions of Linux, at 1 MiB and 4 MiB, of 2 MiB.
truncate -s 8M disk.raw
{
	printf '\0\0\0\0\x83\0\0\0\0\x08\0\0\0\x10\0\0'
	printf '\0\0\0\0\x83\0\0\0\0\x20\0\0\0\x10\0\0'
} | dd of=disk.raw bs=1 seek=446 conv=notrunc status=none
printf '\x55\xaa' | dd of=disk.raw bs=1 seek=510 conv=notrunc status=none

partitions() {
	udevadm settle
	echo /sys/block/ublkb0/*/partition /dev/ublkb0p*
}
none="/sys/block/ublkb0/*/partition /dev/ublkb0p*"

require "create" qedctl create vm1 disk.raw --format raw
same "no partition below the mapping" "$(partitions)" "$none"
expect_fail "the lower device cannot be mounted, nor opened for one user" \
	perl -MFcntl -e "sysopen(F, '$lower', O_RDONLY | O_EXCL) or exit 1"
blockdev --rereadpt $lower 2>/dev/null
# Opened for writing and closed: udev has the table read again.
dd if=$lower bs=512 count=1 status=none | dd of=$lower bs=512 count=1 conv=notrunc status=none
same "its table is not read again" "$(partitions)" "$none"
kill_server vm1
check "recover" qedctl recover vm1
same "no partition after it" "$(partitions)" "$none"
kill -TERM "$(server_pid vm1)"
sleep 1.5
kill -TERM "$(server_pid vm1)"
check "ended in order" wait_until 20 test ! -e /run/qedblk/vm1.lock
check "recover after that" qedctl recover vm1
same "no partition after that" "$(partitions)" "$none"
check "remove" qedctl remove --retry vm1

require "without a mapping" qedctl create vm1 disk.raw --format raw --no-dm
same "there are partitions" "$(partitions)" "/sys/block/ublkb0/ublkb0p1/partition \
/sys/block/ublkb0/ublkb0p2/partition /dev/ublkb0p1 /dev/ublkb0p2"
check "remove of that" qedctl remove --retry vm1
only_these "nothing is left"
finish
