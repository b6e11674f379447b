# SPDX-License-Identifier: GPL-2.0
# For scripts that cut the power of an image; sourced after lib.sh. The image is in a file system of
# its own, on a device that can be made to lose or refuse writes.
PATH=$QEDBLK_BUILD/tests/vm:$PATH
# The tests can run another server: see tests/crash/test_mutations.py --qedd.
qedd=${QEDBLK_QEDD:-qedd}
disk_mib=256
seed=${QEDBLK_SEED:-$(date +%s)}
echo "# QEDBLK_SEED=$seed"
at_exit pkill -KILL -x qedd

# new_disk FILE MIB: make a sparse file and a loop device on it; print the device's name.
new_disk() {
	truncate -s 0 "$1" && truncate -s "$2M" "$1" && losetup --find --show "$1"
}

# start_server IMAGE OPTIONS...: start a server; set dev.
start_server() {
	dev=$("$qedd" --name p --image "$@" 2>"$SCRATCH/.server") || { cat "$SCRATCH/.server"; return 1; }
}

# Kill the server, as a power cut does: no I/O follows, and the device is not recovered.
cut_server() {
	kill_server p && qedctl remove --force p && wait_until 20 eval '[ ! -e "/sys/block/${dev##*/}" ]'
}

# set_table NAME TABLE: replace a device's table; requests in flight complete before.
set_table() {
	dmsetup suspend --noflush --nolockfs "$1" && dmsetup load "$1" --table "$2" &&
		dmsetup resume "$1"
}
