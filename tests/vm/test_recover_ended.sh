#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
# `qedctl recover` of a device whose server ended while its mapping was in use: it refuses where
# data may be lost, and can be tried again after a failure.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1
json=/run/qedblk/vm1.json
lost="recover vm1: its server did not end in order, and its ublk device is gone: what was not flushed \
may be lost"

# A server ends at the second SIGTERM, though its mapping is open.
end_in_use() {
	local pid
	pid=$(server_pid vm1)
	exec 7<$dev
	kill -TERM "$pid"
	sleep 1.5
	kill -TERM "$pid"
	check "$1: it ends in use" wait_until 20 test ! -e "/proc/$pid"
	exec 7<&-
}

head -c 4M /dev/urandom >golden
head -c 1M /dev/urandom >data
require "create" qedctl create vm1 vm1.qed --size 64M --backing golden --backing-format raw
dd if=data of=$dev bs=1M seek=8 oflag=direct status=none
end_in_use "first"

# ---- Killed after its ublk device went, and before its image was closed ----
cp $json ended.json
sed -i 's/"pid": null/"pid": 4194304/' $json
cp $json killed.json
cp data /run/qedblk/vm1.rescue
for try in 1 2; do
	expect_line "killed while it ended: recover refuses ($try)" "$lost" qedctl recover vm1
	check "killed while it ended: its files stay ($try)" eval \
		'cmp $json killed.json && cmp data /run/qedblk/vm1.rescue'
done
cp ended.json $json
rm /run/qedblk/vm1.rescue
check "ended in order: recover" qedctl recover vm1
check "ended in order: what was written is there" cmp -n 1M -i 0:8388608 data $dev
check "remove" qedctl remove --retry vm1

# ---- A new server that cannot start, or serves too little ----
# [exits=N] fails_with NAME LINE: recover fails, and leaves what the next one needs; an empty LINE matches any.
fails_with() {
	expect_line "$1: recover fails" "${2:+recover vm1: $2}" qedctl recover vm1
	check "$1: the description stays" cmp ended.json $json
	same "$1: with its mode, and alone" "$(stat -c '%a %n' /run/qedblk/*)" "600 $json"
}

require "create once more" qedctl create vm1 vm1.qed
end_in_use "second"
cp $json ended.json
mv golden away
exits=3 fails_with "no golden image" ""
mv away golden
mv vm1.qed away
echo "no image" >vm1.qed
fails_with "no image" ""
mv away vm1.qed
check "at last: recover" qedctl recover vm1
check "at last: what was written is there" cmp -n 1M -i 0:8388608 data $dev
check "at last: remove" qedctl remove --retry vm1

truncate -s 8M disk.raw
require "create over a raw image" qedctl create vm1 disk.raw --format raw
end_in_use "size"
cp $json ended.json
truncate -s 4M disk.raw
fails_with "smaller" "the device has 8388608 bytes, and its image only 4194304"
truncate -s 16M disk.raw
check "larger: recover" qedctl recover vm1
same "larger: the device keeps its size" "$(blockdev --getsize64 $dev)" 8388608
check "larger: remove" qedctl remove --retry vm1

# ---- Its last flush failed ----
truncate -s 32M low.raw
loop=$(losetup --find --show low.raw)
at_exit losetup -d "$loop"
dmsetup create foreign-low --table "0 65536 linear $loop 0"
dmsetup mknodes foreign-low
at_exit dmsetup remove --retry foreign-low
require "create over a disk" qedctl create vm1 /dev/mapper/foreign-low --format raw
dd if=data of=$dev bs=1M oflag=direct status=none
dmsetup reload foreign-low --table "0 65536 flakey $loop 0 0 3600 1 error_writes"
dmsetup suspend --noflush foreign-low && dmsetup resume foreign-low
dd if=data of=$dev bs=1M seek=1 oflag=direct status=none 2>/dev/null
end_in_use "flush fails"
dmsetup reload foreign-low --table "0 65536 linear $loop 0"
dmsetup suspend --noflush foreign-low && dmsetup resume foreign-low
expect_line "flush fails: recover refuses" "$lost" qedctl recover vm1
same "flush fails: it can be given up" "$(ls $json)" $json
check "flush fails: remove" qedctl remove --retry vm1

only_these "nothing is left"
finish
