#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
# Failing disks under an image: the power is cut (dm-flakey drops writes from some moment on),
# writes fail for a while (dm-flakey) and are lost, and the disk is full.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/power_lib.sh"

cd "$SCRATCH" || exit 1
modprobe -a ublk_drv dm-flakey || finish
mkdir -p mnt
at_exit umount "$SCRATCH/mnt"
at_exit dmsetup remove --retry powerdisk
cluster=16384

# new_faulty MKFS-OPTIONS...: make and mount a file system on a disk that can be made to fail.
new_faulty() {
	rm -f data.img
	data=$(new_disk data.img $disk_mib) && mkfs.ext4 -q -E lazy_itable_init=1 "$@" "$data" || return 1
	sectors=$(blockdev --getsz "$data")
	dmsetup create powerdisk --noudevsync --table "0 $sectors linear $data 0" &&
		dmsetup mknodes powerdisk && mount /dev/mapper/powerdisk mnt
}

end_faulty() {
	umount mnt && dmsetup remove --retry powerdisk && losetup -d "$data"
}

healthy() { set_table powerdisk "0 $sectors linear $data 0"; }
dropping() { set_table powerdisk "0 $sectors flakey $data 0 0 3600 1 drop_writes"; }
failing() { set_table powerdisk "0 $sectors flakey $data 0 0 3600 1 error_writes"; }

# ---- Power is cut under load: everything acknowledged until then is there ----
powerload backing backing.raw $((24 << 20)) $cluster
for cut in 1 2 3; do
	name="power cut $cut"
	require "$name: file system" new_faulty
	options=() backing=0
	[ $cut -eq 2 ] && backing=$((24 << 20)) options=(--backing "$SCRATCH/backing.raw")
	require "$name: server" start_server mnt/p.qed --size 32M --cluster-size $cluster --queues 2 \
		"${options[@]}"
	powerload load "$dev" history 4 20000 $((seed + cut)) $cluster $backing >load.out 2>&1 &
	load=$!
	sleep $((cut + 1)).$((RANDOM % 10))
	now=$(powerload now history)
	check "$name: power goes" dropping
	# What is written from now on is lost.
	sleep 0.5
	check "$name: the server dies" cut_server
	wait $load
	umount mnt
	check "$name: power comes back" healthy
	require "$name: mount" mount /dev/mapper/powerdisk mnt
	check "$name: what was flushed is there" powerjudge mnt/p.qed history "$now"
	sed 's/^/#   /' "$SCRATCH/.out"
	# Leaks are allowed.
	check "$name: QEMU agrees" eval 'qemu-img check -q -f qed mnt/p.qed; [ $? -eq 0 -o $? -eq 3 ]'
	check "$name: end" end_faulty
done

# ---- Writes fail, and later succeed again ----
require "errors: file system without a journal" new_faulty -O ^has_journal
require "errors: server" start_server mnt/p.qed --size 32M --cluster-size $cluster --queues 2
check "errors: load before" powerload load "$dev" before 4 400 "$seed" $cluster 0
check "errors: flush before" dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct
(cat "$dev" | cksum) >sum
check "errors: they begin" failing
expect_fail "errors: a write in place fails" dd if=/dev/zero of="$dev" bs=4k count=1 seek=8000 \
	oflag=direct
expect_fail "errors: an allocating one with a flush fails" dd if=/dev/urandom of="$dev" bs=16k \
	count=64 seek=700 oflag=direct conv=fsync
expect_fail "errors: a flush fails" sync "$dev"
check "errors: reads go on" dd if="$dev" of=/dev/null bs=1M count=8 iflag=direct
check "errors: the server lives" test -n "$(server_pid p)"
check "errors: they end" healthy
# Data whose flush failed may be lost: flushes fail until the image is opened again.
expect_fail "errors: a flush fails still" sync "$dev"
expect_fail "errors: and the next" sync "$dev"
check "errors: reads go on still" dd if="$dev" of=/dev/null bs=1M count=8 iflag=direct
stop_server p
# The kernel may hold an error that it did not report to the old server.
require "errors: it is opened again" eval \
	'start_server mnt/p.qed --queues 2 || start_server mnt/p.qed --queues 2'
check "errors: flushes work again" sync "$dev"
check "errors: and writes, in place and allocating" \
	dd if=/dev/urandom of="$dev" bs=16k count=1500 oflag=direct conv=fsync
head -c $((1500 * 16384)) "$dev" | cksum >sum
check "errors: the server ends well" stop_server p
check "errors: qemu-img check" qemu-img check -q -f qed mnt/p.qed
same "errors: what was written then is there" \
	"$(qemu-img convert -f qed -O raw mnt/p.qed raw.img && head -c $((1500 * 16384)) raw.img |
		cksum)" "$(cat sum)"
check "errors: end" end_faulty

# ---- A failed flush is final, and lost pages are not read again ----
# begin_io MODE: start qed-io, which reads its commands from descriptor 9.
begin_io() {
	rm -f commands && mkfifo commands || return 1
	qed-io -f raw -t "$1" mnt/r.raw <commands >io.out 2>&1 &
	io=$!
	exec 9>commands
	# Open the image before anything fails.
	io read 0 512
}

# io COMMAND...: send it the command and a read; the read's answer shows that the command is done.
io() {
	local n
	n=$(grep -c "read 512/512" io.out)
	printf '%s\nread 1020k 512\n' "$*" >&9
	wait_until 20 eval '[ "$(grep -c "read 512/512" io.out)" -gt '"$n"' ]'
}

end_io() {
	exec 9>&-
	wait "$io"
}

failed_flushes() { grep -c "Input/output error" io.out; }

require "lost: file system without a journal" new_faulty -O ^has_journal
check "lost: image" qed-img create -q -f raw mnt/r.raw 1M
check "lost: what is durable" qed-io -f raw -t none -c "write -P 1 0 64k" -c flush mnt/r.raw
check "lost: all of it" sync -f mnt

# Zeroing a part of a block uses the page cache even with O_DIRECT.
require "O_DIRECT: open" begin_io none
check "O_DIRECT: the disk fails" failing
check "O_DIRECT: a part of a block is zeroed" io write -z 512 512
check "O_DIRECT: flush" io flush
same "O_DIRECT: it fails" "$(failed_flushes)" 1
check "O_DIRECT: the disk is well" healthy
check "O_DIRECT: flush again" io flush
check "O_DIRECT: and again" io flush
same "O_DIRECT: no flush succeeds" "$(failed_flushes)" 3
end_io

# An error that was not reported yet is reported to the next opener, once.
check "cached: opened again" eval \
	'qed-io -f raw -c flush mnt/r.raw || qed-io -f raw -c flush mnt/r.raw'
require "cached: open" begin_io writeback
check "cached: the disk fails" failing
check "cached: a write" io write -P 2 4k 4k
check "cached: flush" io flush
same "cached: it fails" "$(failed_flushes)" 1
check "cached: the disk is well" healthy
check "cached: flush again" io flush
same "cached: it fails, too" "$(failed_flushes)" 2
end_io
check "cached: opened again, the disk's bytes are read" \
	qed-io -f raw -t writeback -c "read -P 1 4k 4k" -c flush mnt/r.raw
check "cached: drop the page cache" eval 'echo 3 >/proc/sys/vm/drop_caches'
check "cached: they are still the same" \
	qed-io -f raw -t writeback -c "read -P 1 4k 4k" mnt/r.raw
check "lost: end" end_faulty

# With a journal the file system shuts down at the first error, until it is mounted again.
require "journal: file system" new_faulty
require "journal: server" start_server mnt/p.qed --size 32M --cluster-size $cluster
powerload load "$dev" history 4 20000 "$seed" $cluster 0 >load.out 2>&1 &
load=$!
sleep 2
check "journal: errors begin" failing
sleep 1
check "journal: they end" healthy
kill -TERM $load
wait $load
check "journal: requests failed" eval '! grep -q " 0 errors" load.out'
expect_fail "journal: a flush does not promise what nobody can keep" sync "$dev"
stop_server p || cut_server
umount mnt
require "journal: mount again" mount /dev/mapper/powerdisk mnt
check "journal: all that was promised is there" powerjudge mnt/p.qed history "$(powerload now history)"
check "journal: QEMU agrees" eval 'qemu-img check -q -f qed mnt/p.qed; [ $? -eq 0 -o $? -eq 3 ]'
require "journal: it can be served again" start_server mnt/p.qed
check "journal: and written" dd if=/dev/zero of="$dev" bs=1M count=4 oflag=direct conv=fsync
check "journal: it ends well" stop_server p
check "journal: no fault is left" qemu-img check -q -f qed mnt/p.qed
check "journal: end" end_faulty

# ---- The disk is full ----
disk_mib=48
require "full: file system" new_faulty
require "full: server" start_server mnt/p.qed --size 4G
dd if=/dev/urandom of=data4 bs=1M count=4 status=none
check "full: data" dd if=data4 of="$dev" bs=1M oflag=direct conv=fsync
check "full: ballast" eval 'head -c 16M /dev/zero >mnt/ballast && sync -f mnt'
expect_fail "full: writes fail at last" eval \
	'dd if=/dev/zero of="$dev" bs=256k count=200 seek=400 oflag=direct 2>full.err'
check "full: with the right error" grep -q "No space left on device" full.err
check "full: a flush works" sync "$dev"
check "full: what is there can be read" cmp -n $((4 << 20)) data4 "$dev"
check "full: and overwritten, and flushed" \
	dd if=data4 of="$dev" bs=1M count=4 oflag=direct conv=fsync
expect_fail "full: new data finds no room" \
	dd if=data4 of="$dev" bs=1M count=4 seek=3000 oflag=direct
check "full: a flush works still" sync "$dev"
rm mnt/ballast && sync -f mnt
check "full: with room again new data can be written" \
	dd if=data4 of="$dev" bs=1M count=4 seek=3000 oflag=direct conv=fsync
check "full: and read" cmp -n $((4 << 20)) -i 0:$((3000 << 20)) data4 "$dev"
check "full: the server ends well" stop_server p
check "full: qemu-img check" qemu-img check -q -f qed mnt/p.qed
check "full: end" end_faulty
finish
