#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# vm: --udev
# newer: yes
# timeout: 300
# Mapped partitions: made with the device and from its table, as it changes; listed; removed with
# the device, unless one is in use.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
modprobe -a dm_mod ext4 2>/dev/null
dev=/dev/mapper/vm1
esp=c12a7328-f81f-11d2-ba4b-00a0c93ec93b
linux=0fc63daf-8483-4772-8e79-3d69d8477de4
mkdir mnt

# udev opens what was written to, or unmounted, once more.
table() { python3 "$REPO/tests/shared/partition_table.py" "$@" && sync && udevadm settle; }
unmount() { umount mnt && udevadm settle; }
# The mappings of partitions, as NAME:START+SIZE in MiB.
maps() {
	dmsetup table | awk '/^vm1p/ { sub(":", "", $1); printf "%s:%d+%d\n", $1, $NF / 2048, $3 / 2048 }' |
		sort | xargs
}

truncate -s 64M disk.raw
table disk.raw gpt 1,1024,8192,$esp,ESP "2,16384,16384,$linux,root fs"
same "create prints the device's path" \
	"$(qedctl create vm1 disk.raw --format raw --partitions 2>&1)" $dev
same "the partitions are mapped" "$(maps)" "vm1p1:1+8 vm1p2:16+16"
same "by the uuids that kpartx gives" "$(dmsetup info -c --noheadings -o name,uuid --separator ' ' |
	grep vm1p | sort | xargs)" "vm1p1 part1-QED-vm1 vm1p2 part2-QED-vm1"
same "ls" "$(qedctl ls | sed -n '/^ /s/  */ /gp')" " vm1p1 /dev/mapper/vm1p1 8 MiB EFI System (ESP) partition
 vm1p2 /dev/mapper/vm1p2 16 MiB Linux (root fs) partition"
json_is "ls --json" "[(p['name'], p['number'], p['size'], p['type'], p['label']) for p in \
d[0]['partitions']] == [('vm1p1', 1, 8 << 20, '$esp', 'ESP'), ('vm1p2', 2, 16 << 20, '$linux', \
'root fs')]" qedctl ls --json
json_is "info --json" "d['partitions'][1]['device'] == '/dev/mapper/vm1p2' and \
d['partitions'][1]['type-name'] == 'Linux'" qedctl info --json vm1
json_is "a user other than root sees them" "[p['size'] for p in d['partitions']] == [8 << 20, 16 << 20]" \
	setpriv --reuid 65534 --regid 65534 --clear-groups -- qedctl status --json vm1

# ---- In use ----
require "a file system" mkfs.ext4 -q ${dev}p2
require "mounted" mount ${dev}p2 mnt
busy="in use by the mount on $SCRATCH/mnt"
exits=4 expect_line "remove" "remove vm1: vm1p2 is $busy" qedctl remove vm1
exits=4 expect_line "partitions --remove" "partitions vm1: vm1p2 is $busy" qedctl partitions --remove vm1
same "all are still there" "$(maps)" "vm1p1:1+8 vm1p2:16+16"
kill_server vm1
check "recover" qedctl recover vm1
check "keeps them, and what uses them" eval 'echo text >mnt/file && sync mnt/file && grep -q text mnt/file'

# ---- The table changes ----
table $dev gpt "1,1024,12288,$esp,ESP" "2,16384,24576,$linux,root fs" "3,49152,8192,$linux,more"
same "partitions" "$(qedctl partitions vm1 2>&1 | xargs)" "${dev}p1 ${dev}p2 ${dev}p3"
same "one is new, two are larger" "$(maps)" "vm1p1:1+12 vm1p2:16+24 vm1p3:48+8"
same "again" "$(qedctl partitions vm1 2>&1 | wc -l) $(maps)" "3 vm1p1:1+12 vm1p2:16+24 vm1p3:48+8"
table $dev gpt "1,1024,4096,$esp,ESP" "4,32768,8192,$linux,over"
qedctl partitions vm1 >out 2>err
same "one in use that is gone stays" "$? $(cat err)" "1 qedctl: partitions vm1: vm1p2 is $busy: it stays, \
though the table does not have it any more
qedctl: partitions vm1: partition 4 is left out: it overlaps vm1p2, which stays"
same "the others follow" "$(maps)" "vm1p1:1+4 vm1p2:16+24"
unmount
same "when it is not in use it goes" "$(qedctl partitions vm1 2>&1 | xargs)" "${dev}p1 ${dev}p4"
same "and what lay over it comes" "$(maps)" "vm1p1:1+4 vm1p4:32+8"
check "--remove" qedctl partitions --remove vm1
same "none is left" "$(maps)" ""

# ---- Tables that are wrong, and none ----
table $dev mbr 1,1024,8192,0x83 2,4096,8192,0x83 3,60000,8192,0x83
qedctl partitions vm1 >out 2>err
same "hostile: what is left out is told" "$? $(cat err)" \
	"0 qedctl: warning: partition 2 is left out: it overlaps partition 1
qedctl: warning: partition 3 is left out: it ends beyond the end of the device"
same "hostile: the rest is mapped" "$(maps)" "vm1p1:1+8"
table $dev mbr 1,1024,8192,0x83 2,16384,32768,5 5,18432,4096,0x83 6,24576,8192,0x82
same "logical ones" "$(qedctl partitions vm1 2>&1 | xargs) $(maps)" \
	"${dev}p1 ${dev}p5 ${dev}p6 vm1p1:1+8 vm1p5:18+4 vm1p6:24+8"
same "partx finds the same" "$(partx -g -o NR,SECTORS $dev | xargs)" "$(partx -g -o NR,SECTORS disk.raw | xargs)"
dd if=/dev/zero of=$dev bs=1M count=1 oflag=direct status=none
exits=3 expect_line "no table" "partitions vm1: it has no partition table (GPT or MBR)" \
	qedctl partitions vm1
same "nothing was changed" "$(maps)" "vm1p1:1+8 vm1p5:18+4 vm1p6:24+8"

# ---- Removed with the device ----
check "remove" qedctl remove vm1
only_these "nothing is left"
qedctl create vm1 disk.raw --format raw --partitions >out 2>err
same "create without a table" "$? $(cat err)" \
	"0 qedctl: warning: vm1: it has no partition table (GPT or MBR)"
table $dev mbr 1,1024,16384,0x83
check "partitions, then" qedctl partitions vm1
mkfs.ext4 -q ${dev}p1 && mount ${dev}p1 mnt
check "remove --deferred" qedctl remove --deferred vm1
check "it works until it is closed" eval 'echo text >mnt/file && sync mnt/file'
umount mnt
check "and then all goes" wait_until 40 eval 'device_is_gone vm1 && [ -z "$(maps)" ]'
only_these "nothing is left of it"
require "create once more" qedctl create vm1 disk.raw --format raw --partitions
mount ${dev}p1 mnt
kill -STOP "$(server_pid vm1)"
check "remove --force while it hangs" qedctl remove --force vm1
umount mnt
check "all is gone at the last close" wait_until 40 eval '[ -z "$(dmsetup ls | grep vm1)" ]'
only_these "nothing is left of that"

# ---- kpartx ----
if command -v kpartx >/dev/null; then
	require "create for kpartx" qedctl create vm1 disk.raw --format raw
	check "kpartx maps them" kpartx -a -p p $dev
	same "and they count as ours" "$(qedctl ls | awk '/^ / { print $1 }')" vm1p1
	check "removed with the device, too" qedctl remove vm1
	only_these "nothing is left after kpartx"
else
	skip "kpartx" "not installed"
fi
json_verdicts
finish
