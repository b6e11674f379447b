#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
# A golden image behind NBD: mounted, read, written, verified, while its server is killed and
# restarted; timely errors if the server does not return; no errors without it once everything is
# populated.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

command -v nbdkit >/dev/null || { skip "nbd" "nbdkit is not installed"; finish; }
cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1
socket=$SCRATCH/nbd.sock
url="nbd+unix:///golden?socket=$socket"
mkdir -p mnt

server_start() {
	rm -f "$socket"
	nbdkit -U "$socket" -P "$SCRATCH/nbd.pid" "$@"
}

server_kill() {
	kill -9 "$(cat nbd.pid)"
	wait_until 10 eval '! kill -0 "$(cat nbd.pid)" 2>/dev/null'
}

cleanup_nbd() {
	umount "$SCRATCH/mnt" 2>/dev/null
	qedctl remove --all --force --retry 2>/dev/null
	kill -9 "$(cat "$SCRATCH/nbd.pid" 2>/dev/null)" 2>/dev/null
}
at_exit cleanup_nbd

# Files with checksums in an image with holes.
mkdir files
for i in {1..40}; do
	head -c $((RANDOM * 20 + 1)) /dev/urandom >files/$i
done
head -c 3M /dev/zero >files/zeroes
(cd files && sha256sum -- *) >sums
truncate -s 96M golden.img
require "golden image" mkfs.ext4 -q -d files golden.img
cp --sparse=always golden.img before.img

# ---- Used while the NBD server is stopped and restarted ----
require "server" server_start --filter=delay file golden.img delay-read=5ms
require "create" qedctl create vm1 vm1.qed --backing "$url" --backing-format nbd --queues 2
same "the name is shown" "$(qemu-img info -U vm1.qed | sed -n 's/^backing file: //p')" "$url"
check "mount" mount $dev mnt
(
	for _ in 1 2 3; do
		sleep 1
		server_kill
		sleep 1
		server_start --filter=delay file golden.img delay-read=5ms
	done
) >restarts 2>&1 &
restarter=$!
check "fio verifies while the server is killed three times" fio --name=v --directory=mnt \
	--size=12M --bs=16k --rw=randwrite --verify=crc32c --ioengine=io_uring --iodepth=16 --direct=1 \
	--fsync=64 --output=/dev/null
check "checksums while it is killed" bash -c 'cd mnt && sha256sum --quiet -c ../sums'
wait $restarter
same "the restarts worked" "$(cat restarts)" ""
check "checksums, from the image" eval \
	'echo 3 >/proc/sys/vm/drop_caches; (cd mnt && sha256sum --quiet -c ../sums)'
cp mnt/1 mnt/copy
check "umount" umount mnt
same "no request failed" "$(stat_of vm1 errors)" 0
check "all is read" dd if=$dev of=seen bs=1M iflag=direct status=none
check "remove" qedctl remove vm1
check "the golden image is as it was" cmp golden.img before.img
check "check" qemu-img check -f qed vm1.qed
check "what QEMU sees is what the device showed" qemu-img compare -f qed -F raw vm1.qed seen
# The device was read completely: all of it is populated, and needs no server.
server_kill
server_start memory 96M
check "nothing comes from the source any more" qemu-img compare -f qed -F raw vm1.qed seen
server_kill
rm -f vm1.qed seen

# ---- Streamed and used, the source killed in between ----
server_start --filter=delay file golden.img delay-read=5ms
require "stream: create" qedctl create vm1 vm1.qed --backing "$url" --backing-format nbd --queues 2 \
	--stream --speed 300K
check "stream: mount" mount $dev mnt
check "stream: fio verifies" fio --name=s --directory=mnt --size=6M --bs=16k --rw=randwrite \
	--verify=crc32c --ioengine=io_uring --iodepth=16 --direct=1 --output=/dev/null
server_kill
server_start --filter=delay file golden.img delay-read=5ms
check "stream: to its end" qedctl stream vm1 --speed 0 --wait
check "stream: checksums, from the image" eval \
	'echo 3 >/proc/sys/vm/drop_caches; (cd mnt && sha256sum --quiet -c ../sums)'
# Neither the server nor the golden image is needed any more.
server_kill
mv golden.img moved.img
check "stream: checksums without the source" eval \
	'echo 3 >/proc/sys/vm/drop_caches; (cd mnt && sha256sum --quiet -c ../sums)'
check "stream: umount" umount mnt
check "stream: file system" e2fsck -fn $dev
check "stream: all is read" dd if=$dev of=seen bs=1M iflag=direct status=none
check "stream: remove" qedctl remove vm1
same "stream: no backing file" "$(qemu-img info vm1.qed | grep -c '^backing file')" 0
check "stream: check" qemu-img check -f qed vm1.qed
check "stream: what QEMU sees is what the device showed" qemu-img compare -f qed -F raw vm1.qed seen
mv moved.img golden.img
rm -f vm1.qed seen

# ---- Gone for good ----
server_start file golden.img
require "short-tempered: create" qedctl create vm1 vm1.qed \
	--backing "$url&reconnect-delay=2" --backing-format raw
check "short-tempered: read" dd if=$dev of=/dev/null bs=64k count=1 iflag=direct status=none
server_kill
begin=$SECONDS
expect_fail "gone: a read fails" dd if=$dev of=/dev/null bs=64k count=1 skip=800 iflag=direct \
	status=none
check "gone: in time" test $((SECONDS - begin)) -lt "$(patience 15)"
check "gone: what was read is there" dd if=$dev of=/dev/null bs=64k count=1 iflag=direct status=none
check "gone: writes of whole clusters work" dd if=/dev/urandom of=$dev bs=64k count=4 seek=900 \
	oflag=direct conv=fsync status=none
server_start file golden.img
require "an export as a device" qedctl create vm3 "$url" --format raw --read-only
check "an export as a device: its bytes" cmp golden.img /dev/mapper/vm3
check "an export as a device: remove" qedctl remove vm3
check "back: reads work again" wait_until 20 dd if=$dev of=/dev/null bs=64k count=1 skip=800 \
	iflag=direct status=none
check "back: remove" qedctl remove vm1
# Not with QEMU, which does not know our options in the backing file's name.
check "back: check" qed-img check -f qed vm1.qed
server_kill
expect_line "no server: nothing is created" \
	"create vm2: $url: connect: Connection refused" qedctl create vm2 vm2.qed --backing "$url"
check "no server: no image is left" test ! -e vm2.qed
finish
