#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# sysctl kernel.io_uring_disabled: the tools and the plugin work without io_uring; qedd and qedctl
# say that it is denied, and by what; a device that is there stays in use.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/device_lib.sh"

cd "$SCRATCH" || exit 1
modprobe ublk_drv
sysctl=/proc/sys/kernel/io_uring_disabled
[ -e $sysctl ] || { skip "kernel.io_uring_disabled" "this kernel has none"; finish; }
at_exit eval "echo 0 >$sysctl"

head -c 8M /dev/urandom >golden.img
check "a device is there before" qedctl create before before.qed --backing golden.img

echo 2 >$sysctl
check "qed-img makes an overlay" qed-img create -q -f qed -b golden.img -F raw vm.qed
check "qed-io writes and reads" qed-io -c "write -P 7 1M 1M" -c "read -P 7 1M 1M" vm.qed
check "qed-img converts" qed-img convert -O raw vm.qed flat.img
same "all bytes" "$(cmp -n 1M flat.img golden.img && cmp -i 2M flat.img golden.img && echo same)" same
check "qed-img checks" qed-img check -q vm.qed
denied="io_uring is denied: sysctl kernel.io_uring_disabled is 2"
qedd --name v --image vm.qed >out 2>err
same "qedd says what denies it" "$?: $(cat out err)" \
	"1: qedd: v: a block device needs io_uring: $denied"
expect_line "qedctl create, too" "create w: a block device needs io_uring: $denied" qedctl create w vm.qed
same "and features" "$(qedctl features | grep ^ublk)" "ublk           none: /dev/ublk-control: $denied"
same "no server is left" "$(ls /run/qedblk)" "$(ls /run/qedblk | grep before)"

check "the device is still read" cmp golden.img /dev/mapper/before -n 8M
check "and written" dd if=/dev/urandom of=/dev/mapper/before bs=1M count=2 oflag=direct status=none
check "and removed" qedctl remove before

# 1: for those with CAP_SYS_ADMIN only.
echo 1 >$sysctl
check "1 allows it to root" qedctl create after after.qed --backing golden.img
check "it is removed" qedctl remove after
chmod 755 .
chmod 666 vm.qed
check "and others work without" setpriv --reuid=65534 --clear-groups --bounding-set=-all \
	"$QEDBLK_BUILD/qed-img" info vm.qed
finish
