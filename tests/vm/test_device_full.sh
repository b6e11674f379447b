#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 300
# The image's file system becomes full under load, and has room again, ten times: the writes that
# need room wait, everything else goes on, and nothing is lost. SEED=N repeats the choices.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
. "$vm_dir/load_lib.sh"
. "$vm_dir/full_lib.sh"
dev=/dev/mapper/vm1

# ---- Waiting ----
require "create" qedctl create vm1 host/vm1.qed --size 4G
same "the option" "$(status_of vm1 on-full)" wait=60
require "data before" dd if=/dev/urandom of=before bs=1M count=4
check "written" dd if=before of=$dev bs=1M oflag=direct conv=fsync
fill
dd if=/dev/urandom of=waits bs=1M count=24 status=none
dd if=waits of=$dev bs=1M seek=64 oflag=direct conv=fsync 2>dd.err &
writer=$!
check "status says that requests wait" wait_until 20 is_full
json_is "since when" "d['full']['waiting'] > 0 and d['full']['since'] >= '20' and any('full since' in w for w in d['warnings'])" \
	qedctl status --json vm1
check "reads go on" cmp -n 4M before $dev
check "writes in place go on" dd if=before of=$dev bs=1M count=2 oflag=direct
sleep 3
check "they still wait" kill -0 $writer
make_room
check "they go on when there is room" wait $writer
check "with their data" cmp -n 24M waits <(dd if=$dev bs=1M skip=64 count=24 status=none)
json_is "nothing waits" "'full' not in d and not d['warnings']" qedctl status --json vm1
no_errors vm1

# ---- Ten times, under load ----
cat >job <<-END
	[global]
	filename=$dev
	direct=1
	ioengine=io_uring
	iodepth=16
	randseed=$seed
	verify_fatal=1
		[writes]
	rw=randwrite
	bsrange=4k-256k
	size=24M
	verify=crc32c
	verify_backlog=32
	fsync=64
	[trimmed]
	rw=randtrimwrite
	bs=64k
	offset=2G
	size=16M
	verify=crc32c
END
load verified fio_rounds
# one_round NUMBER: a write of 8 MiB that needs room waits for it, beside the load.
one_round() {
	fill
	dd if=waits of=$dev bs=1M count=8 seek=$((3072 + $1 * 8)) oflag=direct conv=fsync 2>dd.err &
	writer=$!
	wait_until 30 is_full || { not_ok "round $1: it is full" "no request waits"; return 1; }
	a_while
	make_room
	check "round $1: it goes on" wait $writer &&
		check "round $1: with its data" cmp -n 8M waits <(dd if=$dev bs=1M skip=$((3072 + $1 * 8)) count=8 status=none)
}
for round in {1..10}; do
	one_round $round || break
done
touch enough
load_ended verified "fio verifies while the file system is full ten times"
no_errors vm1
check "remove" qedctl remove vm1
check "the image is good" qed-img check -q host/vm1.qed

# ---- A stream, and reads that would be kept ----
stream_is_full() {
	[ "$(status_of vm1 full.job)" = stream ]
}
rm -f host/vm1.qed
require "a golden image" dd if=/dev/urandom of=golden.raw bs=1M count=24
require "create over it" qedctl create vm1 host/vm1.qed --backing golden.raw --backing-format raw
fill
check "reads go on" cmp -n 8M golden.raw $dev
require "stream" qedctl stream vm1
check "it waits for room" wait_until 30 stream_is_full
json_is "since when" "d['full']['since'] >= '20' and not d['full']['waiting'] and d['stream']['state'] == 'waiting' and \
any('the stream waits' in w for w in d['warnings'])" qedctl status --json vm1
check "a table can be loaded meanwhile" qedctl reload vm1 --detect-zeroes off
check "reads still go on" cmp golden.raw $dev
make_room
check "the stream goes on by itself" qedctl stream --wait vm1
json_is "nothing is full" "'full' not in d and not d['backing-chain']" qedctl status --json vm1
check "with its data" cmp golden.raw $dev
check "removed after the stream" qedctl remove vm1
check "the streamed image is good" qed-img check -q host/vm1.qed

# ---- The end of the wait, and no wait ----
rm -f host/vm1.qed
require "create again" qedctl create vm1 host/vm1.qed --size 1G --on-full wait=2
fill
expect_fail "after the time the write fails" dd if=waits of=$dev bs=1M oflag=direct
make_room
check "and later ones do not" dd if=waits of=$dev bs=1M oflag=direct conv=fsync
check "set another option" qedctl set vm1 on-full=wait=3
same "it has that" "$(status_of vm1 on-full)" wait=3
check "and none" qedctl set vm1 on-full=error
kill_server vm1
check "recover" qedctl recover vm1
same "it stays so" "$(status_of vm1 on-full)" error
exits=2 expect_line "a wrong value" "set vm1: on-full: 'wait=0' does not wait for 1 second to a day" \
	qedctl set vm1 on-full=wait=0
check "removed" qedctl remove vm1
rm -f host/vm1.qed
require "create with error" qedctl create vm1 host/vm1.qed --size 1G --on-full error
fill
expect_fail "it fails at once" timeout 20 dd if=waits of=$dev bs=1M oflag=direct
check "removed, too" qedctl remove --force vm1
make_room

# ---- The server ends, or dies, while requests wait ----
rm -f host/vm1.qed
require "create for removal" qedctl create vm1 host/vm1.qed --size 1G --on-full wait=3600
fill
dd if=waits of=$dev bs=1M oflag=direct 2>dd.err &
writer=$!
wait_until 20 is_full
kill_server vm1
check "recover" qedctl recover vm1
check "requests sent again wait, too" wait_until 20 is_full
make_room
check "and are done" wait $writer
check "the data is there" cmp -n 24M waits $dev
fill
dd if=waits of=$dev bs=1M seek=100 oflag=direct 2>dd.err &
writer=$!
wait_until 20 is_full
exits=4 expect_line "no new table while requests wait" "reload vm1: requests wait for room in the file system of \
its image: make room first" qedctl reload vm1 --detect-zeroes on
check "remove by force does not wait for room" within 30 qedctl remove --force vm1
expect_fail "the request fails" wait $writer
make_room
json_verdicts
finish
