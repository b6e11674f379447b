# SPDX-License-Identifier: GPL-2.0
# For scripts about a full file system: `host` is one of 200 MiB in $SCRATCH, the working directory.
# The image of device vm1 lies there, and `ballast` takes the room.
truncate -s 200M host.img && mkfs.ext4 -q host.img && mkdir host
require "the image's file system" mount -o loop host.img host
at_exit umount "$SCRATCH/host"

fill() {
	local free
	free=$(df --output=avail -k host | tail -n 1)
	fallocate -l "$((${1:-free}))K" host/ballast && dd if=/dev/zero of=host/rest bs=4k status=none 2>/dev/null
	sync -f host
}

make_room() {
	rm -f host/ballast host/rest
	sync -f host
}

is_full() {
	[ "$(status_of vm1 full.waiting)" ]
}
