#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 420
# Power loss under a real kernel: dm-log-writes records all writes of an image's file system. The
# disk is rebuilt as it was at marks, which follow acknowledged flushes, and at points between them,
# where writes after the disk's last flush may be lost or torn. Each time the file system is mounted
# and the image in it checked.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/power_lib.sh"

cd "$SCRATCH" || exit 1
points=${QEDBLK_POINTS:-16}
ops=${QEDBLK_OPS:-1200}
modprobe -a ublk_drv dm-log-writes || finish
mkdir -p mnt crash
at_exit umount "$SCRATCH/crash"
at_exit umount "$SCRATCH/mnt"
at_exit dmsetup remove --retry powerlog

# judge_point TO FLUSHED MARK NEXT SEED: check the disk at one point; replayed.img has been rolled
# forward to entry $done.
judge_point() {
	local to=$1 flushed=$2 mark=$3 next=$4 lose=$5
	logwrites replay log.img replayed.img "$done" "$flushed" && done=$flushed &&
		cp --sparse=always replayed.img crash.img &&
		logwrites replay log.img crash.img "$flushed" "$to" "$lose" &&
		mount -o loop crash.img crash || return 1
	powerjudge crash/p.qed history "$mark" "$next"
	local verdict=$?
	# QEMU checks a sample.
	if [ $verdict -eq 0 ] && [ $((judged % 6)) -eq 0 ]; then
		qemu-img check -q -f qed crash/p.qed
		# A crash may leave leaks.
		case $? in 0 | 3) ;; *) verdict=1 ;; esac
	fi
	umount crash || return 1
	return $verdict
}

# power_log NAME BACKING-MIB SERVER-OPTIONS...
power_log() {
	local name=$1 backing=$(($2 << 20)) cluster=16384 done=0 judged=0 bad=0 point
	local data log options=("${@:3}")
	data=$(new_disk data.img $disk_mib) && log=$(new_disk log.img 2000) || return 1
	require "$name: mkfs" mkfs.ext4 -q -E lazy_itable_init=1 "$data"
	cp --sparse=always data.img replayed.img
	require "$name: dm-log-writes" dmsetup create powerlog --noudevsync --table \
		"0 $(blockdev --getsz "$data") log-writes $data $log"
	dmsetup mknodes powerlog
	mount /dev/mapper/powerlog mnt || return 1
	if [ "$backing" -gt 0 ]; then
		powerload backing backing.raw "$backing" $cluster
		options+=(--backing "$SCRATCH/backing.raw" --backing-format raw)
	fi
	require "$name: server" start_server mnt/p.qed --size 32M --cluster-size $cluster \
		--queues 2 "${options[@]}"
	check "$name: load" powerload load "$dev" history 4 "$ops" "$seed" $cluster "$backing" powerlog
	check "$name: the server ends" stop_server p
	umount mnt && dmsetup remove --retry powerlog || return 1
	sync log.img data.img
	losetup -d "$data" "$log"

	mount -o loop data.img mnt || return 1
	check "$name: all is there that was written" powerjudge mnt/p.qed history end
	check "$name: qemu-img check" qemu-img check -q -f qed mnt/p.qed
	umount mnt
	logwrites plan log.img "$points" "$seed" >plan || return 1
	while read -r point; do
		# Unquoted: the fields are separate arguments.
		if ! judge_point $point >verdict 2>&1; then
			echo "    point $point:"
			sed 's/^/        /' verdict | head -n 20
			bad=$((bad + 1))
		fi
		judged=$((judged + 1))
	done <plan
	same "$name: what power may leave is right, at $(grep -c . plan) points of \
$(logwrites marks log.img | wc -l) marks" "$bad of $judged bad" "0 of $points bad"
	rm -f data.img log.img replayed.img crash.img history backing.raw
}

power_log "no backing file" 0 || not_ok "no backing file" "could not go on"
power_log "copy-on-read" 24 || not_ok "copy-on-read" "could not go on"
finish
