#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 240
# Servers that hang, or die while they end: qedctl's error messages and its effects.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1

# The server does not answer, with requests in flight. The kernel takes a moment to see that it was
# killed, so this is done several times.
for time in 1 2 3 4; do
	require "create ($time)" qedctl create vm1 vm1.qed --size 64M
	pid=$(server_pid vm1)
	kill -STOP "$pid"
	dd if=/dev/zero of=$dev bs=64K count=1 oflag=direct 2>/dev/null &
	writer=$!
	wait_until 20 eval "! grep -q ' 0 *0$' /sys/block/ublkb0/inflight"
	check "remove --force of a hung server with I/O in flight ($time)" \
		within 60 qedctl remove --force vm1
	expect_fail "the I/O has failed ($time)" wait $writer
	expect_fail "the server is gone ($time)" kill -0 "$pid"
	check "nothing is left ($time)" \
		eval '[ ! -e $dev ] && [ -z "$(ls /run/qedblk /sys/class/ublk-char | grep -v :)" ]'
done

# Another program deletes the ublk device: what is left is a dead device, which `remove` takes away.
for forced in "" --force; do
	require "create ${forced}" qedctl create vm1 vm1.qed
	check "data is written" dd if=/dev/zero of=$dev bs=1M count=1 oflag=direct
	check "its ublk device is deleted" within 60 "$QEDBLK_BUILD/tests/vm/ublkdel" 0
	check "its server ends" wait_until 40 eval '[ "$(qedctl ls | awk "\$1 == \"vm1\" { print \$NF }")" = dead ]'
	check "remove $forced of the rest" within 60 qedctl remove $forced vm1
	only_these "nothing is left of a deleted one"
	check "its image is whole" qed-img check -q vm1.qed
done

# The server dies after the request to end.
require "create again" qedctl create vm1 vm1.qed
pid=$(server_pid vm1)
check "data can be written" dd if=/dev/zero of=$dev bs=1M count=1 oflag=direct
(
	until [ ! -e $dev ]; do :; done
	kill -KILL "$pid"
) &
killer=$!
qedctl remove vm1 2>err
status=$?
wait $killer
# The signal may arrive too late.
if [ $status -eq 0 ]; then
	same "remove of one that dies: in time" "$(cat err)" ""
elif [ "$(cat err)" = "qedctl: remove vm1: the server died before it had made everything durable" ]; then
	ok "remove of one that dies while the kernel stops its device"
else
	same "remove of one that dies" "$(cat err)" "qedctl: remove vm1: the server died before it had \
made everything durable: recover it, then remove it"
	check "recover" qedctl recover vm1
	check "remove, then" qedctl remove vm1
fi
check "nothing is left of it" eval '[ -z "$(ls /run/qedblk /sys/class/ublk-char | grep -v :)" ]'
require "its name can be used" qedctl create vm1 vm1.qed
check "and taken away" qedctl remove vm1
finish
