#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 200
# The device-mapper target `qed` on lower devices that take no write-zeroes: those that say so,
# and one that refuses when it is asked.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"
. "$vm_dir/dm_qed_lib.sh"

cd "$SCRATCH" || exit 1
t=/dev/mapper/t
sectors=131072
require "an image is served" qedctl create vm1 vm1.qed --size 64M --no-dm
ublk=$(status_of vm1 ublk-device)

# ---- A lower device without write-zeroes ----
modprobe dm-delay
require "a lower device without write-zeroes" dm_new lower "0 $sectors delay $ublk 0 0"
require "on it" dm_new t "0 $sectors qed /dev/mapper/lower 3 detect_zeroes unmap known_zero"
same "the status says so" "$(qed_status lower)" none
check "zeroes" dd if=/dev/zero of=$t bs=1M count=2 oflag=direct status=none
same "are written as they are" "$(qed_status scanned converted write-sectors)" "0 0 4096"
check "write-zeroes, which the kernel does by writes" blkdiscard -z -l $((1 << 20)) $t
check "all is zero" eval "dd if=$t bs=1M count=4 iflag=direct status=none |
	cmp -n $((4 << 20)) - /dev/zero"
dmsetup remove t
dmsetup remove lower
check "remove then" qedctl remove vm1

# ---- One that refuses when it is asked ----
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
modprobe sd_mod
require "a SCSI disk" modprobe scsi_debug dev_size_mb=32 opt_xferlen_exp=7
at_exit rmmod scsi_debug
require "it appears" wait_until 20 eval \
	'disk=$(ls /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block 2>/dev/null) && test -b "/dev/$disk"'
disk=$(ls /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block)
errors=$(ls -d /sys/kernel/debug/scsi_debug/*/error)
# Invalid opcode for WRITE SAME(10) and (16), from the second on.
refuse() {
	local opcode
	for opcode in 0x41 0x93; do
		echo "2 -1000 $opcode 0x0 0x0 0x2 0x5 0x20 0x0" >"$errors" || return 1
	done
}
require "the target on it" dm_new t "0 65536 qed /dev/$disk 3 detect_zeroes on known_zero"
same "it promises write-zeroes" "$(qed_status lower)" ok
check "random data" dd if=/dev/urandom of=$t bs=1M count=8 oflag=direct status=none
check "zeroes" dd if=/dev/zero of=$t bs=1M count=1 oflag=direct status=none
same "it takes them" "$(qed_status converted fallback known)" "1 0 16/512"
event=$(dmsetup info -c --noheadings -o events t)
require "from now on it refuses" refuse
check "zeroes are written all the same" dd if=/dev/zero of=$t bs=1M count=2 seek=1 oflag=direct \
	status=none
same "as a write, of which nothing is known" "$(qed_status fallback known lower)" \
	"1 16/512 refused"
same "that is an event" "$(dmsetup info -c --noheadings -o events t)" $((event + 1))
dmsetup message t 0 forget
check "they are there" eval "dd if=$t bs=1M count=3 iflag=direct status=none |
	cmp -n $((3 << 20)) - /dev/zero"
check "what follows is data" expect_fail "not zero" eval \
	"dd if=$t bs=1M skip=3 count=1 iflag=direct status=none | cmp -n $((1 << 20)) - /dev/zero"
dmsetup remove t
check "the module goes" rmmod dm-qed
finish
