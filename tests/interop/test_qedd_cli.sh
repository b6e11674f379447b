#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# qedd's command line, without a device: its output, one error line each, exit status, nothing is
# created.
set -u
. "$(dirname "$0")/lib.sh"
qedd=$(realpath "${QEDBLK_BUILD:-build}")/qedd
dir=$(mktemp -d "${TMPDIR:-/tmp}/qedd.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
export QEDBLK_RUN_DIR=$dir/run
cd "$dir" || exit 1

# says NAME STATUS OUT ERR ARGS...: exits with STATUS, and its output matches OUT and ERR.
says() {
	local name=$1 expected=$2 out=$3 err=$4 status

	shift 4
	"$qedd" "$@" >out 2>err
	status=$?
	if [ $status -eq "$expected" ] && [[ $(cat out) =~ ^($out)$ ]] && [[ $(cat err) =~ ^($err)$ ]]; then
		echo "ok $name"
	else
		not_ok "$name" "status $status, it printed '$(cat out)', and '$(cat err)' as an error"
	fi
}

new=(--name vm1 --image vm1.qed --size 1M)
says "help" 0 "Usage: qedd .*" "" --help
says "help has columns" 0 ".*"$'\n'"  --detect-zeroes off.on.unmap"$'\n'" {26}[a-z].*" "" --help
says "version" 0 "qedd [0-9.]+" "" --version
says "no name" 2 "" "qedd: --name is needed" --image vm1.qed
says "no image" 2 "" "qedd: --image is needed" --name vm1
says "no such image" 3 "" "qedd: vm1: .*/vm1.qed: No such file or directory" --name vm1 --image vm1.qed
says "a depth too large" 2 "" "qedd: --depth: '5000' is more than 4096" "${new[@]}" --depth 5000
says "an unknown choice" 2 "" "qedd: --cache: 'fast' is not one of none.writeback" "${new[@]}" --cache fast
says "nobody to tell" 2 "" "qedd: vm1: --ready-fd 99: Bad file descriptor" "${new[@]}" --ready-fd 99

"${qedd%/*}/qed-img" create -q -f qed -u -b gone.raw -F raw gone.qed 1M
says "a missing backing file" 3 "" "qedd: vm1: [^ ]*/gone.raw: No such file or directory: it is in the \
backing chain of [^ ]*/gone.qed; .qed-img rebase -u. records another name" --name vm1 --image gone.qed

# ---- Standard output is full ----
# same NAME WANTED: status and err are like that.
same() {
	[ "$status $(cat err)" = "$2" ] && echo "ok $1" || not_ok "$1" "status $status, it said: $(cat err)"
}

for option in help version; do
	"$qedd" --$option >/dev/full 2>err
	status=$?
	same "--$option: standard output is full" "1 qedd: standard output: No space left on device"
done

if [ ! -e vm1.qed ]; then
	echo "ok nothing was made"
else
	not_ok "nothing was made" "there is vm1.qed"
fi

# The device is there all the same.
"${qedd%/*}/tests/interop/nodev_qedd" "${new[@]}" >/dev/full 2>err
status=$?
same "a device's path: standard output is full" \
	"1 qedd: vm1: /dev/ublkb77 is live, but standard output: No space left on device"
kill "$(cat run/vm1.lock)" && wait_until 20 test ! -e run/vm1.lock ||
	not_ok "its server ends" "$(ls run)"

# ---- A signal while the device is in use ----
for signal in TERM INT; do
	rm -f out err
	NODEV_USED=1 env --default-signal=$signal "${qedd%/*}/tests/interop/nodev_qedd" "${new[@]}" \
		--foreground >out 2>err &
	pid=$!
	wait_until 20 test -s out
	kill -$signal $pid
	wait_until 5 grep -qx "qedd: warning: vm1: SIG$signal does not stop it: the device is in \
use; a second signal within a minute does" err
	status=$?
	kill -0 $pid || status=ended
	same "SIG$signal: a line, and the server goes on" "0 $(cat err)"
	kill -$signal $pid
	wait $pid
	status=$?
	grep -qx "qedd: vm1: stopped" err || status=unordered
	same "SIG$signal: the second one stops it in order" "0 $(cat err)"
done

# ---- What is no disk image is not taken for raw unasked ----
head -c 1M /dev/urandom >golden.img
gzip -c golden.img >golden.gz
xz -0 -c golden.img >golden.xz
tar cf golden.tar golden.img
sha256sum golden.img >golden.txt
qedd=${qedd%/*}/tests/interop/nodev_qedd
no_disk() {
	says "a backing file that is $2" 1 "" "qedd: vm2: .*$1: is $2, not a disk image; --backing-format \
raw takes its bytes as they are" --name vm2 --image vm2.qed --size 1M --backing "$1"
	says "an image that is $2" 1 "" "qedd: vm2: .*$1: is $2, not a disk image; --format raw takes its \
bytes as they are" --name vm2 --image "$1"
	[ ! -e vm2.qed ] || not_ok "nothing is made over $1" "vm2.qed is there"
}
no_disk golden.gz "gzip data"
no_disk golden.xz "xz data"
no_disk golden.tar "a tar archive"
no_disk golden.txt "a text"
serves() {
	says "$@"
	kill "$(cat run/vm2.lock)" && wait_until 20 test ! -e run/vm2.lock ||
		not_ok "the server of $1 ends" "$(ls run)"
}
serves "its bytes, when asked for" 0 "/dev/ublkb77" "" --name vm2 --image vm2.qed \
	--backing golden.gz --backing-format raw
rm vm2.qed
serves "a size below the backing file's" 0 "/dev/ublkb77" "qedd: vm2: warning: [^ ]*/vm2.qed: the \
size is below the backing file's, whose end is cut off" --name vm2 --image vm2.qed --size 64K \
	--backing golden.img --backing-format raw

# ---- What cannot be written to ----
if command -v qemu-img >/dev/null; then
	qemu-img create -q -f qcow2 golden.qcow2 1M
	says "a format that is only read" 1 "" "qedd: vm2: .*/golden.qcow2: format qcow2 cannot be written to; \
--read-only serves it for reading" --name vm2 --image golden.qcow2
	serves "it, for reading" 0 "/dev/ublkb77" "" --name vm2 --image golden.qcow2 --read-only
else
	echo "skip a format that is only read: qemu-img is not installed"
fi
finish
