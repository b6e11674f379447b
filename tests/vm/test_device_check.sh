#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 300
# The image of a live device is checked, and leaks are freed, again and again under load: nothing is
# lost, nothing found that is not there, and requests go on meanwhile. SEED=N repeats the choices.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
. "$vm_dir/load_lib.sh"
dev=/dev/mapper/vm1

# leak IMAGE: drop 40 entries of its first table, of guest clusters 16 to 55.
leak() {
	python3 - "$1" <<-'END'
		import struct, sys
		with open(sys.argv[1], "r+b") as image:
		    image.seek(40)
		    image.seek(struct.unpack("<Q", image.read(8))[0])
		    table, = struct.unpack("<Q", image.read(8))
		    image.seek(table + 16 * 8)
		    image.write(bytes(40 * 8))
	END
}

# ---- An image with leaks, under load ----
require "make the golden image" dd if=/dev/urandom of=golden.raw bs=1M count=32 status=none
require "make an image" qed-img create -q -f qed -o cluster_size=16k,backing_file=golden.raw,backing_fmt=raw vm1.qed 256M
require "write to it" qed-io -f qed -c "write -q -P 5 0 8M" vm1.qed
require "leak clusters" leak vm1.qed
status=$(qed-img check -q vm1.qed; echo $?)
same "they are leaked" "$status" 3
require "create" qedctl create vm1 vm1.qed
cat >job <<-END
	[global]
	filename=$dev
	direct=1
	ioengine=io_uring
	iodepth=8
	randseed=$seed
	verify_fatal=1
		[writes]
	rw=randwrite
	offset=32M
	size=24M
	bsrange=4k-128k
	verify=crc32c
	verify_backlog=32
	fsync=32
	[trimmed]
	rw=randtrimwrite
	bs=16k
	offset=96M
	size=8M
	verify=crc32c
	[reads]
	rw=randread
	bs=4k
	size=8M
	io_size=4M
END
load verified fio_rounds
sleep 1
qedctl check --json vm1 >found.0
same "the exit status tells of leaks" $? 1
same "leaks are found under load" "$(grep -E '"(corruptions|check-errors|leaks)"' found.0 | tr -d ' \n')" \
	'"check-errors":0,"leaks":40,'
check "they are freed under load" qedctl check --repair leaks vm1
for round in {1..12}; do
	within 60 qedctl check --repair leaks --json vm1 >found.$round 2>&1 ||
		{ not_ok "check $round" "$(cat found.$round)"; break; }
	! grep -q '"\(leaks\|leaks-fixed\|corruptions\)"' found.$round ||
		{ not_ok "check $round finds nothing" "$(cat found.$round)"; break; }
done
[ -e found.12 ] && ok "twelve checks under load find nothing"
# ---- Beside a stream, and a server that is killed ----
check "stream" qedctl stream --speed 20M vm1
check "check beside a stream" qedctl check vm1
qedctl check vm1 >killed.out 2>&1 &
checker=$!
kill_server vm1
wait $checker
check "recover" qedctl recover vm1
check "check after that" qedctl check vm1
touch enough
load_ended verified "fio verifies meanwhile"
no_errors vm1
check "remove" qedctl remove vm1
check "the image is good" qed-img check -q vm1.qed
check "what was not written is as it was" qed-io -f qed -c "read -q -P 5 0 256k" -c "read -q -P 5 896k 7296k" vm1.qed
finish
