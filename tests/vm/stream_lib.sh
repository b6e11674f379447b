# SPDX-License-Identifier: GPL-2.0
# For scripts that stream a device which is in use; sourced after device_lib.sh, in $SCRATCH.
. "$vm_dir/load_lib.sh"

# stream_of DEVICE MEMBER: a member of the stream's part of `status`.
stream_of() {
	status_of "$1" "stream.$2"
}

is_streamed() {
	[ "$(stream_of "$1" state)" = done ]
}

# The clusters are counted; until then all figures are 0.
is_counted() {
	[ "$(stream_of "$1" clusters.total)" -gt 0 ]
}

# make_golden FILE COUNT: a file system with COUNT files of random content, their checksums in
# `sums`, written zeroes, and holes.
make_golden() {
	local i
	mkdir -p files
	for i in $(seq "$2"); do
		head -c $((RANDOM * 40 + i)) /dev/urandom >files/$i
	done
	head -c 8M /dev/zero >files/zeroes
	(cd files && sha256sum -- *) >sums
	truncate -s 96M "$1"
	require "a golden image" mkfs.ext4 -q -d files "$1"
}

# direct_sum FILE: the checksum of the file on the device, not of the page cache.
direct_sum() {
	dd if="$1" bs=64k iflag=direct status=none | sha256sum | cut -d ' ' -f 1
}

# Copy files of the golden image within it, and compare the copies, repeatedly.
copy_files() {
	local sum file
	until [ -e enough ]; do
		while read -r sum file; do
			cp mnt/"$file" mnt/copy && sync -f mnt/copy || return 1
			[ "$(direct_sum mnt/copy)" = "$sum" ] || { echo "$file differs"; return 1; }
			[ ! -e enough ] || return 0
		done <sums
	done
}

run_fio() {
	until [ -e enough ]; do
		fio --name=v --filename=mnt/fio --size=4M --bsrange=4k-32k --rw=randrw --direct=1 \
			--ioengine=io_uring --iodepth=8 --verify=crc32c --verify_fatal=1 \
			--randseed=$RANDOM >fio.out 2>&1 || { fio_complaints fio.out; return 1; }
	done
}

# use_begin NAME: mount the device, and use it until use_end.
use_begin() {
	rm -f enough
	mkdir -p mnt
	at_exit umount "$SCRATCH/mnt"
	require "$1: it is mounted" mount "/dev/mapper/$1" mnt
	load fio run_fio
	load copy copy_files
}

# All reads were right, no request failed, and the file system is consistent.
use_end() {
	touch enough
	load_ended fio "$1: fio found what it wrote"
	load_ended copy "$1: copies were like their files"
	no_errors "$1"
	check "$1: unmounted and mounted again" eval "umount mnt && mount /dev/mapper/$1 mnt"
	check "$1: every file is right" eval '(cd mnt && sha256sum -c --quiet ../sums)'
	check "$1: unmounted" umount mnt
	check "$1: e2fsck finds nothing" e2fsck -fn "/dev/mapper/$1"
}

# kill_stream_server NAME, recover_stream NAME
kill_stream_server() {
	local pid
	pid=$(status_of "$1" pid)
	kill -KILL "$pid"
	wait_until 20 eval "! kill -0 $pid"
}

recover_stream() {
	require "$1: recovered" within 120 qedctl recover "$1"
}

# kill_and_recover NAME: kill its server in the middle of a stream. Its successor resumes the stream
# with the remaining clusters by itself.
kill_and_recover() {
	local first left
	wait_until 20 is_counted "$1"
	first=$(stream_of "$1" clusters.left)
	# The speed given at first does not persist.
	qedctl stream "$1" --speed 90K
	check "$1: something is streamed" wait_until 60 eval "[ \$(stream_of $1 clusters.left) -lt $first ]"
	# Flush, so that populated clusters are not repeated.
	sync -f mnt
	same "$1: there is more to stream" "$(stream_of "$1" state)" running
	kill_stream_server "$1"
	a_while
	recover_stream "$1"
	check "$1: it streams again" wait_until 20 is_counted "$1"
	same "$1: at the speed that it had" "$(stream_of "$1" speed)" 92160
	left=$(stream_of "$1" clusters.left)
	check "$1: not from the start: $left of $first clusters" test "$left" -lt "$first"
}

# streamed_out NAME: wait for the stream's end while the device is used.
streamed_out() {
	check "$1: the stream ends, with progress" eval \
		"qedctl stream $1 --speed 0 -p | tr '\r' '\n' | grep -q '(100.00/100%)'"
	same "$1: nothing is left" "$(stream_of "$1" clusters.left)" 0
	json_is "$1: no backing chain" 'd["backing-chain"] == []' qedctl status --json "$1"
}

# removed NAME IMAGE: remove the device, and check the image.
removed() {
	check "$1: removed" qedctl remove "$1" --retry
	check "$1: no backing file in the image" eval "! qed-img info $2 | grep -q backing"
	check "$1: QEMU finds nothing wrong" qemu-img check -q -f qed "$2"
}
