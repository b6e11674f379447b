#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 480
# qedd alone, with QED images: over a backing file, with and without copy-on-read, checked with
# QEMU's tools.
. "$(dirname "$0")/lib.sh"

cd "$SCRATCH" || exit 1
modprobe ublk_drv
at_exit pkill -KILL -x qedd

# One third data, one third written zeroes, one third hole; 24 MiB.
dd if=/dev/urandom of=golden.img bs=1M count=8 status=none
dd if=/dev/zero of=golden.img bs=1M count=8 seek=8 status=none
truncate -s 24M golden.img
cp --sparse=always golden.img model.img

data_clusters() {
	qemu-img map --output=json -f qed "$1" |
		perl -ne '
			while (/"length": (\d+), "depth": 0,[^}]*"data": true/g) { $sum += $1 }
			END { print $sum / 65536, "\n" }'
}

# ---- Copy-on-read ----
dev=$(qedd --name q --image q.qed --backing golden.img --backing-format raw 2>err)
require "an image over a backing file is made and served" test -b "$dev"
same "its size is the backing file's" "$(blockdev --getsize64 "$dev")" 25165824
same "cluster size is the unit of discards" "$(cat /sys/block/ublkb0/queue/discard_granularity) \
$(cat /sys/block/ublkb0/queue/optimal_io_size)" "65536 65536"
check "reads see the backing file" cmp "$dev" golden.img
check "SIGTERM" stop_server q
check "the image is whole" qemu-img check -q q.qed
check "and reads the same for QEMU" qemu-img compare -q q.qed golden.img
same "what was data is in the image, zeroes take nothing" "$(data_clusters q.qed)" 128
same "the backing file is as it was" "$(cmp golden.img model.img && echo same)" same

# ---- The same changes to the device and to a model ----
seed=${QEDBLK_SEED:-$(date +%s)}
echo "seed $seed"
RANDOM=$seed
dev=$(qedd --name q --image n.qed --backing golden.img --no-copy-on-read --queues 2)
for ((i = 0; i < 30; i++)); do
	# In units of 4 KiB, up to 1 MiB long; discards are of whole clusters.
	at=$((RANDOM % 5888)) len=$((RANDOM % 255 + 1))
	case $((RANDOM % 4)) in
	0 | 1)
		dd if=/dev/urandom of=piece bs=4k count=$len status=none
		dd if=piece of="$dev" bs=4k seek=$at oflag=direct status=none || break
		dd if=piece of=model.img bs=4k seek=$at conv=notrunc status=none
		;;
	2)
		blkdiscard -z -o $((at * 4096)) -l $((len * 4096)) "$dev" || break
		dd if=/dev/zero of=model.img bs=4k seek=$at count=$len conv=notrunc status=none
		;;
	3)
		at=$((at / 16 * 16)) len=$((len / 16 * 16 + 16))
		blkdiscard -o $((at * 4096)) -l $((len * 4096)) "$dev" || break
		dd if=/dev/zero of=model.img bs=4k seek=$at count=$len conv=notrunc status=none
		;;
	esac
done
same "all changes were made" $i 30
check "the device is like the model" cmp "$dev" model.img
check "SIGTERM again" stop_server q
check "the changed image is whole" qemu-img check -q n.qed
check "QEMU reads the model in it" qemu-img compare -q n.qed model.img

# ---- Verified writes over copy-on-read ----
dev=$(qedd --name q --image q.qed --queues 2)
check "fio with verify, two jobs" fio --name=v --filename="$dev" --direct=1 --ioengine=libaio \
	--iodepth=32 --rw=randwrite --bsrange=4k-128k --size=8M --offset_increment=8M --numjobs=2 \
	--verify=crc32c --verify_fatal=1 --randseed="$seed" --minimal
check "SIGTERM at last" stop_server q
check "the image is whole at last" qemu-img check -q q.qed

# ---- The same command again, and one that contradicts the image ----
dev=$(qedd --name q --image q.qed --backing golden.img --size 24M --cluster-size 64K)
check "the same command serves the image that is there" test -b "$dev"
stop_server q
expect_fail "another size is refused" qedd --name q --image q.qed --size 25M
expect_fail "another backing file is refused" qedd --name q --image q.qed --backing model.img
expect_fail "another cluster size is refused" qedd --name q --image q.qed --size 24M \
	--cluster-size 4K
check "the refusals changed nothing" qemu-img check -q q.qed

# ---- Names of backing files ----
mkdir -p sub/dir
dev=$(qedd --name q --image sub/dir/b.qed --backing golden.img)
check "a backing file is named as seen from here" test -b "$dev"
stop_server q
check "and is found again" eval '(cd / && qemu-img info -f qed "$SCRATCH/sub/dir/b.qed" |
	grep -q "backing file: $SCRATCH/golden.img")'
cp golden.img sub/dir/other.img && cp model.img other.img
expect_fail "a name that may mean two files is refused" \
	qedd --name q --image sub/dir/c.qed --backing other.img
expect_fail "and makes no image" test -e sub/dir/c.qed
finish
