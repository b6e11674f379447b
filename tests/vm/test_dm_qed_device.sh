#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 240
# Zero detection through qedctl: in the server if the kernel has no target `qed`, in the target if
# it has, and live changes between the two.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1
module=$QEDBLK_BUILD/modules/$(uname -r)/dm-qed.ko
at_exit eval "qedctl remove --all --force --retry; rmmod dm-qed"

# detection: where zeroes are detected, and how
detection() {
	qedctl "${1:-status}" vm1 | awk '$1 == "detect-zeroes" { mode = $2 }
		$1 == "detect-zeroes-by" { by = $2 } END { print by, mode }'
}

zeroes() {
	dd if=/dev/zero of=$dev bs=1M count="$1" seek="$2" oflag=direct status=none
}

# ---- Without the target ----
expect_line "a target that the kernel has not" \
	"create vm1: this kernel has no device-mapper target qed (module dm-qed)" \
	qedctl create vm1 vm1.qed --size 64M --target qed
expect_line "what only it can do" \
	"create vm1: this kernel has no device-mapper target qed (module dm-qed)" \
	qedctl create vm1 vm1.qed --size 64M --known-zero
check "no image was made" test ! -e vm1.qed
require "create with zero detection" qedctl create vm1 vm1.qed --size 64M --detect-zeroes on
same "the mapping is linear" "$(qedctl table vm1 | cut -d ' ' -f 3)" linear
same "the server does it, says info" "$(detection info)" "server on"
check "zeroes" zeroes 2 0
same "the server found them" "$(stat_of vm1 detected_zero_bytes)" $((2 << 20))
check "data, and zeroes over it" eval \
	"dd if=/dev/urandom of=$dev bs=1M count=2 seek=4 oflag=direct status=none && zeroes 1 4"
check "message to the server" qedctl message vm1 detect_zeroes unmap
same "it heeds it" "$(detection)" "server unmap"
check "zeroes that free" zeroes 1 5
expect_line "a message that linear has not" "message vm1: its target is linear: the only message \
is detect_zeroes off|on|unmap" qedctl message vm1 forget
expect_line "a mode that is none" "message vm1: detect-zeroes: mode is off, on or unmap" \
	qedctl message vm1 detect_zeroes maybe

# ---- Live to the target and back ----
require "the module loads" insmod "$module"
dd if=/dev/urandom of=data bs=1M count=8 status=none
(while dd if=data of=$dev bs=256k seek=128 oflag=direct conv=notrunc status=none; do :; done) &
writer=$!
check "reload to qed, under I/O" qedctl reload vm1 --target qed --known-zero
same "the target does it" "$(detection)" "target unmap"
same "the table says so" "$(qedctl table vm1 | cut -d ' ' -f 5-)" \
	"3 detect_zeroes unmap known_zero"
found=$(stat_of vm1 detected_zero_bytes)
check "zeroes then" zeroes 4 8
same "the target found them" "$(status_of vm1 target.converted-sectors) $(status_of vm1 target.known-zero)" "8192 64/1024"
same "and not the server" "$(stat_of vm1 detected_zero_bytes)" "$found"
for round in 1 2 3; do
	check "suspend, resume under I/O ($round)" eval "qedctl suspend vm1 && qedctl resume vm1"
	check "reload to linear, under I/O ($round)" qedctl reload vm1 --target linear
	same "the server does it again ($round)" "$(detection)" "server unmap"
	check "and back ($round)" qedctl reload vm1 --target qed --known-zero
done
check "the writer never failed" kill -0 $writer
kill $writer
wait $writer 2>/dev/null
dd if=data of=$dev bs=1M seek=32 oflag=direct status=none
check "what it wrote is there" eval "dd if=$dev bs=1M skip=32 count=8 iflag=direct status=none |
	cmp - data"
check "message stats reset" qedctl message vm1 stats reset
same "counters are 0" "$(status_of vm1 target.write-bios) $(status_of vm1 target.converted-bios)" "0 0"
check "message detect_zeroes off" qedctl message vm1 detect_zeroes off
same "status says so" "$(detection)" "- off"
expect_line "a message that it has not" "message vm1: the target knows no message 'flush now'" \
	qedctl message vm1 flush now
json_is "status --json has the target's words" "d['target']['detect-zeroes'] == 'off' and \
d['target']['known-zero'].endswith('/1024') and d['mapping']['target'] == 'qed'" \
	qedctl status --json vm1
check "reload with another mode" qedctl reload vm1 --detect-zeroes on --no-known-zero
same "the rest stays" "$(qedctl table vm1 | cut -d ' ' -f 3,5-)" "qed 2 detect_zeroes on"
table=$(qedctl table vm1)
exec 7<$dev
exits=4 expect_line "remove of a device in use" "remove vm1: device is in use by $me" qedctl remove vm1
exec 7<&-
lower=$(status_of vm1 ublk-device)
exec 7<"$lower"
exits=4 expect_line "remove while the device below is in use" "" qedctl remove vm1
exec 7<&-
same "the mapping is back as it was" "$(qedctl table vm1)" "$table"
check "remove" qedctl remove vm1
check "the image is whole" qemu-img check -q -f qed vm1.qed

# ---- With the target from the start ----
require "create chooses it" qedctl create vm1 vm1.qed --detect-zeroes unmap
same "the target does it" "$(detection info)" "target unmap"
check "remove it" qedctl remove vm1
require "create with linear" qedctl create vm1 vm1.qed --detect-zeroes unmap --target linear
same "the server does it" "$(detection info)" "server unmap"
check "remove that" qedctl remove vm1
require "create without detection" qedctl create vm1 vm1.qed
same "takes linear" "$(detection) $(qedctl table vm1 | cut -d ' ' -f 3)" "- off linear"
check "remove the last one" qedctl remove vm1
only_these "nothing is left"
check "the module goes" rmmod dm-qed
json_verdicts
finish
