#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 400
# A live device made smaller while it is not in use, and longer again; refused while it is, in the
# words of remove; the server and qedctl killed at random instants around that. SEED=N repeats the
# choices; QEDBLK_RESIZE_KILLS=N kills N times, by hand. On a kernel before 6.16: the refusal, and
# the way it names.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
. "$vm_dir/load_lib.sh"
dev=/dev/mapper/vm1
kills=${QEDBLK_RESIZE_KILLS:-15}
MiB=$((1024 * 1024))
mkdir mnt

image_size() {
	qed-img info -U --output=json "$1" | sed -n 's/.*"virtual-size": \([0-9]*\).*/\1/p'
}

size_is() {
	[ "$(blockdev --getsize64 $dev)" = "$1" ] && [ "$(blockdev --getsize64 "$(status_of vm1 ublk-device)")" = "$1" ] &&
		qedctl status --json vm1 | grep -q "\"size\": $1\\b" && [ "$(image_size vm1.qed)" = "$1" ]
}

# hold DEVICE: a process has it open, until let_go. It is told by its name.
hold() {
	sleep 1000 <"$1" &
	holder=$!
	wait_until 20 eval '[ "$(cat /proc/$holder/comm)" = sleep ]'
}

let_go() {
	kill $holder
	wait $holder 2>/dev/null
}

# not_larger: the device is not larger than its image, which becomes smaller last.
not_larger() {
	local image
	image=$(image_size vm1.qed)
	[ $(($(cat /sys/block/ublkb*/size) * 512)) -le "$image" ]
}

# same_words NAME: resize is refused as remove is, and nothing changes.
same_words() {
	exits=4 expect_line "$1: refused" "" qedctl resize --shrink vm1 16M
	same "$1: in the words of remove" "$(sed 's/resize vm1/remove vm1/' "$SCRATCH/.err")" "$(qedctl remove vm1 2>&1)"
	check "$1: nothing has changed" size_is $((64 * MiB))
}

require "data" dd if=/dev/urandom of=data bs=1M count=32 status=none
require "create" qedctl create vm1 vm1.qed --size 64M
check "written" dd if=data of=$dev bs=1M oflag=direct conv=fsync status=none
check "written at the end" dd if=data of=$dev bs=1M seek=32 oflag=direct conv=fsync status=none
expect_line "without --shrink" "resize vm1: it has 67108864 bytes, and becomes smaller only with --shrink" \
	qedctl resize vm1 32M

if ! qedctl features | grep -q UPDATE_SIZE; then
	expect_line "an old kernel" "resize vm1: this kernel cannot make a live block device smaller (Linux 6.16 can): \
remove it, use qed-img resize --shrink, and create it again" qedctl resize --shrink vm1 32M
	check "nothing has changed" size_is $((64 * MiB))
	check "remove it" qedctl remove vm1
	check "make its image smaller" qed-img resize -q --shrink vm1.qed 32M
	require "create it again" qedctl create vm1 vm1.qed
	check "it is smaller" size_is $((32 * MiB))
	check "and as it was" cmp data $dev
	check "remove" qedctl remove vm1
	finish
fi

# ---- Refused while it is in use ----
hold $dev
same_words "open"
let_go
loop=$(losetup -f --show $dev)
same_words "held by a loop device"
losetup -d "$loop"
dmsetup create above --table "0 2048 linear $dev 0"
same_words "held by a mapping"
dmsetup remove above
check "suspend" qedctl suspend vm1
exits=4 expect_line "suspended" "resize vm1: it is suspended" qedctl resize --shrink vm1 16M
check "resume" qedctl resume vm1
check "the data is there" cmp -n $((32 * MiB)) data $dev

# ---- Smaller, and larger again ----
check "smaller" qedctl resize --shrink vm1 20971520
check "all are" size_is $((20 * MiB))
check "the same again" qedctl resize --shrink vm1 20M
check "space is free" wait_until 20 eval '[ $(($(stat -c %b vm1.qed) * 512)) -lt $((24 * MiB)) ]'
check "in the middle of a cluster" qedctl resize --shrink vm1 $((20 * MiB - 5 * 512))
check "all are that" size_is $((20 * MiB - 5 * 512))
check "what is left is as it was" cmp -n $((20 * MiB - 5 * 512)) data $dev
check "larger" qedctl resize vm1 64M
check "what stayed" cmp -n $((20 * MiB - 5 * 512)) data $dev
check "what it gained is zero" cmp -n $((44 * MiB)) /dev/zero <(dd if=$dev bs=1M skip=20 status=none)
same "and so is the end of the cluster" "$(dd if=$dev bs=512 skip=$((20 * 2048 - 5)) count=5 status=none | tr -d '\0' | wc -c)" 0
require "mkfs" mkfs.ext4 -q -F $dev
require "mount" mount $dev mnt
same_words "mounted"
cp -r /etc/init.d mnt/x
check "umount" umount mnt
check "a smaller file system" eval "e2fsck -fp $dev >/dev/null; resize2fs $dev 24M >/dev/null 2>&1"
check "and device" qedctl resize --shrink vm1 24M
check "mount it" mount $dev mnt
check "its files are there" diff -r /etc/init.d mnt/x
check "umount it" umount mnt
check "fsck" e2fsck -fn $dev
check "remove" qedctl remove vm1
check "the image is good" qed-img check -q vm1.qed
rm vm1.qed

# ---- Killed around it ----
size=$((64 * MiB))
require "create for kills" qedctl create vm1 vm1.qed --size 64M
for ((i = 1; i <= kills; i++)); do
	dd if=data of=$dev bs=1M oflag=direct conv=fsync status=none 2>/dev/null
	dd if=data of=$dev bs=1M seek=$((size / MiB - 16)) count=16 oflag=direct conv=fsync status=none 2>/dev/null
	size=$(((33 + RANDOM % 30) * MiB))
	qedctl resize --shrink vm1 $size 2>/dev/null &
	client=$!
	sleep 0.0$((RANDOM % 99))
	[ $((i % 3)) = 0 ] && kill -KILL $client 2>/dev/null || kill -KILL "$(server_pid vm1)"
	wait $client 2>/dev/null
	not_larger || { not_ok "kill $i: the order" "the device is larger than its image"; break; }
	qedctl status vm1 | grep -q '^state *live' || within 60 qedctl recover vm1 ||
		{ not_ok "kill $i: recover" "failed"; break; }
	cmp -s -n $((32 * MiB)) data $dev || { not_ok "kill $i: data" "differs"; break; }
	qedctl resize --shrink vm1 $size || { not_ok "kill $i: again" "failed"; break; }
	size_is $size || { not_ok "kill $i: the size" "$(blockdev --getsize64 $dev), wanted $size"; break; }
	cmp -s -n $((32 * MiB)) data $dev || { not_ok "kill $i: data" "differs afterwards"; break; }
	qedctl resize vm1 64M || { not_ok "kill $i: larger" "failed"; break; }
	cmp -s -n $((64 * MiB - size)) /dev/zero <(dd if=$dev bs=1M skip=$((size / MiB)) status=none) ||
		{ not_ok "kill $i: what it gained" "is not zero"; break; }
	size=$((64 * MiB))
done
[ "$i" -gt "$kills" ] && ok "killed $kills times around it"
check "remove at the end" qedctl remove vm1
check "its image is good" qed-img check -q vm1.qed

# ---- Killed with only the device smaller ----
# Writes to the image wait while its file system is frozen. The kernel then refuses the larger mapping
# that qedctl puts back, and must not leave it suspended.
rm vm1.qed
mkdir held
truncate -s 200M fs.img
require "a file system for the image" mkfs.ext4 -q -F fs.img
require "is mounted" mount -o loop fs.img held
at_exit umount "$SCRATCH/held"
at_exit fsfreeze -u "$SCRATCH/held"
require "create on it" qedctl create vm1 held/vm1.qed --size 64M
check "data on both sides" eval "dd if=data of=$dev bs=1M count=8 oflag=direct conv=fsync &&
	dd if=data of=$dev bs=1M count=8 seek=40 oflag=direct conv=fsync"
block=/sys/block/$(basename "$(status_of vm1 ublk-device)")
fsfreeze -f held
qedctl resize --shrink vm1 32M 2>err &
client=$!
check "the device becomes smaller" wait_until 20 eval '[ "$(cat $block/size)" = 65536 ]'
kill -KILL "$(server_pid vm1)"
fsfreeze -u held
wait $client
same "qedctl fails" $? 1
same "the mapping goes on" "$(dmsetup info -c --noheadings -o suspended vm1)" Active
check "recover that" within 60 qedctl recover vm1
check "the image has its old size" [ "$(image_size held/vm1.qed)" = $((64 * MiB)) ]
check "what stays is there" within 60 cmp -n $((8 * MiB)) data $dev
check "make it smaller again" qedctl resize --shrink vm1 32M
check "all sizes are the new one" eval "[ $(blockdev --getsize64 $dev) = $((32 * MiB)) ] &&
	[ $(image_size held/vm1.qed) = $((32 * MiB)) ] && [ $(cat $block/size) = 65536 ]"
check "remove that" qedctl remove vm1
check "that image is good" qed-img check -q held/vm1.qed

# ---- A mapping whose table another program has changed: its users are not known ----
require "create for another table" qedctl create vm1 vm1.qed --size 64M
dmsetup load vm1 --table "0 131072 striped 1 128 $(status_of vm1 ublk-device) 0" && dmsetup resume vm1
expect_line "another table" "resize vm1: its mapping has a table of another program" qedctl resize --shrink vm1 32M
check "nothing has changed there" size_is $((64 * MiB))
check "remove it at once" qedctl remove vm1

# ---- Over a longer backing file, raw, and without a mapping ----
dd if=/dev/urandom of=golden.raw bs=1M count=48 status=none
rm vm1.qed
require "create over a backing file" qedctl create vm1 vm1.qed --size 64M --backing golden.raw --backing-format raw
check "some of it is written" dd if=data of=$dev bs=1M seek=20 count=8 oflag=direct conv=fsync status=none
check "it becomes smaller" qedctl resize --shrink vm1 16M
check "and longer" qedctl resize vm1 64M
check "what it had shows the backing file" cmp -n $((16 * MiB)) golden.raw $dev
check "what it gained hides it" cmp -n $((48 * MiB)) /dev/zero <(dd if=$dev bs=1M skip=16 status=none)
check "remove it" qedctl remove vm1
require "create a raw one" qedctl create vm1 vm1.raw --format raw --size 64M
check "it becomes smaller, too" qedctl resize --shrink vm1 16M
same "the file as well" "$(stat -c %s vm1.raw)" $((16 * MiB))
check "remove the raw one" qedctl remove vm1
require "create without a mapping" qedctl create vm1 bare.qed --size 64M --no-dm
bare=$(status_of vm1 device)
hold "$bare"
exits=4 expect_line "in use" "resize vm1: $bare is in use by process $holder (sleep)" qedctl resize --shrink vm1 32M
let_go
check "not in use" qedctl resize --shrink vm1 32M
same "the block device" "$(blockdev --getsize64 "$bare")" $((32 * MiB))
check "remove the last" qedctl remove vm1
finish
