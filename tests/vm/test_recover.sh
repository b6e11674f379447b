#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 300
# `qedctl recover`: which requests wait, which commands are refused, which work on a device without
# server.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1

head -c 4M /dev/urandom >data
# A name that is not UTF-8, and relative names: a successor starts in the first server's directory.
image=$'vm\xff1.qed'
mkdir base && cp data base/golden.img
require "create" qedctl create vm1 "$image" --backing base/golden.img --backing-format raw --size 64M
exits=4 expect_line "recover of a live one" "recover vm1: its server runs" qedctl recover vm1
check "recover --all where all live" qedctl recover --all
exits=3 expect_line "recover of nothing" "recover nix: no such device" qedctl recover nix
exits=2 expect_line "recover without a name" "recover: NAME or --all is needed" qedctl recover
same "status tells that it can be recovered" "$(status_of vm1 recovery)" yes

# ---- Acknowledged, never flushed ----
check "write" dd if=data of=$dev bs=64k seek=128 oflag=direct status=none
check "write zeroes" blkdiscard -z -o 1048576 -l 131072 $dev
kill_server vm1
same "ls shows it as dead" "$(qedctl ls | awk '$1 == "vm1" { print $NF }')" dead
# Recovery needs the lock, which another user must not be able to take.
same "other users have no access to its files" "$(stat -c %a /run/qedblk /run/qedblk/vm1.* | xargs)" \
	"750 600 600 600 600"
other=(setpriv --reuid 65534 --regid 65534 --clear-groups -- flock --shared /run/qedblk/vm1.lock)
"${other[@]}" sleep 1000 2>/dev/null &
at_exit kill $!
expect_fail "another user cannot take its lock" within 20 "${other[@]}" true
dd if=$dev of=back bs=64k skip=128 count=64 iflag=direct status=none &
reader=$!
sleep 1
check "its reader waits" kill -0 $reader
exits=4 expect_line "remove of one that can be recovered" "remove vm1: its server died: recover it first, \
or use --force, which loses what was not flushed" qedctl remove vm1
exits=4 expect_line "create in its place" "create vm1: device exists, but its server died: recover or \
remove it first" qedctl create vm1 other.qed --size 1M
check "a server by hand in its place is refused, in a line" eval \
	'! qedd --name vm1 --image other.qed --size 1M 2>err &&
		grep -q "of a server that died waits: qedctl recover vm1" err && [ ! -e other.qed ]'
cd / && check "recover, from another folder" qedctl recover vm1
cd "$SCRATCH" || exit 1
wait $reader
same "its reader got its answer" $? 0
check "what was answered is there" cmp data back
check "zeroes, too" cmp -n 131072 -i 1048576:0 $dev /dev/zero
check "the rest is the golden image's" cmp -n 1048576 $dev base/golden.img
same "it is live" "$(status_of vm1 state)" live

# ---- Without mapping; flushed before the kill, not after ----
require "another, without mapping" qedctl create vm2 vm2.qed --size 64M --no-dm
check "recover --all, of two" eval 'pkill -KILL -x qedd; qedctl recover --all'
same "both live" "$(qedctl ls | awk '{ print $NF }' | sort | uniq -c | xargs)" "1 STATE 2 live"

# ---- A successor that cannot open the image ----
kill_server vm1
mv "$image" elsewhere
expect_fail "recover without the image" qedctl recover vm1
same "it is dead still" "$(qedctl ls | awk '$1 == "vm1" { print $NF }')" dead
mv elsewhere "$image"
check "recover with it" qedctl recover vm1

# ---- Given up ----
kill_server vm1
dd if=/dev/zero of=$dev bs=64k count=1 oflag=direct 2>/dev/null &
writer=$!
sleep 1
check "remove --force of a dead one with I/O in flight" within 60 qedctl remove --force vm1
expect_fail "the I/O has failed" wait $writer
check "remove the other" qedctl remove vm2
check "nothing is left" eval '[ ! -e $dev ] && [ -z "$(ls /run/qedblk /sys/class/ublk-char | grep -v :)" ]'
check "qemu-img check of the image, but for leaks" eval 'qemu-img check -q "$image"; [ $? = 0 -o $? = 3 ]'
finish
