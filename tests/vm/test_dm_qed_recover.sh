#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 400
# The server killed at any instant, and recovered, under the target `qed` with all that it can do.
# A write-zeroes that was answered is never lost, so what the target remembers of it is true;
# requests that were in flight are sent again, and what they wrote is seen.
# QEDBLK_DM_QED_KILLS=N kills 2 * N times, by hand; SEED=N repeats the choices.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1
kills=${QEDBLK_DM_QED_KILLS:-3}
seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "SEED=$seed"
modprobe -a dm-mod ublk_drv
require "the module loads" insmod "$QEDBLK_BUILD/modules/$(uname -r)/dm-qed.ko"
at_exit rmmod dm-qed

# Who writes where, in MiB: fio below 40, shadow from 40 to 48, zeroes from 48 to 56.
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

	# Writes to be converted, and cut.
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

# What fio says of any job whose blocks are aligned otherwise than their sizes.
harmless="fio: \(norandommap given\|Any use of blockalign=\)"

run_fio() {
	local rounds=0
	until [ -e enough ]; do
		fio --output=fio.out job >fio.err 2>&1 && ! grep -v "^$harmless" fio.err ||
			{ echo "fio failed"; grep -hE "^fio|verify|err= *[1-9]|rror" fio.err fio.out; return 1; }
		rounds=$((rounds + 1))
	done
	echo "$rounds rounds"
}

# same_as_shadow BLOCK COUNT: the device, and the one below, which remembers nothing, hold what
# the shadow does there (in units of 16 KiB, from the shadow's start).
same_as_shadow() {
	local from
	for from in $dev "$lower"; do
		dd if="$from" bs=16k skip=$((2560 + $1)) count="$2" iflag=direct status=none |
			cmp -n $(($2 << 14)) -i 0:$(($1 << 14)) - shadow ||
			{ echo "$from differs in $2 blocks from $1 on"; return 1; }
	done
}

# Data, zeroes and write-zeroes over one another, one at a time; after each the device is compared
# with a file to which the same was done. Clusters are 64 KiB: known as a whole, in part, not.
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

word() {
	qedctl status vm1 | awk -v name="target.$1" '$1 == name { print $2 }'
}

# zeroes_survive: data becomes zeroes, the server dies as soon as it has answered, and its successor
# has the zeroes, too. The target answers for them without asking.
zeroes_survive() {
	local -i at=$((48 + RANDOM % 6)) before
	dd if=data of=$dev bs=1M count=1 seek=$at oflag=direct conv=notrunc status=none || return 1
	# Part of the times the image's tables are on the disk when the zeroes come.
	[ $((RANDOM % 2)) = 0 ] || sync $dev || return 1
	if [ $((RANDOM % 2)) = 0 ]; then
		blkdiscard -f -z -o ${at}M -l 1M $dev || return 1
	else
		dd if=/dev/zero of=$dev bs=1M count=1 seek=$at oflag=direct conv=notrunc \
			status=none || return 1
	fi
	pkill -KILL -x qedd
	[ $((RANDOM % 2)) = 0 ] || sleep 0.$((RANDOM % 900 + 100))
	timeout 120 qedctl recover --all || return 1
	dd if="$lower" bs=1M skip=$at count=1 iflag=direct status=none | cmp -n 1M - /dev/zero ||
		{ echo "the image lost zeroes at $at MiB"; return 1; }
	before=$(word answered-sectors)
	dd if=$dev bs=1M skip=$at count=1 iflag=direct status=none | cmp -n 1M - /dev/zero &&
		[ "$(word answered-sectors)" -ge $((before + 2048)) ] ||
		{ echo "$before sectors were answered, now $(word answered-sectors)"; return 1; }
}

kill_and_recover() {
	local i
	for ((i = 0; i < kills; i++)); do
		sleep 0.$((RANDOM % 900 + 100))
		zeroes_survive || return 1
		sleep 0.$((RANDOM % 900 + 100))
		pkill -KILL -x qedd
		[ $((RANDOM % 2)) = 0 ] || sleep 0.$((RANDOM % 900 + 100))
		timeout 120 qedctl recover --all || return 1
	done
}

# A third data, so that lost zeroes show what was there before.
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

run_fio >fio.log 2>&1 &
fio=$!
follow_shadow >shadow.log 2>&1 &
shadow=$!
check "the server killed, and recovered, $((2 * kills)) times" kill_and_recover
touch enough
wait $fio
status=$?
same "fio verified all, with no error: $(tail -n 20 fio.log)" $status 0
wait $shadow
status=$?
same "what is known is true: $(tail -n 5 shadow.log)" $status 0
same "no request failed in the end" "$(qedctl stats vm1 | awk '$1 == "errors" { print $2 }')" 0
check "writes were converted" test "$(word converted-bios)" -gt 10
check "nothing fell back" test "$(word fallback-bios)" -eq 0
dd if=$dev of=seen bs=1M iflag=direct status=none
check "the device below holds what is seen" cmp seen "$lower"
check "remove" qedctl remove vm1
check "the image is whole" qemu-img check -q -f qed vm1.qed
check "QEMU reads what the device showed" qemu-img compare -f qed -F raw vm1.qed seen
check "the module goes" rmmod dm-qed
finish
