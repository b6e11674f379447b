#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 200
# The device-mapper target `qed` on lower devices without write-zeroes: those that report it, and
# one that fails them at run time.
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

# ---- A zoned one, where the order of writes must be kept ----
modprobe null_blk nr_devices=1 gb=1 zoned=1 zone_size=64
at_exit rmmod null_blk
require "a zoned device" test "$(cat /sys/block/nullb0/queue/zoned)" = host-managed
expect_fail "is refused" dmsetup create t --table "0 $sectors qed /dev/nullb0 2 detect_zeroes on"
same "and nothing is left of it" "$(dmsetup ls | grep -c '^t\b')" 0

# ---- One that fails write-zeroes at run time ----
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
modprobe sd_mod
# scsi_disk WORD...: a disk in memory; set disk to its name.
scsi_disk() {
	modprobe scsi_debug dev_size_mb=32 "$@" && wait_until 20 eval \
		'disk=$(ls /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block) && test -b "/dev/$disk"'
}
at_exit rmmod scsi_debug
require "a SCSI disk" scsi_disk opt_xferlen_exp=7
errors=$(ls -d /sys/kernel/debug/scsi_debug/*/error)
# Fail WRITE SAME(10) and (16) with invalid opcode, from the second on.
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

# A command sent by an ioctl bypasses the map.
cat >sg_write.py <<-'END'
	import ctypes, fcntl, struct, sys
	SG_IO, SG_DXFER_TO_DEV = 0x2285, -2
	data = ctypes.create_string_buffer(b"x" * 512, 512)
	command = ctypes.create_string_buffer(struct.pack(">BBIBHB", 0x2A, 0, 0, 0, 1, 0), 10)
	header = struct.pack("@iiBBHIPPPIIiPBBBBHHiII4x", ord("S"), SG_DXFER_TO_DEV, 10, 0, 0, 512,
	                     ctypes.addressof(data), ctypes.addressof(command), 0, 10000, *[0] * 12)
	with open(sys.argv[1], "rb+", buffering=0) as disk:
	    fcntl.ioctl(disk, SG_IO, header)
END
expect_fail "SG_IO is not passed while there is a map" python3 sg_write.py $t
same "so what is known is true" "$(dd if=$t bs=512 count=1 iflag=direct status=none | cksum)" \
	"$(dd if="/dev/$disk" bs=512 count=1 iflag=direct status=none | cksum)"
event=$(dmsetup info -c --noheadings -o events t)
require "from now on it refuses" refuse
# The disk's bandwidth may be limited per cgroup.
group=/sys/fs/cgroup/writer
at_exit rmdir $group
require "a control group" eval 'mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup
	echo +io >/sys/fs/cgroup/cgroup.subtree_control && mkdir $group'
check "zeroes are written all the same" eval '(echo $BASHPID >$group/cgroup.procs &&
	exec dd if=/dev/zero of=$t bs=1M count=2 seek=1 oflag=direct status=none)'
number=$(cat "/sys/block/$disk/dev")
same "what is sent again is charged to that group, as what was refused" \
	"$(sed -n "s/^$number .*wbytes=\([0-9]*\).*/\1/p" $group/io.stat)" $((3 << 20))
same "as a write, of which nothing is known" "$(qed_status fallback known lower)" \
	"1 16/512 refused"
check "that is an event" wait_until 10 eval \
	'[ "$(dmsetup info -c --noheadings -o events t)" = $((event + 1)) ]'
dmsetup message t 0 forget
check "they are there" eval "dd if=$t bs=1M count=3 iflag=direct status=none |
	cmp -n $((3 << 20)) - /dev/zero"
check "what follows is data" expect_fail "not zero" eval \
	"dd if=$t bs=1M skip=3 count=1 iflag=direct status=none | cmp -n $((1 << 20)) - /dev/zero"
dmsetup remove t
check "without a map" dm_new t "0 65536 qed /dev/$disk"
check "SG_IO reaches the disk" python3 sg_write.py $t
same "and is seen" "$(dd if=$t bs=512 count=1 iflag=direct status=none | tr -d x | wc -c)" 0
dmsetup remove t

# ---- A failed write-zeroes, of a NOWAIT write ----
# The disk fails late. Meanwhile the device above it begins to suspend; it then queues new bios, and
# fails those with NOWAIT. The write was accepted before: it waits.
rmmod scsi_debug
require "a slow SCSI disk" scsi_disk
require "that takes shorter write-zeroes than it has promised" eval \
	'echo 8 >/sys/module/scsi_debug/parameters/write_same_length'
require "a device on it" dm_new lower "0 65536 linear /dev/$disk 0"
require "the target on that" dm_new t "0 65536 qed /dev/mapper/lower 2 detect_zeroes on"
same "it promises write-zeroes, too" "$(qed_status lower)" ok
echo 500 >/sys/bus/pseudo/drivers/scsi_debug/delay # jiffies
cat >nowait.py <<-'END'
	import mmap, os
	RWF_NOWAIT = 8
	disk = os.open("/dev/mapper/t", os.O_WRONLY | os.O_DIRECT)
	os.pwritev(disk, [mmap.mmap(-1, 65536)], 1 << 20, RWF_NOWAIT)
END
python3 nowait.py &
writer=$!
node=$(dmsetup info -c --noheadings -o blkdevname t)
check "a write of zeroes is on its way" wait_until 30 grep -q ' 1$' "/sys/block/$node/inflight"
check "the device below is suspended" dmsetup suspend lower
same "the write has been refused" "$(qed_status converted fallback)" "1 1"
check "and goes on" dmsetup resume lower
check "its writer sees no error" wait $writer
dmsetup remove t
dmsetup remove lower

# ---- Split below, of a NOWAIT write ----
# If such a write became a write-zeroes of several parts, the first part would use the only tag, the
# second would fail, and io_uring could no longer retry.
rmmod scsi_debug
require "a disk of short write-zeroes, one at a time" scsi_disk write_same_length=128 max_queue=1
require "the target on it" dm_new t "0 65536 qed /dev/$disk 4 detect_zeroes on cluster_size 65536"
check "zeroes by io_uring" fio --name=late --filename=$t --ioengine=io_uring --rw=write --bs=256k \
	--size=16M --direct=1 --zero_buffers --iodepth=8
same "were all converted" "$(qed_status converted-sectors fallback)" "$((16 << 11)) 0"
dmsetup remove t
check "the module goes" rmmod dm-qed
finish
