#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 300
# The device-mapper target `qed`, with dmsetup: tables, conversion of zero writes, the known-zero
# map, messages and events.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"
. "$vm_dir/dm_qed_lib.sh"

cd "$SCRATCH" || exit 1
t=/dev/mapper/t
require "an image is served" qedctl create vm1 vm1.qed --size 64M --no-dm --queues 2
ublk=$(status_of vm1 ublk-device)
numbers=$(cat "/sys/block/${ublk#/dev/}/dev")
sectors=131072

# ---- Tables ----
same "the kernel has the target" "$(dmsetup targets | grep -c '^qed  *v1\.0\.0')" 1

# bad_table NAME REASON PARAMS [SECTORS]
bad_table() {
	echo "qedblk: bad table" >/dev/kmsg
	expect_fail "bad table: $1" dmsetup create bad --table "0 ${4:-$sectors} qed $3"
	reasons+=("$2")
}
reasons=()
bad_table "no device" "A device is needed" ""
bad_table "no such device" "Device lookup failed" /dev/none
bad_table "larger than the device" "Device is smaller than the target" "$ublk" $((sectors + 8))
bad_table "more features than words" "Invalid number of feature arguments" "$ublk 2 known_zero"
bad_table "a feature count that is no number" "Invalid number of feature arguments" "$ublk x"
bad_table "words behind the features" "Arguments behind the feature arguments" \
	"$ublk 1 known_zero more"
bad_table "an unknown feature" "Unknown feature argument" "$ublk 1 fast"
bad_table "a feature twice" "Feature argument given twice" "$ublk 2 known_zero known_zero"
bad_table "a mode that is none" "detect_zeroes is neither on nor unmap" "$ublk 2 detect_zeroes yes"
bad_table "a mode that is missing" "detect_zeroes is neither on nor unmap" "$ublk 1 detect_zeroes"
bad_table "a cluster size that cannot be" "cluster_size is not a power of two from 4096 to 67108864" \
	"$ublk 2 cluster_size 5000"
# Logical blocks larger than a page: 6.15 and later.
truncate -s 64M blocks
if loop=$(losetup --sector-size 16384 --find --show blocks 2>/dev/null); then
	bad_table "a cluster size below a logical block" \
		"cluster_size is less than the device's logical block" "$loop 2 cluster_size 8192"
	check "a cluster of one logical block" dm_new t "0 $sectors qed $loop 2 cluster_size 16384"
	dmsetup remove t
	losetup -d "$loop"
fi
same "the kernel's log tells why, one reason each" "$(dmesg | sed '1,/qedblk: bad table/d' |
	sed -n 's/.*: qed: \(.*\) (-E[A-Z]*)$/\1/p')" "$(printf '%s\n' "${reasons[@]}")"
# The creator receives a more specific error than EINVAL, too.
cat >held.py <<-'END'
	import os, subprocess, sys
	os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)
	subprocess.run(["dmsetup", "create", "bad", "--table", sys.argv[2]])
END
check "a device that somebody else holds is busy" eval \
	"python3 held.py $ublk '0 $sectors qed $ublk' 2>&1 | grep 'Device or resource busy'"
same "nothing is left of them" "$(dmsetup ls | grep -c bad)" 0
expect_fail "a second target in the table" dmsetup create bad --table "0 8 qed $ublk
8 8 zero"

# reloads PARAMS: the table that the kernel prints is the one loaded, and can be loaded again.
reloads() {
	check "table '$1'" dm_new t "0 $sectors qed $1"
	same "it is shown as it was given" "$(dmsetup table t)" "0 $sectors qed $1"
	check "and loads again, word for word" dm_reload t "$(dmsetup table t)"
	dmsetup remove t
}
reloads "$numbers"
reloads "$numbers 3 cluster_size 4096 known_zero"
reloads "$numbers 5 detect_zeroes unmap cluster_size 65536 known_zero"

# ---- Passing through ----
require "without features" dm_new t "0 $sectors qed $ublk"
limits() {
	local name
	for name in logical_block_size optimal_io_size discard_granularity discard_max_bytes \
		write_zeroes_max_bytes fua write_cache; do
		printf '%s=%s ' $name "$(cat "/sys/block/$1/queue/$name")"
	done
}
same "limits are those of the ublk device" \
	"$(limits "$(dmsetup info -c --noheadings -o blkdevname t)")" "$(limits "${ublk#/dev/}")"
dd if=/dev/urandom of=data bs=64k count=32 status=none
check "data is written" dd if=data of=$t bs=1M oflag=direct conv=fsync status=none
check "and read" cmp -n $((2 << 20)) data $t
check "discard of all of it" blkdiscard $t
check "write-zeroes of all of it" blkdiscard -z $t
check "all is zero" cmp -n $((64 << 20)) $t /dev/zero
same "what came is counted" "$(qed_status write-sectors zero-sectors discard-sectors)" \
	"4096 $sectors $sectors"
same "nothing was scanned" "$(qed_status scanned converted known mode lower)" "0 0 - off ok"
expect_fail "the module cannot go while it is used" rmmod dm-qed
dmsetup remove t

# ---- Detection ----
# Clusters of data (d) and zeroes (.), with a partial one at either end.
make_pattern() {
	local i
	head -c 64k /dev/zero >pattern
	for ((i = 0; i < ${#1}; i++)); do
		case ${1:i:1} in
		d) dd if=/dev/urandom bs=64k count=1 status=none ;;
		.) head -c 64k /dev/zero ;;
		l) head -c 65535 /dev/zero && printf x ;;
		esac
	done >pattern
}

require "detect_zeroes on" dm_new t "0 $sectors qed $ublk 2 detect_zeroes on"
before=$(stat_of vm1 zero_ops)
check "2 MiB of zeroes" dd if=/dev/zero of=$t bs=1M count=2 oflag=direct status=none
same "they became write-zeroes, whole bios of them" "$(qed_status converted converted-sectors)" \
	"2 4096"
same "which the server saw" "$(($(stat_of vm1 zero_ops) - before))" 2
make_pattern d..dd.l.dddd....
check "data and zeroes mixed" dd if=pattern of=$t bs=1M seek=4 oflag=direct status=none
same "the zero runs in it were found" "$(qed_status converted converted-sectors)" "6 $((4096 + 8 * 128))"
check "the bytes are right" eval "dd if=$t bs=1M skip=4 count=1 iflag=direct status=none | cmp - pattern"
check "zeroes that do not fill a cluster" dd if=/dev/zero of=$t bs=4k count=16 seek=2049 \
	oflag=direct status=none
check "and some that do, from inside of one" dd if=/dev/zero of=$t bs=96k count=1 seek=101 \
	oflag=direct status=none
same "only the whole one is converted" "$(qed_status converted)" 7

# A durable write is not converted: the block layer would fail it.
check "O_DSYNC writes of zeroes" dd if=/dev/zero of=$t bs=64k count=8 seek=160 \
	oflag=direct,dsync status=none
same "none of them is converted" "$(qed_status converted fallback)" "7 0"
check "a flush among them" dd if=/dev/zero of=$t bs=1M count=1 seek=12 oflag=direct conv=fdatasync \
	status=none
same "the write before it was" "$(qed_status converted)" 8

# A write with RWF_NOWAIT that would be split gets EAGAIN.
cat >nowait.py <<-'END'
	import os, sys
	from mmap import mmap
	RWF_NOWAIT = 8
	disk = os.open("/dev/mapper/t", os.O_WRONLY | os.O_DIRECT)
	def write(pattern):
	    data = mmap(-1, len(pattern) << 16)
	    data[:] = b"".join(bytes([cluster != "."]) * 65536 for cluster in pattern)
	    try:
	        return os.pwritev(disk, [data], 56 << 20, RWF_NOWAIT) >> 16
	    except BlockingIOError:
	        return "again"
	print(*map(write, sys.argv[1:]))
END
scanned=$(qed_status scanned converted)
same "writes that must not wait are not cut" "$(python3 nowait.py .. dd .d d.. \
	................ .................)" "2 2 again again 16 again"
same "and only those that were sent are counted" "$(qed_status scanned converted)" \
	"$((${scanned% *} + 3)) $((${scanned#* } + 2))"

# `on` keeps allocated clusters, `unmap` frees them.
check "data" dd if=/dev/urandom of=$t bs=1M count=4 seek=32 oflag=direct status=none
check "zeroes over half of it, on" dd if=/dev/zero of=$t bs=1M count=2 seek=32 oflag=direct \
	status=none
event=$(dmsetup info -c --noheadings -o events t)
check "message detect_zeroes unmap" dmsetup message t 0 detect_zeroes unmap
same "it is an event" "$(dmsetup info -c --noheadings -o events t)" $((event + 1))
same "the table says so" "$(dmsetup table t)" "0 $sectors qed $numbers 2 detect_zeroes unmap"
check "zeroes over a quarter, unmap" dd if=/dev/zero of=$t bs=1M count=1 seek=34 oflag=direct \
	status=none
check "all of it is right" eval "dd if=$t bs=1M skip=32 count=3 iflag=direct status=none |
	cmp -n $((3 << 20)) - /dev/zero"
check "message detect_zeroes off" dmsetup message t 0 detect_zeroes off
scanned=$(qed_status scanned)
check "zeroes, off" dd if=/dev/zero of=$t bs=1M count=1 seek=40 oflag=direct status=none
same "they are not scanned" "$(qed_status scanned)" "$scanned"
check "message stats reset" dmsetup message t 0 stats reset
same "counters are 0" "$(dmsetup status t)" "0 $sectors qed $(printf '0 %.0s' {1..14})- off ok"
expect_fail "a message that is none" dmsetup message t 0 flush
expect_fail "a mode that is none" dmsetup message t 0 detect_zeroes maybe
dmsetup remove t
check "remove" qedctl remove vm1
check "the image is whole" qemu-img check -q -f qed vm1.qed
# Those of the pattern, the partial ones, the durable ones, those of NOWAIT, 4 MiB less the freed
# one, those of `off`.
same "clusters of data" "$(clusters data vm1.qed)" $((8 + 2 + 1 + 8 + 2 + 48 + 16))

# ---- Known to be zero ----
rm vm1.qed
require "an image is served again" qedctl create vm1 vm1.qed --size 64M --no-dm --queues 2
ublk=$(status_of vm1 ublk-device)
require "known_zero" dm_new t "0 $sectors qed $ublk 3 detect_zeroes on known_zero"
check "write-zeroes of all of it" blkdiscard -z $t
same "all is known" "$(qed_status known)" 1024/1024
before=$(stat_of vm1 read_ops)
check "it is read as zeroes" eval "dd if=$t bs=1M iflag=direct status=none |
	cmp -n $((64 << 20)) - /dev/zero"
same "without the server" "$(stat_of vm1 read_ops)" "$before"
same "which is counted" "$(qed_status answered-sectors)" $sectors
check "data is written into it" dd if=data of=$t bs=1M seek=8 oflag=direct status=none
same "it is forgotten" "$(qed_status known)" 992/1024
check "the data is read" eval "dd if=$t bs=1M skip=8 count=2 iflag=direct status=none | cmp - data"
check "zeroes over it" dd if=/dev/zero of=$t bs=1M count=1 seek=8 oflag=direct status=none
same "are known again" "$(qed_status known)" 1008/1024
check "they are read" eval "dd if=$t bs=1M skip=8 count=1 iflag=direct status=none |
	cmp -n $((1 << 20)) - /dev/zero"
check "a discard" blkdiscard -o $((20 << 20)) -l $((4 << 20)) $t
same "is forgotten" "$(qed_status known)" 944/1024
check "message forget" dmsetup message t 0 forget
same "nothing is known then" "$(qed_status known)" 0/1024
check "write-zeroes" blkdiscard -z -l $((1 << 20)) $t
same "16 clusters are known" "$(qed_status known)" 16/1024
check "suspend and resume" eval "dmsetup suspend t && dmsetup resume t"
same "somebody may have changed what is below" "$(qed_status known)" 0/1024
dmsetup remove t

check "remove at the end" qedctl remove vm1
check "the module goes" rmmod dm-qed
finish
