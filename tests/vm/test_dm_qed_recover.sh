#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 400
# The server killed at random times, and recovered, under the target `qed` with all its features. An
# acknowledged write-zeroes is never lost, so the known-zero map stays right; requests in flight are
# sent again, and what they write is visible. QEDBLK_DM_QED_KILLS=N kills 2 * N times, by
# hand.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"
. "$vm_dir/dm_qed_lib.sh"

cd "$SCRATCH" || exit 1
. "$vm_dir/load_lib.sh"
dev=/dev/mapper/vm1
kills=${QEDBLK_DM_QED_KILLS:-3}

# The writer of each region, in MiB: fio below 40, shadow from 40 to 48, zeroes from 48 to 56.
cat >job <<-END
	[global]
	filename=$dev
	direct=1
	ioengine=io_uring
	iodepth=16
	randseed=$seed
	verify_fatal=1

	[mixed]
	rw=randrw
	rwmixread=30
	bsrange=4k-256k
	size=16M
	io_size=1M
	verify=crc32c
	verify_backlog=32

	# Writes that are converted, and split.
	[zeroes]
	rw=randwrite
	bsrange=32k-1M
	blockalign=4k
	offset=16M
	size=16M
	io_size=8M
	verify=pattern
	verify_pattern=0x00
	verify_backlog=16

	[trimmed]
	rw=randtrimwrite
	bs=64k
	offset=32M
	size=8M
	io_size=1M
	verify=crc32c
END

# same_as_shadow BLOCK COUNT: the device, and the one below it, which has no known-zero map, hold
# the shadow file's data (in units of 16 KiB, from the shadow's start).
same_as_shadow() {
	local from
	for from in $dev "$lower"; do
		dd if="$from" bs=16k skip=$((2560 + $1)) count="$2" iflag=direct status=none |
			cmp -n $(($2 << 14)) -i 0:$(($1 << 14)) - shadow ||
			{ echo "$from differs in $2 blocks from $1 on"; return 1; }
	done
}

# Data, zeroes and write-zeroes over one another, one at a time; after each, the device is compared
# with a file that had the same changes. Clusters of 64 KiB are known whole, in part, or not.
follow_shadow() {
	local -i i at count
	for ((i = 0; ; i++)); do
		[ -e enough ] && break
		at=$((RANDOM % 480)) count=$((RANDOM % 32 + 1)) from=/dev/zero
		[ $((RANDOM % 3)) != 0 ] || at=$((at & ~3))
		case $((RANDOM % 3)) in
		0) from=data ;&
		1)
			dd if=$from of=$dev bs=$((count << 14)) count=1 seek=$((41943040 + (at << 14))) \
				oflag=direct,seek_bytes conv=notrunc status=none || return 1 ;;
		2) blkdiscard -f -z -o $(((2560 + at) << 14)) -l $((count << 14)) $dev || return 1 ;;
		esac
		dd if=$from of=shadow bs=16k seek=$at count=$count conv=notrunc status=none &&
			same_as_shadow $at $count || return 1
	done
	echo "$i steps"
	same_as_shadow 0 512
}

# zeroes_survive: data becomes zeroes, the server is killed as soon as it has answered, and its
# successor must have the zeroes, too. The target answers reads of them without the server.
zeroes_survive() {
	local -i at=$((48 + RANDOM % 6)) before
	dd if=data of=$dev bs=1M count=1 seek=$at oflag=direct conv=notrunc status=none || return 1
	# Sometimes the image's tables are on disk before the zeroes come.
	perhaps sync $dev || return 1
	if [ $((RANDOM % 2)) = 0 ]; then
		blkdiscard -f -z -o ${at}M -l 1M $dev || return 1
	else
		dd if=/dev/zero of=$dev bs=1M count=1 seek=$at oflag=direct conv=notrunc \
			status=none || return 1
	fi
	kill_and_recover_all || return 1
	dd if="$lower" bs=1M skip=$at count=1 iflag=direct status=none | cmp -n 1M - /dev/zero ||
		{ echo "the image lost zeroes at $at MiB"; return 1; }
	before=$(status_of vm1 target.answered-sectors)
	dd if=$dev bs=1M skip=$at count=1 iflag=direct status=none | cmp -n 1M - /dev/zero &&
		[ "$(status_of vm1 target.answered-sectors)" -ge $((before + 2048)) ] ||
		{ echo "$before sectors were answered, now $(status_of vm1 target.answered-sectors)"; return 1; }
}

kill_again_and_again() {
	local i
	for ((i = 0; i < kills; i++)); do
		a_while
		zeroes_survive || return 1
		a_while
		kill_and_recover_all || return 1
	done
}

# A third data, so that lost zeroes show the old data.
head -c 24M /dev/urandom >golden.img
truncate -s 64M golden.img
head -c 1M /dev/urandom >data
truncate -s 8M shadow
require "create" qedctl create vm1 vm1.qed --backing golden.img --backing-format raw --queues 2 \
	--depth 32 --cluster-size 64K --detect-zeroes unmap --known-zero
lower=$(status_of vm1 ublk-device)
features="detect_zeroes unmap cluster_size 65536 known_zero"
require "the cluster size is given, too" eval 'dmsetup load vm1 --table \
	"0 131072 qed $lower 5 $features" && dmsetup suspend vm1 && dmsetup resume vm1'
same "all of it is on" "$(dmsetup table vm1 | cut -d ' ' -f 3,5-)" "qed 5 $features"

load fio fio_rounds
load shadow follow_shadow
check "the server killed, and recovered, $((2 * kills)) times" kill_again_and_again
touch enough
load_ended fio "fio verified all, with no error"
load_ended shadow "what is known is true"
no_errors vm1
check "writes were converted" test "$(status_of vm1 target.converted-bios)" -gt 10
check "nothing fell back" test "$(status_of vm1 target.fallback-bios)" -eq 0
dd if=$dev of=seen bs=1M iflag=direct status=none
check "the device below holds what is seen" cmp seen "$lower"
check "remove" qedctl remove vm1
check "the image is whole" qemu-img check -q -f qed vm1.qed
check "QEMU reads what the device showed" qemu-img compare -f qed -F raw vm1.qed seen
check "the module goes" rmmod dm-qed
finish
