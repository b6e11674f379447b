#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 480
# A server's life: starting twice, refusing bad images, ending while in use, being killed.
. "$(dirname "$0")/lib.sh"

cd "$SCRATCH" || exit 1
modprobe ublk_drv
at_exit pkill -KILL -x qedd

# ask JSON: the answer of v's server.
ask() {
	perl -MIO::Socket::UNIX -e '
		my $s = IO::Socket::UNIX->new("/run/qedblk/v.sock") or die "no socket\n";
		print $s "$ARGV[0]\n"; print scalar <$s>' "$1"
}

is_gone() {
	[ -z "$(ls /run/qedblk /sys/class/ublk-char | grep -v : | grep .)" ] && ! pgrep -x qedd
}

# one_line NAME LINE COMMAND...: it fails with LINE and no other on standard error. exits: the status.
one_line() {
	local name=$1 wanted=$2 rc
	shift 2
	"$@" >out 2>err
	rc=$?
	same "$name" "$rc: $(cat out err)" "${exits:-1}: $wanted"
}

# ---- Images that cannot be served ----
mkdir dir
echo short >short.raw
head -c 100 /dev/zero >trunc.qed && printf 'QED\0' | dd of=trunc.qed conv=notrunc status=none
serve="qedd --name v --image"
exits=3 one_line "a missing image" "qedd: v: $SCRATCH/none.qed: No such file or directory" $serve none.qed
one_line "a directory" "qedd: v: $SCRATCH/dir: Is a directory" $serve dir
one_line "a device that is none" "qedd: v: /dev/null: Not a regular file or block device" \
	$serve /dev/null
expect_fail "a truncated image" $serve trunc.qed
expect_fail "a format that there is not" $serve short.raw --format vmdk
expect_fail "an image without room" $serve new.qed --size 1G --cluster-size 3000
exits=2 one_line "no --name" "qedd: --name is needed" qedd --image a
expect_fail "a backing file that is not there" $serve new.qed --backing none.img
same "no image was left behind" "$(ls *.qed)" trunc.qed
check "nothing else was, either" is_gone

# ---- One server per name, one server per image ----
dev=$(qedd --name v --image v.qed --size 64M --cluster-size 64K 2>err)
same "a new image is served" "$dev" /dev/ublkb0
same "without a word" "$(cat err)" ""
pid=$(server_pid v)
exits=4 one_line "its name is taken" "qedd: v: already served by process $pid" $serve other.qed --size 1M
expect_fail "its image is taken" qedd --name w --image v.qed
same "no files of others" "$(ls /run/qedblk | tr '\n' ' ')$(ls *.qed | tr '\n' ' ')" \
	"v.json v.lock v.rescue v.sock trunc.qed v.qed "
check "the state file is JSON that names the device" \
	perl -ne '$t .= $_; END { exit !($t =~ m{"device": "/dev/ublkb0"} && $t =~ /"dev-id": 0/ &&
		$t =~ /"pid": '"$pid"'/) }' /run/qedblk/v.json

# ---- The control socket ----
same "an unknown command" "$(ask '{"execute":"dance","id":3}')" \
	'{"error":{"class":"CommandNotFound","desc":"no such command: dance"},"id":3}'
same "a word that is misspelt is not passed over" "$(ask '{"execute":"quit","arguments":{"froce":true}}')" \
	'{"error":{"class":"GenericError","desc":"argument '"'froce'"' is not known"}}'
check "nonsense is refused" eval 'ask "nonsense" | grep -q "GenericError.*not JSON"'
check "commands" eval 'ask "{\"execute\":\"commands\"}" | grep -q "\"quit\""'
same "flush" "$(ask '{"execute":"flush"}')" '{"return":{}}'
check "info has features, limits and counts" eval 'ask "{\"execute\":\"info\"}" |
	grep "CMD_IOCTL_ENCODE" | grep "\"io-opt\":65536" |
	grep -q "\"clusters\":{\"total\":1024,\"data\":0,\"zero\":0}"'

# ---- In use ----
sleep 1000 <$dev &
user=$!
same "quit is refused while a process has it open" "$(ask '{"execute":"quit"}')" \
	"{\"error\":{\"class\":\"DeviceBusy\",\"desc\":\"$dev is in use by process $user (sleep)\"}}"
kill $user
wait $user 2>/dev/null
mkfs.ext4 -q $dev && mkdir mnt && mount $dev mnt
check "quit is refused while it is mounted" eval \
	'ask "{\"execute\":\"quit\"}" | grep -q "DeviceBusy.*is in use by the mount on $SCRATCH/mnt"'
cp /usr/bin/perl mnt/ && sum=$(sha256sum <mnt/perl)
check "it goes on" sync -f mnt
umount mnt
same "quit, when nobody has it" "$(ask '{"execute":"quit"}')" '{"return":{}}'
check "the server has ended" wait_until 10 is_gone
check "qemu finds no fault in the image" qemu-img check -q v.qed

# ---- SIGTERM under load ----
dev=$(qedd --name v --image v.qed)
mount $dev mnt
same "what was written is there again" "$(sha256sum <mnt/perl)" "$sum"
dd if=/dev/urandom of=mnt/synced bs=1M count=4 conv=fsync status=none
synced=$(sha256sum <mnt/synced)
# Not synced: the data is in the file system's and the device's caches.
cp mnt/synced mnt/cached
(while dd if=/dev/zero of=mnt/noise bs=64k count=64 conv=notrunc,fsync status=none; do :; done) \
	2>/dev/null &
noise=$!
sleep 1
pid=$(server_pid v)
kill -TERM "$pid"
sleep 2
check "SIGTERM does not stop it while it is mounted" kill -0 "$pid"
check "and what is mounted can be read and written" \
	dd if=/dev/urandom of=mnt/after bs=64k count=1 conv=fsync status=none
kill -TERM "$pid"
check "at the second one it ends while mounted and written to, and does not wait" wait_until 15 is_gone
wait $noise
umount mnt
check "qemu finds no fault in the image now" qemu-img check -q v.qed
dev=$(qedd --name v --image v.qed)
check "the file system can be mended" eval "fsck.ext4 -fy $dev; [ \$? -le 1 ]"
mount $dev mnt
same "what was synced is there" "$(sha256sum <mnt/synced)" "$synced"
same "what was cached is there, too" "$(sha256sum <mnt/cached)" "$synced"
umount mnt

# ---- Killed ----
dd if=/dev/urandom of=data bs=1M count=2 status=none
dd if=data of=$dev bs=1M seek=50 conv=fsync status=none
kill_server v
# Another device is not affected.
dev2=$(qedd --name w --image w.raw --format raw --size 1M)
exits=4 one_line "a killed server's name is kept for its successor" "qedd: v: ublk device 0 of a server \
that died waits: qedctl recover v, or qedctl remove --force v" $serve v.qed
same "that changed nothing" "$(ls /run/qedblk | grep '^v' | xargs)" "v.json v.lock v.rescue v.sock"
same "its successor gets its device" "$(qedd --name v --image v.qed --recover)" /dev/ublkb0
check "what was written is there" cmp -n 2097152 -i 0:52428800 data /dev/ublkb0
one_line "a successor of nobody" "qedd: x: no device of that name waits for a server" \
	qedd --name x --image x.qed --recover
kill "$(server_pid w)"
same "quit by force" "$(ask '{"execute":"quit","arguments":{"force":true}}')" '{"return":{}}'
check "everything has ended" wait_until 20 is_gone
[ -n "$dev2" ] || not_ok "another server" "did not start"

# ---- Started by a parent that ignores SIGCHLD ----
dev=$(perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' qedd --name v --image v.qed)
check "a caller who ignores SIGCHLD: data is written" dd if=data of="$dev" bs=1M count=1 status=none
same "and it ends in order" "$(ask '{"execute":"quit"}')" '{"return":{}}'
check "all of it" wait_until 20 is_gone

# ---- In the foreground, and the device stopped by another program ----
qedd --name v --image v.qed --foreground >out 2>err &
server=$!
check "--foreground prints the device, too" wait_until 20 grep -q /dev/ublkb out
exec 7</dev/ublkb0
kill -INT $server
check "a signal while it is open is answered by one line" wait_until 20 grep -qx "qedd: warning: v: \
SIGINT does not stop it: /dev/ublkb0 is in use by process $$ .*; a second signal within a minute does" err
exec 7<&-
kill -INT $server
wait $server
same "SIGINT ends it well" $? 0
check "it logs to standard error" grep -q 'qedd: v: stopped' err
check "all is gone again" is_gone
finish
