#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# The device-mapper events of a full file system: `dmsetup wait` returns when requests begin to wait
# for room, and when they no longer do.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
. "$vm_dir/full_lib.sh"
dev=/dev/mapper/vm1
module=$QEDBLK_BUILD/modules/$(uname -r)/dm-qed.ko
at_exit eval "qedctl remove --all --force --retry; rmmod dm-qed"

# wait_for_event: run `dmsetup wait` in the background, for the event after the latest one.
wait_for_event() {
	latest=$(dmsetup info -c --noheadings -o events vm1)
	dmsetup wait vm1 "$latest" &
	waiter=$!
}

event_came() {
	! kill -0 $waiter 2>/dev/null
}

require "the module loads" insmod "$module"
require "create with the target qed" qedctl create vm1 host/vm1.qed --size 1G --target qed --detect-zeroes on
dd if=/dev/urandom of=waits bs=1M count=24 status=none
fill
wait_for_event
dd if=waits of=$dev bs=1M oflag=direct 2>dd.err &
writer=$!
check "an event when requests begin to wait" wait_until 60 event_came
check "they do" wait_until 20 is_full
wait_for_event
check "none while they wait" eval "sleep 2; ! event_came"
make_room
check "they go on" wait $writer
check "an event when there is room again" wait_until 60 event_came
same "with their data" "$(dd if=$dev bs=1M count=24 status=none | cmp - waits && echo same)" same
no_errors vm1
check "removed" qedctl remove vm1
