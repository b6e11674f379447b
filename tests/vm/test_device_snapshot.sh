#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 500
# A live device gets new images over those it has: each keeps what the device was; under load; while
# its file system is full. SEED=N repeats the choices.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
. "$vm_dir/load_lib.sh"
dev=/dev/mapper/vm1
MiB=$((1024 * 1024))

image_is() {
	[ "$(status_of vm1 image)" = "$1" ] && grep -qF "\"image\": \"$1\"" /run/qedblk/vm1.json
}

# chain_is IMAGE...: the images from the top down, as QEMU finds them.
chain_is() {
	local wanted="$*"
	[ "$(qemu-img info -U --backing-chain "$1" | sed -n 's/^image: //p' | xargs -n 1 basename | xargs)" = "$wanted" ]
}

# ---- What is refused, with nothing changed ----
head -c 4M /dev/urandom >golden.raw
truncate -s 64M golden.raw
require "create" qedctl create vm1 vm1.qed --backing golden.raw --backing-format raw --queues 2
exits=2 expect_line "no image" "snapshot: NAME and IMAGE are needed" qedctl snapshot vm1
exits=2 expect_line "not a file" "" qedctl snapshot vm1 nbd://localhost/x
exits=3 expect_line "no device" "" qedctl snapshot vm2 a.qed
touch there
expect_line "there is a file" "snapshot vm1: $SCRATCH/there: File exists" qedctl snapshot vm1 there
expect_line "a folder that is not" "snapshot vm1: $SCRATCH/none/a.qed: No such file or directory" \
	qedctl snapshot vm1 none/a.qed
expect_line "a format that cannot" "snapshot vm1: format raw cannot be that of a snapshot" \
	qedctl snapshot vm1 a.raw --format raw
check "a trace" qedctl trace vm1 start trace
exits=4 expect_line "with a trace" "snapshot vm1: a trace is recorded: stop it first" qedctl snapshot vm1 a.qed
check "stop it" qedctl trace vm1 stop
check "a stream" qedctl stream vm1 --speed 64K
exits=4 expect_line "with a stream" "snapshot vm1: a stream runs: wait for it, or cancel it" \
	qedctl snapshot vm1 a.qed
check "cancel it" qedctl stream vm1 --cancel
require "a place" eval "mkdir tiny && mount -t tmpfs -o size=64k tiny tiny"
at_exit umount "$SCRATCH/tiny"
dd if=/dev/zero of=tiny/all bs=4k status=none 2>/dev/null
expect_line "that is full" "" qedctl snapshot vm1 tiny/a.qed
check "nothing is left there" [ ! -e tiny/a.qed ]
check "nothing is left" eval "[ ! -e a.qed ] && [ ! -e a.raw ] && [ ! -s there ]"
check "nothing has changed" image_is "$SCRATCH/vm1.qed"

# ---- Each image keeps what the device was ----
cp golden.raw now
for i in {1..5}; do
	for ((j = 0; j < 12; j++)); do
		at=$((RANDOM % 1020))
		dd if=/dev/urandom of=part bs=4k count=$((RANDOM % 24 + 1)) status=none
		dd if=part of=now bs=4k seek=$at conv=notrunc status=none
		dd if=part of=$dev bs=4k seek=$at oflag=direct status=none
	done
	at=$((RANDOM % 60))
	blkdiscard -z -o $((at * MiB)) -l $((2 * MiB)) $dev
	dd if=/dev/zero of=now bs=1M seek=$at count=2 conv=notrunc status=none
	cp --sparse=always now was$i
	qedctl snapshot vm1 s$i.qed || not_ok "snapshot $i" "failed"
done
check "five images" image_is "$SCRATCH/s5.qed"
same "the name below" "$(qemu-img info -U s1.qed | sed -n 's/^backing file: //p')" "$SCRATCH/vm1.qed"
check "the device shows all" cmp now $dev
json_is "copy-on-read goes on" 'd["copy-on-read"] and len(d["backing-chain"]) == 6' qedctl status --json vm1
check "read it again" cmp now $dev
check "another device over one of them" qedctl create vm2 other.qed --backing s3.qed --backing-format qed
check "it shows that" cmp was4 /dev/mapper/vm2
check "remove it" qedctl remove vm2
pid=$(server_pid vm1)
kill_server vm1
check "recover" qedctl recover vm1
check "another server" [ "$(server_pid vm1)" != "$pid" ]
check "it has the last image" image_is "$SCRATCH/s5.qed"
check "and shows the same" cmp now $dev
check "remove" qedctl remove vm1
check "the chain" chain_is s5.qed s4.qed s3.qed s2.qed s1.qed vm1.qed golden.raw
same "vm1.qed is that of the first snapshot" "$(qemu-img compare -f qed -F raw vm1.qed was1)" "Images are identical."
for i in {1..4}; do
	same "s$i.qed is that of the next" "$(qemu-img compare -f qed -F raw s$i.qed was$((i + 1)))" \
		"Images are identical."
done
check "the image is good" qemu-img check -q -f qed s5.qed
for i in vm1 s1 s2 s3 s4; do
	check "$i.qed is sound" is_sound $i.qed
done
rm -f s?.qed vm1.qed was?

# ---- Under load ----
cat >job <<-END
	[global]
	filename=$dev
	direct=1
	ioengine=io_uring
	iodepth=8
	randseed=$seed
	verify=crc32c
	verify_fatal=1

	[mixed]
	rw=randrw
	rwmixread=30
	bsrange=4k-128k
	size=16M
	io_size=2M
	verify_backlog=32

	[flushed]
	rw=randwrite
	bs=4k
	offset=16M
	size=16M
	io_size=512k
	fdatasync=16

	[trimmed]
	rw=randtrimwrite
	bs=64k
	offset=32M
	size=16M
	io_size=2M

	[read]
	rw=randread
	bs=16k
	offset=48M
	size=16M
	io_size=2M
	verify=0
END
require "create for load" qedctl create vm1 vm1.qed --backing golden.raw --backing-format raw --queues 2
load verified fio_rounds
for i in {1..8}; do
	qedctl snapshot vm1 l$i.qed || not_ok "snapshot $i under load" "failed"
	sleep 0.$((RANDOM % 3))
done
check "eight images" image_is "$SCRATCH/l8.qed"
check "a stream into the last" qedctl stream vm1 --base l6.qed --wait
check "and another image" qedctl snapshot vm1 l9.qed
check "a commit below" qedctl commit vm1 --top l6.qed --base l4.qed --wait
qedctl snapshot vm1 a.qed & one=$!
qedctl snapshot vm1 b.qed & two=$!
check "one of two at once" wait $one
check "the other" wait $two
last=$(status_of vm1 image)
# l9 l8 l4 l3 l2 l1 vm1 golden
json_is "both are there" 'len(d["backing-chain"]) == 9' qedctl status --json vm1
kill_server vm1
check "recover under load" qedctl recover vm1
touch enough
load_ended verified "fio verifies meanwhile"
rm enough
no_errors vm1
dd if=$dev of=seen bs=1M iflag=direct status=none
check "remove it then" qedctl remove vm1
check "its image is good" qemu-img check -q -f qed "$last"
for i in vm1 l1 l4 l8 l9 a b; do
	check "$i.qed is sound, too" is_sound $i.qed
done
check "QEMU reads what the device showed" qemu-img compare -f qed -F raw "$last" seen
rm -f l*.qed vm1.qed a.qed b.qed
require "create to read" qedctl create vm1 golden.raw --format raw --read-only
expect_line "read-only" "snapshot vm1: the device is read-only" qedctl snapshot vm1 a.qed
check "remove that" qedctl remove vm1

# ---- A full file system, and another one ----
truncate -s 24M small
mkdir full
at_exit umount "$SCRATCH/full"
require "a small file system" eval "mkfs.ext4 -q small && mount -o loop small full"
require "create there" qedctl create vm1 full/vm1.qed --size 64M
(dd if=/dev/urandom bs=1M count=40 2>/dev/null | tee written | dd of=$dev bs=1M oflag=direct iflag=fullblock conv=fsync) >dd.log 2>&1 &
writer=$!
check "it is full" wait_until 60 eval "qedctl status vm1 | grep -q ^full"
check "a snapshot elsewhere" qedctl snapshot vm1 elsewhere.qed
wait $writer
same "the writer goes on" "$?" 0
check "what it wrote is there" cmp -n $((40 * MiB)) written $dev
no_errors vm1
check "remove it as well" qedctl remove vm1
check "both images are good" eval "qemu-img check -q -f qed elsewhere.qed && is_sound full/vm1.qed"
umount full
rm -f elsewhere.qed small written

json_verdicts
finish
