#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# What users other than root see of devices, and several devices at once.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
as_user() {
	setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"
}
devices=$(for n in 1 2 3 4 5 6; do echo "vm$n"; done)
for n in $devices; do
	no_dm=
	[ $n != vm6 ] || no_dm=--no-dm
	require "create $n" qedctl create $n $n.qed --size 64M $no_dm
done
same "ls" "$(as_user qedctl ls 2>&1 | awk '{ print $1, $2, $NF }')" "$(
	echo NAME DEVICE STATE
	for n in 1 2 3 4 5; do
		echo vm$n /dev/mapper/vm$n live
	done
	echo vm6 - live
)"
json_is "ls as JSON" "len(d) == 6 and d[0]['image'] == '$SCRATCH/vm1.qed' and d[0]['size'] == 64 << 20" \
	as_user qedctl ls --json
json_is "status" "d['state'] == 'live' and d['image'] == '$SCRATCH/vm2.qed' and \
d['ublk-device'].startswith('/dev/ublkb') and d['mapping']['uuid'] == 'QED-vm2' and d['note']" \
	as_user qedctl status --json vm2
exits=3 expect_line "status of no device" "status vm9: no such device" as_user qedctl status vm9
check "features" as_user qedctl features
json_is "features as JSON" "d['ublk'] == {'available': True} and d['device-mapper']['available']" \
	as_user qedctl features --json
exits=1 expect_line "what is more than that needs root" "info vm1: permission denied: not root" \
	as_user qedctl info vm1
kill_server vm3
same "a server that died" "$(as_user qedctl ls | awk '$1 == "vm3" { print $NF }')" dead
check "recover --all" qedctl recover --all
same "live again" "$(as_user qedctl ls | awk '$1 == "vm3" { print $NF }')" live
json_is "stats of all" "sorted(d) == ['vm1', 'vm2', 'vm3', 'vm4', 'vm5', 'vm6']" \
	qedctl stats --all --json

exec 7</dev/mapper/vm4
exits=4 expect_line "remove --all, with one in use" "remove vm4: device is in use by $me" \
	qedctl remove --all
only_these "the one is left" vm4
exec 7<&-
check "remove --all of the rest" qedctl remove --all
only_these "nothing is left"
json_verdicts
finish
