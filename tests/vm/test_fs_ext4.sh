#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
# ext4 made, filled, trimmed, checked; the image is compact afterwards.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"
. "$vm_dir/fs_lib.sh"

fs_check() {
	e2fsck -fn "$1"
}

fs_size_mib=160 fs_rest_mib=32
fs_life mkfs.ext4 -q
finish
