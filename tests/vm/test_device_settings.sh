#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 240
# `qedctl set` of what a server changes by itself: copy-on-read, a stream's speed, what becomes of
# what is pending, the detection of zeroes. It lasts: a recovered device has it, too.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1
head -c 8M /dev/urandom >golden
read_at() { dd if=$dev of=/dev/null bs=1M skip="$1" count=1 iflag=direct status=none; }
# kept: the clusters that the image has of its own, when nothing is pending.
kept() {
	wait_until 40 eval '[ "$(status_of vm1 pending-clusters)" = 0 ]'
	qedctl info vm1 | awk '$1 == "clusters.data" { print $2 }'
}

require "create" qedctl create vm1 vm1.qed --backing golden --backing-format raw
read_at 0
same "reads are kept" "$(kept)" 16
check "set copy-on-read=off" qedctl set vm1 copy-on-read=off
same "status tells" "$(status_of vm1 copy-on-read)" no
read_at 1
same "reads are not kept any more" "$(kept)" 16
kill_server vm1
check "recover" qedctl recover vm1
read_at 2
same "nor by a new server" "$(status_of vm1 copy-on-read) $(kept)" "no 16"
check "set copy-on-read=on" qedctl set vm1 copy-on-read=on pending=finish
read_at 3
same "reads are kept again" "$(status_of vm1 copy-on-read) $(kept)" "yes 32"
check "pending lasts" grep -q -e '--pending=finish' /run/qedblk/vm1.json

expect_line "speed, without a stream" "" qedctl set vm1 speed=1M
check "a stream" qedctl stream --speed 64K vm1
check "set its speed" qedctl set vm1 speed=100K
json_is "it has that" "d['stream']['speed'] == 102400" qedctl status --json vm1
check "and none" qedctl set vm1 speed=0
check "so it ends" qedctl stream --wait vm1
check "remove" qedctl remove vm1
check "the image has all" qed-img compare -f qed -F raw vm1.qed golden

require "create without a backing file" qedctl create vm2 vm2.qed --size 16M
expect_line "copy-on-read of nothing" "" qedctl set vm2 copy-on-read=on
check "set detect-zeroes" qedctl set vm2 detect-zeroes=unmap
same "it has that" "$(status_of vm2 detect-zeroes)" unmap
kill_server vm2
check "recover it" qedctl recover vm2
same "it lasts" "$(status_of vm2 detect-zeroes)" unmap
check "remove it" qedctl remove vm2
only_these "nothing is left"
json_verdicts
finish
