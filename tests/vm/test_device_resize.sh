#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 400
# A live device made larger, under load, with file systems on it, with and without a backing file;
# the server killed at random instants around that. SEED=N repeats the choices; QEDBLK_RESIZE_KILLS=N
# kills N times, by hand. On a kernel before 6.16: the refusal.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
. "$vm_dir/load_lib.sh"
dev=/dev/mapper/vm1
kills=${QEDBLK_RESIZE_KILLS:-15}
mkdir mnt

size_is() {
	[ "$(blockdev --getsize64 $dev)" = "$1" ] && [ "$(blockdev --getsize64 "$(status_of vm1 ublk-device)")" = "$1" ] &&
		qedctl status --json vm1 | grep -q "\"size\": $1\\b"
}

MiB=$((1024 * 1024))

# ---- What is refused ----
require "create" qedctl create vm1 vm1.qed --size 64M
exits=2 expect_line "no size" "resize: NAME and SIZE are needed" qedctl resize vm1
exits=2 expect_line "a size that is none" "" qedctl resize vm1 much
exits=3 expect_line "no device" "" qedctl resize vm2 1G
if ! qedctl features | grep -q UPDATE_SIZE; then
	expect_line "an old kernel" "resize vm1: this kernel cannot change the size of a live block device \
(Linux 6.16 can)" qedctl resize vm1 128M
	check "nothing has changed" size_is $((64 * MiB))
	check "remove" qedctl remove vm1
	same "the image neither" "$(qed-img info --output=json vm1.qed | grep -o '"virtual-size": [0-9]*')" \
		"\"virtual-size\": $((64 * MiB))"
	finish
fi
expect_line "smaller" "resize vm1: it has 67108864 bytes, and becomes smaller only with --shrink" \
	qedctl resize vm1 32M
check "the same size" qedctl resize vm1 64M
check "nothing has changed" size_is $((64 * MiB))

# ---- Larger, under load ----
cat >job <<-END
	[verify]
	filename=$dev
	size=48M
	direct=1
	ioengine=io_uring
	iodepth=8
	randseed=$seed
	rw=randrw
	bsrange=4k-128k
	io_size=24M
	verify=crc32c
	verify_backlog=16
	verify_fatal=1
	fsync=64
END
load verified fio_rounds
check "to a size" qedctl resize vm1 128M
check "the device has it" size_is $((128 * MiB))
check "by so much" qedctl resize vm1 +64M
check "it has that" size_is $((192 * MiB))
for i in {1..10}; do
	qedctl resize vm1 +1M || not_ok "resize $i" "failed"
done
check "and ten times more" size_is $((202 * MiB))
touch enough
load_ended verified "fio verifies meanwhile"
rm enough
no_errors vm1
check "what it gained reads as zeroes" cmp -n $((138 * MiB)) /dev/zero <(dd if=$dev bs=1M skip=64 status=none)
check "its end can be written" dd if=/dev/urandom of=$dev bs=1M seek=201 count=1 oflag=direct conv=fsync

# ---- File systems ----
# grow NAME MKFS GROW FSCK
grow() {
	require "$1: mkfs" eval "$2 $dev"
	require "$1: mount" mount $dev mnt
	(until [ -e enough ]; do cp -r /etc/init.d mnt/x && sync -f mnt && rm -r mnt/x; done) >/dev/null 2>&1 &
	local busy=$!
	check "$1: resize" qedctl resize vm1 "$5"
	check "$1: the file system grows" eval "$3"
	touch enough && wait $busy && rm enough
	check "$1: it has the room" [ "$(df -m --output=size mnt | tail -n 1)" -gt "$6" ]
	check "$1: umount" umount mnt
	check "$1: fsck" eval "$4 $dev"
}
grow ext4 "mkfs.ext4 -q -F" "resize2fs $dev" "e2fsck -fn" 512M 400
check "room for xfs" qedctl resize vm1 600M
grow xfs "mkfs.xfs -q -f" "xfs_growfs mnt" "xfs_repair -n" 1G 800
check "remove" qedctl remove vm1
check "the image is good" qed-img check -q vm1.qed

# ---- Over a backing file that is longer and shorter than the device ----
dd if=/dev/urandom of=golden.raw bs=1M count=96 status=none
require "create over a longer backing file" qedctl create vm1 short.qed --size 64M --backing golden.raw --backing-format raw
check "it grows" qedctl resize vm1 128M
check "what it had shows the backing file" cmp -n $((64 * MiB)) golden.raw $dev
check "what it gained hides it" cmp -n $((64 * MiB)) /dev/zero <(dd if=$dev bs=1M skip=64 status=none)
check "suspend" qedctl suspend vm1
exits=4 expect_line "suspended" "resize vm1: it is suspended" qedctl resize vm1 256M
check "resume" qedctl resume vm1
check "remove it" qedctl remove vm1
check "raw images" qedctl create vm1 vm1.raw --format raw --size 64M
check "grow, too" qedctl resize vm1 80M
check "to that" size_is $((80 * MiB))
check "remove raw" qedctl remove vm1
check "the file as well" [ "$(stat -c %s vm1.raw)" = $((80 * MiB)) ]

# ---- Killed around a resize ----
rm -f vm1.qed
size=$((64 * MiB))
require "create for kills" qedctl create vm1 vm1.qed --size 64M
require "data" dd if=/dev/urandom of=data bs=1M count=8 status=none
check "written" dd if=data of=$dev bs=1M oflag=direct conv=fsync
for ((i = 1; i <= kills; i++)); do
	size=$((size + MiB))
	qedctl resize vm1 $size 2>/dev/null &
	client=$!
	sleep 0.0$((RANDOM % 99))
	[ $((i % 3)) = 0 ] && kill -KILL $client 2>/dev/null || kill -KILL "$(server_pid vm1)"
	wait $client 2>/dev/null
	qedctl status vm1 | grep -q '^state *live' || within 60 qedctl recover vm1 ||
		{ not_ok "kill $i: recover" "failed"; break; }
	qedctl resize vm1 $size || { not_ok "kill $i: again" "failed"; break; }
	size_is $size || { not_ok "kill $i: the size" "$(blockdev --getsize64 $dev), wanted $size"; break; }
	cmp -s -n $((8 * MiB)) data $dev || { not_ok "kill $i: data" "differs"; break; }
done
[ "$i" -gt "$kills" ] && ok "killed $kills times around a resize"
check "remove at the end" qedctl remove vm1
check "its image is good" qed-img check -q vm1.qed

# ---- Without a mapping ----
require "create without a mapping" qedctl create vm1 bare.qed --size 64M --no-dm
bare=$(status_of vm1 device)
check "resize it" qedctl resize vm1 96M
same "the block device" "$(blockdev --getsize64 "$bare")" $((96 * MiB))
check "remove the last" qedctl remove vm1
finish
