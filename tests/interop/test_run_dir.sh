#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Other local users cannot use servers' files: they can neither hold the lock of a name, which would
# keep a server or its successor from starting, nor connect to a server, nor read a server's image.
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${QEDBLK_BUILD:-build}")
qedd=$build/tests/interop/nodev_qedd
server= holder=
# Not in $TMPDIR: the other user has to reach it.
dir=$(mktemp -d /tmp/qedblk-run-dir.XXXXXX) || exit 1
clean_up() {
	[ -z "$server" ] || kill -KILL "$server" 2>/dev/null
	[ -z "$holder" ] || kill "$holder" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
chmod 755 "$dir"
cd "$dir" || exit 1
export QEDBLK_RUN_DIR=$dir/run
name=vm1

if [ "$(id -u)" -ne 0 ]; then
	echo "skip other users: only root can become one"
	exit 0
fi

# as_other COMMAND...: run as a user without privileges and without inherited files.
as_other() {
	setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"
}

# check NAME COMMAND...: it succeeds; refused NAME COMMAND...: it fails.
check() {
	local title=$1
	shift
	if "$@" >said 2>&1; then
		echo "ok $title"
	else
		not_ok "$title" "$* failed: $(head -c 300 said)"
	fi
}

refused() {
	local title=$1
	shift
	if "$@" >said 2>&1; then
		not_ok "$title" "$* succeeded"
	else
		echo "ok $title"
	fi
}

# start OPTION...: a server, in the background of this shell.
start() {
	rm -f out
	mkfifo out
	"$qedd" --foreground --name $name --image vm1.qed "$@" >out 2>err &
	server=$!
	# The server prints its device, or closes its standard output.
	read -r -t 300 device <out && return
	wait $server
	server=
	return 1
}

stop() {
	kill "$1" "$server"
	wait $server 2>/dev/null
	server=
}

modes() {
	stat -c '%a %n' run run/* | sort -k 2 | xargs
}

check "nothing but permissions stands in the way" as_other ls "$dir"
wanted="750 run 600 run/vm1.json 600 run/vm1.lock 600 run/vm1.rescue 600 run/vm1.sock"
for mask in 000 022 0277; do
	old=$(umask)
	umask $mask
	start --size 1M || not_ok "start with umask $mask" "$(cat err)"
	umask "$old"
	[ "$(modes)" = "$wanted" ] && echo "ok modes with umask $mask" ||
		not_ok "modes with umask $mask" "$(modes)"
	stop -TERM
	rm -rf run vm1.qed
done

# As an older server made it, and as an administrator may make it.
mkdir -m 755 run
start --size 1M
for file in lock json rescue sock; do
	refused "another user does not open NAME.$file" as_other cat run/vm1.$file
done
refused "another user does not connect" as_other python3 -c '
import socket
socket.socket(socket.AF_UNIX).connect("run/vm1.sock")'

# ---- Recovery, while another user holds whatever that user can open ----
stop -KILL
as_other flock --shared run/vm1.lock sh -c 'echo; exec sleep 1000' >held 2>&1 &
holder=$!
for ((i = 0; i < 600; i++)); do
	kill -0 $holder 2>/dev/null && [ ! -s held ] || break
	sleep 0.05
done
export NODEV_WAITING=1
check "recovery of a device whose lock another user wants" start --recover
[ -z "$server" ] || stop -TERM
unset NODEV_WAITING
kill $holder 2>/dev/null
wait $holder 2>/dev/null
holder=

# ---- A run directory that other users can change is refused, in one line ----
# refusal NAME LINE: a server does not start, and prints LINE.
refusal() {
	if start; then
		not_ok "$1" "it started"
		stop -TERM
	elif [ "$(cat err)" = "qedd: vm1: $2" ]; then
		echo "ok $1"
	else
		not_ok "$1" "it said: $(cat err)"
	fi
}
rm -rf run
mkdir real && ln -s real run
refusal "a symbolic link" "$dir/run: not a directory (a symbolic link is none)"
rm -r run real
mkdir -m 1777 run
refusal "a directory that all can write to" "$dir/run: other users can write to it (mode 1777)"
chmod 755 run
chown 65534 run
refusal "another user's directory" "$dir/run: belongs to another user (65534)"
chown 0 run
touch run/vm1.lock
chown 65534 run/vm1.lock
refusal "another user's lock" "$dir/run/vm1.lock: belongs to another user (65534)"
[ "$(ls -A run)" = vm1.lock ] && echo "ok nothing is left of these" ||
	not_ok "nothing is left of these" "$(ls -A run)"
finish
