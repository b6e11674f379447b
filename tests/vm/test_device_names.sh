#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
# A device is found by the kernel's word: its mapping under another name, and its server when the
# files of it are gone, or in another directory.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
state_of() { qedctl ls | awk -v name="$1" '$1 == name { print $NF }'; }
servers() { pgrep -c -x qedd; }

# ---- dmsetup rename ----
require "create" qedctl create vm1 vm1.qed --size 64M
qed-io -f raw -c "write -q -P 7 1M 64k" /dev/mapper/vm1
check "rename" dmsetup rename vm1 web1
same "ls shows the new name, once" "$(qedctl ls | awk 'NR > 1 { print $1, $2, $NF }')" \
	"web1 /dev/mapper/web1 live"
json_is "status of it" "d['name'] == 'web1' and d['device'] == '/dev/mapper/web1' and \
d['mapping']['uuid'] == 'QED-vm1' and d['state'] == 'live'" qedctl status --json web1
check "stats, info, table, trace and a stream of it" eval 'qedctl stats web1 && qedctl info web1 &&
	qedctl table web1 && qedctl trace web1 start t && qedctl trace web1 stop && qedctl stream web1'
check "suspend and resume" eval 'qedctl suspend web1 && qedctl resume web1'
for verb in status stats info table stream suspend resume remove recover; do
	exits=3 expect_line "$verb of the old name" "$verb vm1: no such device: it is called \
web1 now" qedctl $verb vm1
done
exits=4 expect_line "create of the old name" "create vm1: device exists: it is called web1 now" \
	qedctl create vm1 new.qed --size 1M
exits=4 expect_line "create of the new name" "create web1: device exists" qedctl create web1 new.qed --size 1M
exec 7</dev/mapper/web1
exits=4 expect_line "remove of one in use" "remove web1: device is in use by $me" qedctl remove web1
exec 7<&-
lower=$(status_of web1 ublk-device)
exec 7<"$lower"
exits=4 expect_line "remove with the lower one in use" "" qedctl remove web1
exec 7<&-
same "its mapping is back, under that name" "$(dmsetup info -c --noheadings -o name,uuid)" web1:QED-vm1
kill_server vm1
same "its server dies" "$(state_of web1)" dead
check "recover" qedctl recover web1
check "its data is there" qed-io -r -f raw -c "read -q -P 7 1M 64k" /dev/mapper/web1
exec 7</dev/mapper/web1
check "remove --deferred" qedctl remove --deferred web1
exec 7<&-
check "goes at the last close" wait_until 20 eval '[ "$(servers)" = 0 ]'
only_these "nothing is left"

qedctl create vm1 vm1.qed --foreground >fg.out 2>&1 &
fg=$!
check "in the foreground" wait_until 30 test -s fg.out
check "renamed" dmsetup rename vm1 web1
kill -TERM $fg
check "SIGTERM ends it" wait $fg
only_these "nothing is left of it"

# ---- The files of its server are gone ----
require "create again" qedctl create vm1 vm1.qed
require "and one without a mapping" qedctl create vm2 vm2.qed --size 64M --no-dm
pid=$(server_pid vm1) pid2=$(server_pid vm2)
check "what is written" qed-io -f raw -c "write -q -P 8 2M 64k" /dev/mapper/vm1
rm -rf /run/qedblk
same "ls shows them" "$(qedctl ls | awk 'NR > 1 { print $1, $(NF - 1), $NF }')" \
	"vm1 $SCRATCH/vm1.qed unreachable
vm2 $SCRATCH/vm2.qed unreachable"
gone() {
	echo "its server, process $1, runs, but its control socket /run/qedblk/$2.sock is gone: \
\`qedctl remove $2\` ends it in order"
}
json_is "status says why" "d['state'] == 'unreachable' and d['pid'] == $pid and \
d['device'] == '/dev/mapper/vm1' and 'control socket' in d['warnings'][0]" qedctl status --json vm1
expect_line "stats, too" "stats vm1: $(gone "$pid" vm1)" qedctl stats vm1
exits=4 expect_line "and create" "create vm1: device exists: $(gone "$pid" vm1)" qedctl create vm1 vm1.qed
exits=4 expect_line "recover" "recover vm1: $(gone "$pid" vm1)" qedctl recover vm1
check "recover --all passes it over" qedctl recover --all
says=$(qedd --name vm1 --image other.qed --size 1M 2>&1)
same "a server of that name" "$says" "qedd: vm1: already served by process $pid (ublk device \
0)"
rm -rf other.qed
exec 7</dev/mapper/vm1
exits=4 expect_line "remove of one in use" "remove vm1: device is in use by $me" qedctl remove vm1
exec 7<&-
lower=/dev/ublkb1
exec 7<$lower
exits=4 expect_line "and of the other" "remove vm2: $lower is in use by $me" qedctl remove vm2
exec 7<&-
expect_line "remove --deferred" "remove vm1: --deferred: its server has no control socket any more" \
	qedctl remove --deferred vm1
check "remove" qedctl remove vm1
check "of the other, by force" qedctl remove --force vm2
same "no server is left" "$(servers)" 0
check "the images are in order" eval 'qemu-img check -q vm1.qed && qemu-img check -q vm2.qed &&
	qed-io -r -f qed -c "read -q -P 8 2M 64k" vm1.qed'
only_these "nothing is left of them"

# ---- Only the socket ----
require "create once more" qedctl create vm1 vm1.qed
rm /run/qedblk/vm1.sock
same "ls: without its socket" "$(state_of vm1)" unreachable
exec 7</dev/mapper/vm1
check "remove --force of one in use" qedctl remove --force vm1
exec 7<&-
check "all goes" wait_until 20 device_is_gone vm1

# ---- In another directory ----
check "create elsewhere" env QEDBLK_RUN_DIR="$SCRATCH/run" qedctl create vm1 vm1.qed
pid=$(cat run/vm1.lock)
elsewhere="its server, process $pid, has its files in $SCRATCH/run: set QEDBLK_RUN_DIR to that"
same "ls: elsewhere" "$(state_of vm1)" unreachable
expect_line "stats elsewhere" "stats vm1: $elsewhere" qedctl stats vm1
exits=4 expect_line "remove: elsewhere" "remove vm1: $elsewhere" qedctl remove vm1
check "it goes on" qed-io -f raw -c "read -q 0 64k" /dev/mapper/vm1
check "remove as it says" env QEDBLK_RUN_DIR="$SCRATCH/run" qedctl remove vm1
check "create elsewhere, without a mapping" \
	env QEDBLK_RUN_DIR="$SCRATCH/run" qedctl create vm1 vm1.qed --no-dm
same "ls: elsewhere and without" "$(state_of vm1)" unreachable
check "remove --force" qedctl remove --force vm1
same "no server is left of those" "$(servers)" 0
check "the image is in order still" qemu-img check -q vm1.qed
only_these "nothing is left of those"

# ---- In a container, with a /run of its own ----
check "create in a container" unshare -m sh -c 'mount -t tmpfs none /run && qedctl create vm1 vm1.qed'
pid=$(pgrep -x qedd)
same "ls: in a container" "$(state_of vm1)" unreachable
exits=4 expect_line "remove: in a container" "remove vm1: its server, process $pid, has its files in \
/proc/$pid/root/run/qedblk: set QEDBLK_RUN_DIR to that" qedctl remove vm1
check "remove as that says" env QEDBLK_RUN_DIR="/proc/$pid/root/run/qedblk" qedctl remove vm1
only_these "nothing is left of that"
json_verdicts
finish
