# SPDX-License-Identifier: GPL-2.0
# For scripts that build for a 7.x kernel, whose headers come with a small Debian 13 (get-kernel-7);
# sourced.

# in_chroot CHROOT FOLDER COMMAND...: run the command in the chroot, with FOLDER at /mnt. Other
# processes do not see its mounts, which vanish when it ends.
in_chroot() {
	unshare --mount --propagation private bash -c '
		chroot=$1 folder=$2
		shift 2
		mkdir -p "$chroot/mnt" && mount --bind "$folder" "$chroot/mnt" &&
			mount -t proc proc "$chroot/proc" || exit 1
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
			chroot "$chroot" "$@"
		' bash "$@"
}
