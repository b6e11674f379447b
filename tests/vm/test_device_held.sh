#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
# What a device is used by: `remove` names it, and an image that is such a device is refused like
# one that another process writes, whatever it is called.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
modprobe -a loop dm_mod ext4 2>/dev/null
dev=/dev/mapper/vm1

# says NAME WORDS COMMAND...: the command fails, and says WORDS.
says() {
	local name=$1 words=$2
	shift 2
	if "$@" >out 2>&1; then
		not_ok "$name" "it succeeded: $(head -c 300 out)"
	elif grep -qF -- "$words" out; then
		ok "$name"
	else
		not_ok "$name" "wanted '$words', got: $(cat out)"
	fi
}

require "create" qedctl create vm1 vm1.qed --size 64M
lower=$(status_of vm1 ublk-device)
server=$(server_pid vm1)

# ---- What holds it ----
busy() {
	exits=4 expect_line "remove: $1" "remove vm1: device is in use by $2" qedctl remove vm1
}
sleep 1000 <$dev &
user=$!
wait_until 20 test -e /proc/$user/fd/0
busy "a process" "process $user (sleep)"
mkfs.ext4 -q $dev && mkdir "a mount" && mount $dev "a mount"
busy "a mount and a process" "the mount on $SCRATCH/a mount, process $user (sleep)"
kill $user
wait $user 2>/dev/null
busy "a mount" "the mount on $SCRATCH/a mount"
umount "a mount"
unshare -m --propagation private sh -c "mount $dev '$SCRATCH/a mount' && exec sleep 1000" &
user=$!
wait_until 20 eval '[ "$(cat /proc/$user/comm)" = sleep ]'
busy "a mount in another namespace" \
	"the mount on $SCRATCH/a mount of process $user (sleep)"
kill $user
wait $user 2>/dev/null
wait_until 20 eval "dmsetup info -c --noheadings -o open $dev | grep -q '^0'"
mkswap $dev >/dev/null 2>&1 && swapon $dev
busy "swap" "swap on $(awk 'NR == 2 { print $1 }' /proc/swaps)"
swapoff $dev
dmsetup create upper --table "0 2048 linear $dev 0" && at_exit dmsetup remove upper
upper=/dev/dm-$(dmsetup info -c --noheadings -o minor upper)
busy "a device above it" "$(basename "$upper") (upper)"
loop=$(losetup -f --show $dev)
at_exit losetup -d "$loop"
says "remove: a loop device" "$(basename "$loop")" qedctl remove vm1

# ---- A device that can be written to is no backing file, by any name ----
ln -s $dev link
mknod node b "$(stat -c 0x%t $lower)" "$(stat -c 0x%T $lower)"
addpart "$lower" 1 2048 4096 && addpart "$lower" 2 8192 4096
json='json:{"driver":"raw","file":{"driver":"host_device","filename":"'$dev'"}}'
for name in $dev "$lower" link ./node "$upper" "$loop" "${lower}p1" "$json"; do
	says "--backing $name" \
		"Failed to get shared \"write\" lock: is another process using the image? It is the \
writable device vm1, which process $server (qedd) serves from $SCRATCH/vm1.qed" \
		qedctl create vm2 new.qed --backing "$name" --backing-format raw
	check "qed-img create -b $name, as QEMU's" qed-img create -q -f qed -b "$name" -F raw new.qed
	says "an overlay of $name" "It is the writable device vm1" qedctl create vm2 new.qed
	rm -f new.qed
done
qed-img create -q -f qed -u -b $dev -F raw over.qed 64M
says "an overlay that names it" "It is the writable device vm1" qed-img convert -O raw over.qed copy.raw
check "looked at, as QEMU's tools do" qed-io -r -f qed -c "read 0 4k" over.qed
says "served, too" "It is the writable device vm1" qedctl create vm2 over.qed
check "forced" qed-img info -U --backing-chain -f qed over.qed
says "called as qemu-img, in QEMU's words" 'Is another process using the image [/dev/mapper/vm1]?' \
	bash -c "exec -a qemu-img $(command -v qed-img) convert -O raw over.qed copy.raw"
same "and no more" "$(grep -c writable out)" 0
dmsetup remove upper
losetup -d "$loop"

# ---- What reads or writes the bytes: not while another has it for writing ----
check "a device that is not in use is read" qed-img convert -f raw -O qed $dev copy.qed
check "and written" qed-io -f raw -c "write -P 5 0 64k" $dev
sleep 1000 <$dev &
user=$!
check "one that is read by others, too" qed-io -f raw -c "write -P 5 0 64k" "$lower"
kill $user
wait $user 2>/dev/null
sleep 1000 <>$dev &
user=$!
wait_until 20 test -e /proc/$user/fd/0
says "one that another process may write to" \
	"Is another process using the image [$lower]? It is in use by process $user (sleep)" \
	qed-img convert -f raw -O qed "$lower" copy.qed
check "is read by force" qed-img convert -U -f raw -O qed "$lower" copy.qed
kill $user
wait $user 2>/dev/null
sleep 1000 <>"${lower}p1" &
user=$!
wait_until 20 test -e /proc/$user/fd/0
for name in "${lower}p1" "$lower" $dev; do
	says "its partition is in use: $name" "in use by process $user (sleep)" \
		qed-io -f raw -c "write 0 4k" "$name"
done
check "another partition is not" qed-io -f raw -c "write 0 4k" "${lower}p2"
kill $user
wait $user 2>/dev/null
delpart "$lower" 1
delpart "$lower" 2
mkfs.ext4 -q $dev && mount $dev "a mount"
for name in $dev "$lower" link; do
	says "a mounted one, read: $name" "in use by the mount on $SCRATCH/a mount" \
		qed-img convert -f raw -O raw "$name" copy.raw
	check "compared, as a raw image in use: $name" qed-img compare -f raw -F raw "$name" "$name"
	says "written: $name" "in use by the mount on $SCRATCH/a mount" \
		qed-io -f raw -c "write 0 4k" "$name"
	says "served: $name" "in use by the mount on $SCRATCH/a mount" qedctl create vm2 "$name" --format raw
done
umount "a mount"
mount -o ro,noload $dev "a mount"
check "mounted for reading, it is read" qed-img convert -f raw -O raw $dev copy.raw
says "and not written" "in use by the mount on" qed-io -f raw -c "write 0 4k" $dev
umount "a mount"

# ---- A device over a device, and a golden device ----
check "a device is an image" qedctl create vm2 $dev --format raw
says "of one server" "in use by process $(server_pid vm2) (qedd)" \
	qedctl create vm3 "$lower" --format raw
check "remove it" qedctl remove vm2
check "remove the lower" qedctl remove vm1
check "create for reading" qedctl create vm1 vm1.qed --read-only
check "what cannot be written to is a backing file" \
	qedctl create vm2 new.qed --backing $dev --backing-format raw
exits=4 expect_line "it is in use then" "remove vm1: device is in use by process \
$(server_pid vm2) (qedd)" qedctl remove vm1
check "remove both" eval 'qedctl remove vm2 && qedctl remove vm1'
only_these "nothing is left"
finish
