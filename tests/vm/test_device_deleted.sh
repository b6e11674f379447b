#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
# The file of a live device's image, or of its backing file, is deleted, replaced or renamed.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1

# image_of DEVICE: the columns between size and state.
image_of() { qedctl ls | awk -v name="$1" '$1 == name { $1 = $2 = $3 = $4 = $NF = ""; print }' | xargs; }
state_of() { qedctl ls | awk -v name="$1" '$1 == name { print $NF }'; }
lost() {
	expect_line "remove: $1" "remove vm1: its image $SCRATCH/vm1.qed $2, and is lost with the \
device: copy it first, by \`qed-img convert -f raw -O qed $dev NEW\`, or use --force" qedctl remove vm1
}

require "create" qedctl create vm1 vm1.qed --size 64M
qed-io -f raw -c "write -q -P 7 1M 64k" $dev
same "ls: an image as it should be" "$(image_of vm1)" "$SCRATCH/vm1.qed"

mv vm1.qed other.qed
same "ls: renamed" "$(image_of vm1)" "$SCRATCH/vm1.qed (renamed)"
check "status: its new name" eval \
	'qedctl status vm1 | grep -q "warnings .*vm1.qed: has another name now: $SCRATCH/other.qed"'
check "remove of that" qedctl remove vm1
check "create again" qedctl create vm1 other.qed
check "and back" eval 'qedctl remove vm1 && mv other.qed vm1.qed && qedctl create vm1 vm1.qed'

rm vm1.qed
same "ls: deleted" "$(image_of vm1)" "$SCRATCH/vm1.qed (deleted)"
same "ls: it is live" "$(state_of vm1)" live
json_is "ls --json" "d[0]['image-file'] == 'deleted' and d[0]['state'] == 'live'" qedctl ls --json
json_is "status --json" "d['image-file'] == 'deleted' and len(d['warnings']) == 1" \
	qedctl status --json vm1
check "status" eval 'qedctl status vm1 | grep -q "vm1.qed: was deleted, and is lost with the device"'
lost deleted "was deleted"
expect_line "remove --deferred" "" qedctl remove --deferred vm1
expect_line "remove --all" "" qedctl remove --all
same "nothing was changed" "$(state_of vm1)" live
qed-img create -q -f qed vm1.qed 64M
same "ls: replaced" "$(image_of vm1)" "$SCRATCH/vm1.qed (replaced)"
lost replaced "was replaced by another file"
check "the way out" qed-img convert -f raw -O qed $dev saved.qed
check "has the data" qed-io -r -f qed -c "read -q -P 7 1M 64k" saved.qed
check "remove --force" qedctl remove --force vm1
check "is all" wait_until 20 device_is_gone vm1

# ---- A backing file ----
head -c 1M /dev/urandom >golden.img
cp golden.img golden.copy
require "create over a golden image" qedctl create vm1 over.qed --backing golden.img --backing-format raw
rm golden.img
json_is "status --json of it" "d['image-file'] == 'present' and \
d['backing-chain'][0]['file'] == 'deleted'" qedctl status --json vm1
expect_line "remove" "remove vm1: its backing file $SCRATCH/golden.img was deleted, and is lost with \
the device: keep what the image needs of it by \`qedctl stream --wait vm1\`, or use --force" \
	qedctl remove vm1
check "the way out of that" qedctl stream --wait vm1
check "remove, then" qedctl remove vm1
check "all is in the image" qed-img compare -f qed -F raw over.qed golden.copy
only_these "nothing is left"
json_verdicts
finish
