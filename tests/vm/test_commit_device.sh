#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 600
# A device in use, trims included, while images of its chain are merged: the server killed in the
# middle and recovered, the commit begun again and ended; a base that others use; what is refused
# meanwhile. The content is compared by qemu-img at the end.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"
. "$vm_dir/stream_lib.sh"

cd "$SCRATCH" || exit 1

# commit_of DEVICE MEMBER: a member of the commit's part of `status`.
commit_of() {
	status_of "$1" "commit.$2"
}

# Clusters are freed, and allocated again, while others are merged.
run_trims() {
	until [ -e enough ]; do
		fstrim mnt || return 1
		sleep 0.5
	done
}

# chain_is NAME FILE...: the backing chain, from the top down.
chain_is() {
	local name=$1 files
	shift
	files=$(printf '"%s/%s", ' $(for file; do echo "$SCRATCH $file"; done))
	json_is "$name" '[e["filename"] for e in d["backing-chain"]] == ['"$files"']' \
		qedctl status --json vm
}

make_golden base.img 8
# Over the golden image, behind its file system: each is longer or shorter than what lies below it.
qed-img create -q -f qed -b base.img -F raw one.qed 112M
qed-io -f qed -c 'write -P 1 98M 3M' -c 'write -P 1 106M 1M' one.qed >/dev/null
qed-img create -q -f qed -b one.qed -F qed two.qed 104M
qed-io -f qed -c 'write -P 2 99M 64k' -c 'write -z 100M 1M' two.qed >/dev/null
qed-img create -q -f qed -b two.qed -F qed three.qed 112M
qed-io -f qed -c 'write -P 3 99M 4k' three.qed >/dev/null
qed-img create -q -f qed -b three.qed -F qed vm.qed 112M
patterns=(-c 'read -P 1 98M 1M' -c 'read -P 3 99M 4k' -c 'read -P 2 101380k 60k'
	-c 'read -P 1 101440k 960k' -c 'read -P 0 100M 1M' -c 'read -P 0 101M 11M')

require "a device" qedctl create vm vm.qed
use_begin vm
load trims run_trims

# ---- What is refused ----
expect_line "a file that is not in the chain" "commit vm: nowhere.qed: not in the backing chain" \
	qedctl commit vm --top nowhere.qed
expect_line "upwards" "" qedctl commit vm --top two.qed --base three.qed
require "another device over the base" qedctl create other other.qed --backing base.img \
	--backing-format raw
qedctl commit vm --top two.qed >refused 2>&1
same "a base that others use, refused: the status" $? 4
check "with the way out" grep -q 'base.img: .*is another process using.*--base' refused
check "the other one still works" qedctl remove other --retry
chain_is "nothing has changed" three.qed two.qed one.qed base.img

# ---- Killed in the middle ----
check "a commit, slowly" qedctl commit vm --top two.qed --speed 8K
same "it runs" "$(commit_of vm state)" running
exits=4 expect_line "no stream beside it" \
	"stream vm: a commit runs: wait for it, or cancel it" qedctl stream vm
exits=4 expect_line "no second one" "commit vm: a commit runs: wait for it, or cancel it" \
	qedctl commit vm --top three.qed
check "something is written" wait_until 60 eval '[ "$(commit_of vm written-bytes)" -gt 0 ]'
check "paused" qedctl commit vm --pause
check "it says so" wait_until 20 eval '[ "$(commit_of vm state)" = paused ]'
kill_stream_server vm
recover_stream vm
same "a successor does not go on with it" "$(status_of vm commit)" ""
chain_is "and has the whole chain" three.qed two.qed one.qed base.img

# ---- Cancelled, then to the end, while the image above is no longer than before ----
check "again, slowly" qedctl commit vm --top two.qed --speed 8K
check "cancelled" qedctl commit vm --cancel
same "it is" "$(commit_of vm state)" cancelled
check "to its end, with progress" eval \
	"qedctl commit vm --top two.qed -p | tr '\r' '\n' | grep -q '(100.00/100%)'"
chain_is "two images are gone" three.qed base.img
rm one.qed two.qed
check "the last one goes down, too" qedctl commit vm --top three.qed --wait
chain_is "the base is left" base.img
rm three.qed
kill_stream_server vm
recover_stream vm
same "no report of a base that changed" "$(qedctl status --json vm | grep -c 'changed since')" 0
check "another device may be over the base" qedctl create other other.qed
check "and is removed" qedctl remove other --retry

touch enough
load_ended trims "trims went well"
use_end vm
dd if=/dev/mapper/vm of=whole.img bs=1M conv=sparse status=none
check "removed" qedctl remove vm --retry
check "qemu-img compare finds what the device had" qemu-img compare -q -f qed -F raw vm.qed whole.img
check "qemu-img check finds nothing" qemu-img check -q -f qed vm.qed
out=$(qed-io -r -f qed "${patterns[@]}" vm.qed 2>&1)
same "what the images in between showed is there" \
	"$(grep -c '^read [0-9]' <<<"$out") reads, $(grep -c Pattern <<<"$out") wrong" "6 reads, 0 wrong"
json_verdicts
finish
