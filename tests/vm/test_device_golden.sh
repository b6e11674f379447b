#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A golden image that is cut and written below a live device, and what `create` says afterwards.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/device_lib.sh"
cd "$SCRATCH" || exit 1

# make NAME: a new golden image, and a device over it.
make() {
	rm -f vm.qed golden
	head -c 4M /dev/zero | tr '\0' g >golden
	require "$1: a device" qedctl create vm vm.qed --backing golden --backing-format raw
}

warnings() { qedctl status --json vm | python3 -c 'import json, sys
print("\n".join(line for line in json.load(sys.stdin)["warnings"] if "changed since" in line))'; }

warned_of() { warnings | grep -q "golden: changed since $SCRATCH/vm.qed was first served over it: $1"; }

make "cut"
json_is "cut: at first there is nothing to warn of" "not d['warnings']" qedctl status --json vm
check "cut: a read of the golden image" cmp -n 64K /dev/mapper/vm golden
truncate -s 1M golden
# A server looks every few seconds, and at once when a read fails.
expect_fail "cut: what is missing is no zeroes" dd if=/dev/mapper/vm of=/dev/null bs=64K skip=32 count=1 \
	iflag=direct
check "cut: status warns" wait_until 20 warned_of "its size was 4194304 bytes, and is 1048576"
check "cut: status warns in text" eval 'qedctl status vm | grep -q "changed since"'
check "cut: what is there can be read" cmp -n 1M /dev/mapper/vm golden
truncate -s 4M golden
check "cut: made longer again it is still another" wait_until 20 warned_of "it was last modified at"
check "cut: nothing false was kept" eval 'sleep 1; [ "$(stat_of vm populated_zero_clusters)" = 0 ]'
check "cut: the device is removed" qedctl remove --retry vm

qedctl create vm vm.qed >out 2>err
same "again: create makes the device" "$? $(cat out)" "0 /dev/mapper/vm"
check "again: and warns" grep -q "golden: changed since" err
same "again: in one line" "$(wc -l <err)" 1
check "again: status warns" warned_of "it was last modified at"
check "again: the device is removed" qedctl remove --retry vm
expect_line "strict: refused in one line" "" qedctl create vm vm.qed --strict-backing
check "strict: it says how to go on" grep -q "accept-backing takes it as it is" "$SCRATCH/.err"
check "strict: nothing is left" device_is_gone vm
check "accept: the device" qedctl create vm vm.qed --accept-backing --strict-backing
json_is "accept: nothing to warn of" "not d['warnings']" qedctl status --json vm
kill_server vm
check "accept: a successor has nothing to warn of" eval 'qedctl recover vm 2>err && [ ! -s err ]'
kill_server vm
printf x | dd of=golden conv=notrunc 2>/dev/null
expect_line "strict: a successor refuses" "" qedctl recover vm
check "strict: it says how to go on without options" grep -q "remove the image.s record" "$SCRATCH/.err"
python3 -c 'import os; os.removexattr("vm.qed", "user.qedblk.backing")'
check "strict: and goes on without the record" qedctl recover vm
check "the device is removed" qedctl remove --retry vm

make "written"
printf x | dd of=golden bs=1 seek=3M conv=notrunc 2>/dev/null
check "written: status warns" wait_until 20 warned_of "it was last modified at"
check "written: a stream does without it" qedctl stream --wait vm
json_is "written: nothing is left to warn of" "not d['warnings']" qedctl status --json vm
check "written: the device is removed" qedctl remove --retry vm
check "written: later there is nothing to warn of" eval 'qedctl create vm vm.qed 2>err && [ ! -s err ]'
check "written: the device is removed" qedctl remove --retry vm

json_verdicts
finish
