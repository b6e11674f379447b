#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 240
# A device's life at the command line: create, inspect, suspend, remove; and invalid commands, which
# must change nothing.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1
out() { cat "$SCRATCH/.out"; }

# ---- Create and inspect ----
require "create makes image and device" qedctl create vm1 vm1.qed --size 256M
same "it prints the device's path alone" "$(out)" $dev
same "it is a block device of that size" "$(blockdev --getsize64 $dev)" $((256 << 20))
check "data can be written" dd if=/dev/urandom of=$dev bs=1M count=4 oflag=direct
check "the image is one that qemu knows" qemu-img info -U -f qed vm1.qed
check "ls" qedctl ls
same "ls shows one line of it" "$(out | grep -cE "^vm1 +$dev +256 MiB +$SCRATCH/vm1.qed +live$")" 1
json_is "ls --json" "len(d) == 1 and d[0]['name'] == 'vm1' and d[0]['device'] == '$dev' and \
d[0]['size'] == 256 << 20 and d[0]['image'] == '$SCRATCH/vm1.qed' and d[0]['state'] == 'live'" \
	qedctl ls --json
json_is "status --json" "d['name'] == 'vm1' and d['device'] == '$dev' and \
d['ublk-device'].startswith('/dev/ublkb') and d['mapping']['uuid'] == 'QED-vm1' and \
d['mapping']['target'] == 'linear' and d['format'] == 'qed' and d['state'] == 'live' and \
d['size'] == 256 << 20 and d['pid'] > 1 and d['backing-chain'] == []" qedctl status --json vm1
json_is "info --json" "d['image-info']['virtual-size'] == 256 << 20 and \
isinstance(d['features'], list) and d['name'] == 'vm1'" qedctl info --json vm1
json_is "stats --json" "d['write_bytes'] >= 4 << 20 and d['errors'] == 0" qedctl stats --json vm1
check "status, info, stats and table for people" \
	eval 'qedctl status vm1 && qedctl info vm1 && qedctl stats vm1 && qedctl table vm1'
check "stats for a collector" eval \
	'qedctl stats --prometheus vm1 | grep -E "^qedblk_write_bytes_total.name=\"vm1\". [0-9]{7,}$"'
same "table is what dmsetup says" "$(qedctl table vm1)" "$(dmsetup table vm1)"
json_is "table --json" "d['targets'][0]['length'] == 524288 and \
d['targets'][0]['target'] == 'linear'" qedctl table --json vm1
json_is "features --json" "d['ublk']['available'] and d['device-mapper']['available'] and \
'linear' in d['device-mapper']['targets']" qedctl features --json
check "version" qedctl version

# ---- Suspend and resume ----
check "suspend" qedctl suspend vm1
same "ls calls it suspended" "$(qedctl ls | awk '$1 == "vm1" { print $NF }')" suspended
within 30 dd if=$dev of="$SCRATCH/held" bs=4k count=1 iflag=direct 2>/dev/null &
reader=$!
sleep 1
same "a read waits" "$(stat -c %s "$SCRATCH/held" 2>/dev/null || echo 0)" 0
check "resume" qedctl resume vm1
check "the read goes on" wait $reader

# ---- Invalid commands ----
before=$(device_state_of vm1)
exits=4 expect_line "a name that exists" "create vm1: device exists" qedctl create vm1 other.qed --size 64M
check "no image was made" test ! -e other.qed
dmsetup create foreign --table "0 8 zero" && at_exit dmsetup remove foreign
exits=4 expect_line "a name of a mapping that is not ours" \
	"create foreign: a device-mapper device of that name exists, and is not ours" \
	qedctl create foreign other.qed --size 64M
same "that mapping is as before" "$(dmsetup table foreign)" "0 8 zero "
check "no image was made for it" test ! -e other.qed
expect_line "remove of a mapping that is not ours" \
	"remove foreign: the device-mapper device of that name is not ours" qedctl remove foreign
same "ls does not show it" "$(qedctl ls | grep -c foreign)" 0
exits=4 expect_line "an image in use" "" qedctl create vm2 vm1.qed
exits=3 expect_line "an image that is not there" "create vm2: $SCRATCH/none.qed: No such file or directory: give \
--size or --backing to make it" \
	qedctl create vm2 none.qed
expect_line "a cluster size that cannot be" "" qedctl create vm2 new.qed --size 64M --cluster-size 5000
check "the new image is taken back" test ! -e new.qed
exits=3 expect_line "a backing file that is not there" "" qedctl create vm2 new.qed --backing none.img
check "the new image over it is taken back" test ! -e new.qed
: >empty.img
for options in "" "--size 64M" "--format qed"; do
	expect_line "an empty file as image $options" "create vm2: $SCRATCH/empty.img: is an empty file, \
not an image: \`qed-img create -f qed $SCRATCH/empty.img SIZE\` makes it one; or remove it, and give \
--size or --backing" qedctl create vm2 empty.img $options
done
same "it is empty still" "$(stat -c %s empty.img)" 0
echo "no image at all, but somebody's file" >file
expect_line "a file that is no image" "" qedctl create vm2 file --format qed
same "the file is as before" "$(cat file)" "no image at all, but somebody's file"
same "the device is as before" "$(device_state_of vm1)" "$before"
only_these "nothing is left of what was refused" vm1

exec 7<$dev
exits=4 expect_line "remove of a device in use" "remove vm1: device is in use by $me" qedctl remove vm1
exits=4 expect_line "remove of all, one in use" "remove vm1: device is in use by $me" qedctl remove --all
same "the device goes on" "$(device_state_of vm1)" "$before"
check "data can be read" dd if=$dev of=/dev/null bs=1M count=4 iflag=direct
exec 7<&-

lower=$(status_of vm1 ublk-device)
exec 7<"$lower"
exits=4 expect_line "remove while the device below is in use" "" qedctl remove vm1
same "the mapping is back" "$(qedctl table vm1)" "$(dmsetup table vm1)"
check "data can be read then" dd if=$dev of=/dev/null bs=1M count=4 iflag=direct
exec 7<&-

# ---- Remove ----
sum=$(dd if=$dev bs=1M count=4 iflag=direct 2>/dev/null | sha256sum)
check "remove" qedctl remove vm1
check "its node is gone" test ! -e $dev
exits=3 expect_line "remove once more" "remove vm1: no such device" qedctl remove vm1
only_these "nothing is left"
check "the image is clean" qemu-img check -q -f qed vm1.qed
check "create of an image that exists" qedctl create vm1 vm1.qed
same "the data is there" "$(dd if=$dev bs=1M count=4 iflag=direct 2>/dev/null | sha256sum)" "$sum"

exec 7<$dev
check "remove --deferred of one in use" qedctl remove --deferred vm1
same "it says so" "$(qedctl ls | awk '$1 == "vm1" { print $NF }')" removing
check "it can still be read" dd if=$dev of=/dev/null bs=1M count=4 iflag=direct
exec 7<&-
check "it goes at its last close" wait_until 20 device_is_gone vm1
only_these "nothing is left then"

require "create to be forced away" qedctl create vm1 vm1.qed
exec 7<$dev
check "remove --force of one in use" qedctl remove --force vm1
expect_fail "its user gets errors" dd if=/proc/self/fd/7 of=/dev/null bs=4k count=1 iflag=direct
exec 7<&-
check "the rest goes" wait_until 20 device_is_gone vm1

check "create --no-dm" qedctl create vm1 vm1.qed --no-dm
same "its path is that of ublk" "$(out)" "$(status_of vm1 ublk-device)"
check "there is no mapping" test ! -e $dev
json_is "status has none" "d['mapping'] is None and d['device'] == d['ublk-device']" \
	qedctl status --json vm1
expect_line "table has none" "table vm1: it has no device mapping" qedctl table vm1
check "create of a second one" qedctl create vm2 vm2.qed --size 64M
check "remove --all" qedctl remove --all
only_these "nothing is left of either"

check "create --read-only" qedctl create vm1 vm1.qed --read-only
same "it cannot be written" "$(blockdev --getro $dev)" 1
expect_fail "a write is refused" dd if=/dev/zero of=$dev bs=4k count=1 oflag=direct
check "remove it" qedctl remove vm1

# A name may be longer than a socket's path allows.
long=$(printf 'n%.0s' {1..124})
check "the longest name" qedctl create "$long" vm1.qed
check "its status" qedctl status "$long"
check "its removal" qedctl remove "$long"

json_verdicts
finish
