#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Space is allocated ahead on a file system without fallocate(), too: ext2, in a mount namespace that
# ends with the test.
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${QEDBLK_BUILD:-build}")
dir=$(mktemp -d) || exit 1
trap 'cd /; rm -rf "$dir"' EXIT
cd "$dir" || exit 1

if [ "${1:-}" != inside ]; then
	if ! why=$(truncate -s 20M disk && PATH=$PATH:/sbin:/usr/sbin mkfs.ext2 -q disk &&
		mkdir mnt && unshare -m mount -o loop disk mnt 2>&1); then
		echo "skip no fallocate(): ext2 cannot be mounted here (${why##*: })"
		exit 0
	fi
	cd - >/dev/null || exit 1
	unshare -m "$0" inside
	exit
fi

# allocated NAME FILE KIB COMMAND...: after it succeeds the file occupies that much or more.
allocated() {
	local name=$1 file=$2 kib=$3 said

	shift 3
	said=$("$@" 2>&1) || { not_ok "$name" "$said"; return; }
	if [ "$(du -k "$file" | cut -f1)" -ge "$kib" ]; then
		echo "ok $name"
	else
		not_ok "$name" "occupies only $(du -k "$file" | cut -f1) KiB"
	fi
}

truncate -s 20M disk && PATH=$PATH:/sbin:/usr/sbin mkfs.ext2 -q disk && mkdir mnt &&
	mount -o loop disk mnt || exit 1
if fallocate -l 4096 mnt/try 2>/dev/null; then
	echo "skip no fallocate(): ext2 has it here"
	exit 0
fi
allocated "create" mnt/a 1024 "$build/qed-img" create -f raw -o preallocation=falloc mnt/a 1M
allocated "resize" mnt/a 4096 "$build/qed-img" resize -f raw --preallocation=falloc mnt/a 4M
allocated "truncate with O_DIRECT" mnt/a 8192 \
	"$build/qed-io" -n -f raw -c "truncate -m falloc 8M" mnt/a
"$build/qed-io" -r -f raw -c "read -P 0 0 8M" mnt/a | grep -q "^read 8388608/8388608" &&
	echo "ok contents" || not_ok "contents" "no zeroes"
umount mnt
finish
