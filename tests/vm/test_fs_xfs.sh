#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
# xfs made, filled, trimmed, checked; the image is compact afterwards.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"
. "$vm_dir/fs_lib.sh"

fs_check() {
	xfs_repair -n "$1"
}

# The log is 64 MiB, and mkfs writes all of it.
fs_size_mib=320 fs_rest_mib=96
fs_life mkfs.xfs -q
finish
