#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 400
# Devices over golden qcow2 images, compressed with zlib and with zstd: a file system of many files,
# all of them compared; fio with verification; QEMU checks the image. The policy for backing files,
# through qedctl.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
mkdir -p mnt golden elsewhere
at_exit umount "$SCRATCH/mnt"
dev=/dev/mapper/vm1

# Make golden/NAME.qcow2 and reference.raw: a file system with the tree's sources and random files.
make_golden() {
	mkdir -p files && cp -r "$REPO/userspace" "$REPO/Documentation" files &&
		head -c 4M /dev/urandom >files/noise && head -c 2M /dev/zero >files/zeroes &&
		(cd files && find . -type f -exec cksum {} + | sort -k 3) >sums &&
		truncate -s 48M reference.raw && mkfs.ext4 -q -F -d files reference.raw &&
		qemu-img convert -c -O qcow2 reference.raw golden/zlib.qcow2 &&
		qemu-img convert -c -O qcow2 -o compression_type=zstd,cluster_size=32k reference.raw \
			golden/zstd.qcow2
}

same_sums() {
	(cd mnt && find . -type f -exec cksum {} + | grep -v ' ./new$' | sort -k 3) >sums.now &&
		cmp sums sums.now
}

read_all() {
	cmp <(dd if="$1" bs=1M iflag=direct status=none) "$2"
}

run_fio() {
	within 150 fio --name=v --filename=$dev --direct=1 --ioengine=io_uring --iodepth=16 \
		--numjobs=2 --size=16M --offset_increment=16M --io_size=4M --rw=randrw \
		--rwmixread=40 --bsrange=512-64k --verify=crc32c --verify_backlog=32 \
		--randseed=$RANDOM --output=fio.out || { cat fio.out; return 1; }
}

require "golden images" make_golden

for kind in zlib zstd; do
	require "$kind: create" qedctl create vm1 vm1.qed --backing golden/$kind.qcow2 --queues 2 \
		--backing-dir golden
	json_is "$kind: status knows the golden image" \
		"d['backing-chain'][0]['format'] == 'qcow2' and len(d['warnings']) == 1" \
		qedctl status --json vm1
	json_is "$kind: status knows the policy" "d['backing-dir'].endswith('/golden')" \
		qedctl status --json vm1
	require "$kind: mount" mount -o noatime $dev mnt
	check "$kind: all files are right" same_sums
	check "$kind: write" cp -r "$REPO/tools" mnt/new
	check "$kind: what was written is right" diff -r "$REPO/tools" mnt/new
	check "$kind: unmount" umount mnt
	check "$kind: fsck finds nothing" fsck.ext4 -fn $dev
	check "$kind: remove" qedctl remove vm1
	check "$kind: qemu-img check" qemu-img check -f qed vm1.qed
	require "$kind: again, its format named" qedctl create vm1 vm1.qed --backing-format qcow2 \
		--backing golden/$kind.qcow2
	json_is "$kind: nothing to warn of" "not d['warnings'] and d['backing-dir'] == 'any'" \
		qedctl status --json vm1
	check "$kind: fio verifies" run_fio
	check "$kind: no request failed" test "$(stat_of vm1 errors)" = 0
	dd if=$dev of=seen bs=1M iflag=direct status=none
	check "$kind: remove then" qedctl remove vm1
	check "$kind: QEMU reads what the device showed" qemu-img compare -f qed -F raw vm1.qed seen
	rm -f vm1.qed seen

	require "$kind: the golden image itself" qedctl create vm1 golden/$kind.qcow2 --read-only
	check "$kind: it reads right" read_all $dev reference.raw
	check "$kind: remove at last" qedctl remove vm1
done
# Streamed from the golden image while it is read, until the golden image is not needed any more.
require "stream: create" qedctl create vm1 vm1.qed --backing golden/zstd.qcow2 \
	--backing-format qcow2 --queues 2 --stream --speed 100K
check "stream: mount" mount -o ro $dev mnt
check "stream: all files are right meanwhile" same_sums
# The stream may have ended by now, and then there is nothing to stream.
check "stream: to its end" qedctl stream vm1 --speed 0 --wait
mv golden/zstd.qcow2 golden/away
check "stream: unmount" umount mnt
check "stream: the device reads right" read_all $dev reference.raw
check "stream: remove" qedctl remove vm1
check "stream: qemu-img check" qemu-img check -f qed vm1.qed
check "stream: no backing file is left" eval '! qemu-img info -f qed vm1.qed | grep -q backing'
check "stream: QEMU reads the golden image's bytes" qemu-img compare -f qed -F raw vm1.qed \
	reference.raw
mv golden/away golden/zstd.qcow2
rm -f vm1.qed

check "the golden images were not changed" eval \
	'for g in golden/*; do qemu-img compare -q -F raw $g reference.raw || exit 1; done'

cp golden/zlib.qcow2 elsewhere
ln -s ../elsewhere/zlib.qcow2 golden/link.qcow2
mkfifo golden/fifo
qed-img create -q -f qed -u -b golden/fifo -F raw fifo.qed 1M
expect_line "a backing file elsewhere is refused" "" qedctl create vm1 vm1.qed \
	--backing elsewhere/zlib.qcow2 --backing-dir golden
expect_line "a link to elsewhere is refused" "" qedctl create vm1 vm1.qed \
	--backing golden/link.qcow2 --backing-dir golden
expect_line "a FIFO is refused" "create vm1: $SCRATCH/golden/fifo: Not a regular file or block device" \
	within 60 qedctl create vm1 fifo.qed --backing-dir golden
expect_line "no backing file is allowed" \
	"create vm1: $SCRATCH/fifo.qed: has the backing file golden/fifo, and none is allowed" \
	qedctl create vm1 fifo.qed --backing none
exits=3 expect_line "a folder that is not there" \
	"create vm1: --backing-dir: nowhere: No such file or directory" \
	qedctl create vm1 fifo.qed --backing-dir nowhere
check "nothing was made" test ! -e vm1.qed
only_these "nothing is left"
json_verdicts
finish
