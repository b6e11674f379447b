#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# newer: yes
# timeout: 600
# The server and the client killed at random instants around a snapshot, while files are copied on
# the device; then the longest chain. SEED=N repeats the choices; QEDBLK_SNAPSHOT_KILLS=N kills N
# times, by hand.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
. "$vm_dir/load_lib.sh"
dev=/dev/mapper/vm1
kills=${QEDBLK_SNAPSHOT_KILLS:-15}
mkdir mnt

image_is() {
	[ "$(status_of vm1 image)" = "$1" ] && grep -qF "\"image\": \"$1\"" /run/qedblk/vm1.json
}

# ---- Killed around a snapshot ----
require "create for kills" qedctl create vm1 vm1.qed --size 64M
at_exit umount "$SCRATCH/mnt"
require "a file system" eval "mkfs.ext4 -q $dev && mount $dev mnt"
(while [ ! -e enough ]; do
	cp -r /etc/init.d mnt/x && sync -f mnt && diff -r /etc/init.d mnt/x && rm -r mnt/x || exit 1
done) >busy.log 2>&1 &
busy=$!
image=vm1.qed done=0
for ((i = 1; i <= kills; i++)); do
	qedctl snapshot vm1 k$i.qed 2>/dev/null &
	client=$!
	sleep 0.$(printf %03d $((RANDOM % 800)))
	[ $((i % 4)) = 0 ] && kill -KILL $client 2>/dev/null || kill -KILL "$(server_pid vm1)"
	wait $client 2>/dev/null
	wait_until 20 eval "qedctl status vm1 | grep -q '^state *live' || within 60 qedctl recover vm1" ||
		{ not_ok "kill $i: recover" "failed"; break; }
	# The client's death ends nothing: the server goes on.
	[ $((i % 4)) = 0 ] && wait_until 20 eval "qedctl snapshot vm1 k$i.qed 2>&1 | grep -q exists"
	if image_is "$SCRATCH/k$i.qed"; then
		image=k$i.qed done=$((done + 1))
	elif image_is "$SCRATCH/$image"; then
		rm -f k$i.qed
	else
		not_ok "kill $i: the image" "$(status_of vm1 image), wanted $image or k$i.qed"
		break
	fi
done
[ $i -gt "$kills" ] && ok "killed $kills times around a snapshot, of which $done were done"
touch enough
wait $busy
same "files are as they were copied" "$?" 0
rm enough
umount mnt
check "e2fsck finds nothing" e2fsck -fn $dev
dd if=$dev of=seen bs=1M iflag=direct status=none
check "remove after kills" qedctl remove vm1
check "QEMU reads the same" qemu-img compare -f qed -F raw $image seen
check "the image is good" qemu-img check -q -f qed $image
for i in vm1.qed k*.qed; do
	check "$i is sound" is_sound $i
done
rm -f k*.qed vm1.qed

# ---- Raw images; the longest chain ----
require "a raw image" qedctl create vm1 vm1.raw --format raw --size 64M
check "data" dd if=/dev/urandom of=$dev bs=1M count=2 oflag=direct status=none
dd if=$dev of=now bs=1M status=none
for ((i = 1; i < 200; i++)); do
	qedctl snapshot vm1 r$i.qed || { not_ok "image $i" "failed"; break; }
done
json_is "199 images over it" 'len(d["backing-chain"]) == 199 and not d["copy-on-read"]' qedctl status --json vm1
expect_line "no more" "snapshot vm1: $SCRATCH/r199.qed: more than 200 images in its backing chain" \
	qedctl snapshot vm1 r200.qed
check "nothing is left of it" [ ! -e r200.qed ]
check "all is there" cmp now $dev
kill_server vm1
check "recover the chain" qedctl recover vm1
check "all is there then" cmp now $dev
check "remove the last" qedctl remove vm1
json_verdicts
finish
