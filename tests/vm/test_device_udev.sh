#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# vm: --udev
# timeout: 120
# With udev, which makes the nodes and opens each new device: it never gets in the way.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1
udevadm settle
cookies() {
	ipcs -s | grep -c '^0x0d4d'
}

require "create" qedctl create vm1 vm1.qed --size 512M
check "the node is udev's link" test -L $dev
check "udev has finished with it" test -e /run/udev/data/b"$(lsblk -dno MAJ:MIN $dev | tr -d ' ')"
check "mkfs" mkfs.ext4 -q $dev
check "remove right after it was closed" qedctl remove vm1
check "its link is gone" test ! -e $dev
for round in 1 2; do
	check "round $round: create" qedctl create vm1 vm1.qed
	dd if=$dev of=/dev/null bs=4k count=1 status=none
	check "round $round: remove at once" qedctl remove vm1
done
require "create once more" qedctl create vm1 vm1.qed
exec 7<$dev
exits=4 expect_line "remove of a device in use" "remove vm1: device is in use by $me" qedctl remove vm1
check "deferred" qedctl remove --deferred vm1
exec 7<&-
check "it goes at its last close" wait_until 20 device_is_gone vm1
check "no-dm" qedctl create vm1 vm1.qed --no-dm
check "remove of that" qedctl remove vm1
udevadm settle
same "no cookie is left" "$(cookies)" 0
only_these "nothing is left"
finish
