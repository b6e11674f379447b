#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# vm: --systemd
# timeout: 180
# Under systemd: devices outlive the service that creates, recovers or removes them, and end when
# the system does.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1
same "process 1 is systemd" "$(cat /proc/1/comm)" systemd

# as_service COMMAND...: run it as a service, whose other processes are ended after it.
as_service() {
	systemd-run --quiet --collect -p Type=oneshot --setenv=PATH="$PATH" --working-directory="$SCRATCH" \
		-p DefaultDependencies=no -p StandardOutput=append:"$SCRATCH/out" \
		-p StandardError=append:"$SCRATCH/out" -- "$@"
}
# scope_of DEVICE: the control group of its server.
scope_of() {
	sed -n 's,^0::/,,p' "/proc/$(server_pid "$1")/cgroup"
}

require "create in a service" as_service qedctl create vm1 vm1.qed --size 64M
same "without a word but the device" "$(cat out)" $dev
pid=$(server_pid vm1)
same "the server has left the service" "$(scope_of vm1)" "system.slice/qedblk-$pid.scope"
check "its scope tells the device" eval \
	"systemctl show -P Description qedblk-$pid.scope | grep -x 'qedblk device vm1'"
sleep 2
check "the device is alive" dd if=/dev/zero of=$dev bs=1M count=1 oflag=direct

exec 7<$dev
systemctl stop "qedblk-$pid.scope" &
stop=$!
sleep 1
check "to stop the scope does not end a device in use" kill -0 "$pid"
check "which can be read" dd if=$dev of=/dev/null bs=1M count=1 iflag=direct
kill $stop
exec 7<&-

kill_server vm1
check "recover in a service" as_service qedctl recover vm1
pid=$(server_pid vm1)
same "its server has left that, too" "$(scope_of vm1)" "system.slice/qedblk-$pid.scope"
check "the recovered device is alive" dd if=$dev of=/dev/null bs=1M count=1 iflag=direct

exec 7<$dev
check "deferred removal in a service" as_service qedctl remove --deferred vm1
sleep 1
exec 7<&-
check "what waits has left the service: the device goes at its last close" \
	wait_until 20 device_is_gone vm1
only_these "nothing is left"
check "no scope is left" wait_until 20 eval '! systemctl list-units --all | grep "qedblk-[0-9]"'

# ---- In the foreground a device belongs to its service ----
systemd-run --quiet --unit=fg --setenv=PATH="$PATH" --working-directory="$SCRATCH" \
	-p DefaultDependencies=no -- qedctl create vm1 vm1.qed --foreground
check "in the foreground" wait_until 20 test -b $dev
check "the server is in the service" eval 'scope_of vm1 | grep -x system.slice/fg.service'
check "which stops in order" systemctl stop fg
only_these "nothing is left of that"

# ---- When the system shuts down, SIGTERM ends a device in use ----
require "create once more" qedctl create vm1 vm1.qed
pid=$(server_pid vm1)
exec 7<$dev
kill -TERM "$pid"
sleep 2
check "SIGTERM in a running system does not" kill -0 "$pid"
kill_server vm1
qedctl recover vm1
pid=$(server_pid vm1)
systemd-run --quiet --unit=down -p DefaultDependencies=no -p Wants=shutdown.target true
check "the system is about to shut down" wait_until 20 eval \
	'[ "$(systemctl is-system-running)" = stopping ]'
kill -TERM "$pid"
check "one SIGTERM ends it then" wait_until 20 test ! -e "/proc/$pid"
exec 7<&-
finish
