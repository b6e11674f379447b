#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# qedd while it starts: when interrupted it removes what it has created, and it keeps none of the
# caller's files open. Its backing file is on a server that accepts connections and never answers,
# so no block device is made.
set -u
. "$(dirname "$0")/lib.sh"
qedd=${QEDBLK_BUILD:-build}/qedd
dir=$(mktemp -d "${TMPDIR:-/tmp}/qedd.XXXXXX") || exit 1
mute=
clean_up() {
	[ -z "$mute" ] || kill "$mute" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
export QEDBLK_RUN_DIR=$dir/run
name=qedd-test-$$

# check NAME COMMAND...
check() {
	local title=$1
	shift
	if "$@" >"$dir/said" 2>&1; then
		echo "ok $title"
	else
		not_ok "$title" "$* failed: $(head -c 300 "$dir/said")"
	fi
}

# Start in the directory, since a socket's path must be short.
python3 -c '
import os, socket, sys
os.chdir(sys.argv[1])
listener = socket.socket(socket.AF_UNIX)
listener.bind("mute")
listener.listen(5)
kept = []
while True:
    kept.append(listener.accept())' "$dir" &
mute=$!
wait_until 10 test -S "$dir/mute" || { echo "not ok a server that is mute: it did not start"; exit 1; }

# start SIGNAL OPTION...: SIGNAL has its default action; set pid to the caller's process, server to
# the server's.
start() {
	local signal=$1
	shift
	cd "$dir" || exit 1
	env --default-signal="$signal" "$qedd" --name "$name" --image new.qed --size 1M \
		--backing "nbd+unix:///?socket=mute&reconnect-delay=0&reply-timeout=60" "$@" \
		>out 2>err 7>"$dir/lock" &
	pid=$!
	cd - >/dev/null || exit 1
	wait_until 10 test -s "$QEDBLK_RUN_DIR/$name.lock" ||
		{ echo "not ok qedd starts: it did not: $(cat "$dir/err")"; exit 1; }
	server=$(cat "$QEDBLK_RUN_DIR/$name.lock")
}

nothing_left() {
	[ -z "$(ls -A "$QEDBLK_RUN_DIR")" ] && [ ! -e "$dir/new.qed" ] && ! kill -0 "$server"
}

has_open() {
	ls -l "/proc/$server/fd" | grep -qF "$dir/lock"
}

qedd=$(realpath "$qedd") || exit 1
for signal in INT TERM HUP; do
	start $signal
	check "SIG$signal: the server is a process of its own" test "$server" != $pid
	check "SIG$signal: it has nothing of its caller's" eval '! has_open'
	SECONDS=0
	kill -$signal $pid
	wait $pid
	status=$?
	check "SIG$signal: it does not wait for the server that is mute" test $SECONDS -lt 10
	check "SIG$signal: exit status 1" test $status = 1
	check "SIG$signal: one line" test "$(cat "$dir/out" "$dir/err")" = "qedd: $name: interrupted"
	check "SIG$signal: nothing is left" nothing_left
done

# Twice, as an impatient user does: the prompt comes back.
start INT
kill -STOP "$server"
kill -INT $pid
sleep 0.2
kill -INT $pid
wait $pid
status=$?
check "a second signal ends the caller at once" test $status = 130
kill -CONT "$server"
check "and the server does not stay either" wait_until 10 nothing_left

# Two at once, as some service managers send: the server gets one, whichever ends the caller.
start INT
kill -STOP $pid
kill -INT $pid
kill -TERM $pid
kill -CONT $pid
wait $pid
status=$?
check "two signals at once end the caller" test $status -gt 0
check "and the server" wait_until 10 nothing_left
kill -TERM "$server" 2>/dev/null

# qedctl create takes everything back, too.
if [ "$(id -u)" -eq 0 ]; then
	for signal in INT TERM HUP; do
		cd "$dir" || exit 1
		env --default-signal=$signal "${qedd%/*}/qedctl" create "$name" new.qed --size 1M \
			--backing "nbd+unix:///?socket=mute&reconnect-delay=0&reply-timeout=60" >out 2>err &
		pid=$!
		cd - >/dev/null || exit 1
		wait_until 10 test -s "$QEDBLK_RUN_DIR/$name.lock" || not_ok "qedctl starts it" "$(cat "$dir/err")"
		server=$(cat "$QEDBLK_RUN_DIR/$name.lock")
		SECONDS=0
		kill -$signal $pid
		wait $pid
		status=$?
		check "qedctl create, SIG$signal: it does not wait" test $SECONDS -lt 10
		check "qedctl create, SIG$signal: one line" test "$status $(cat "$dir/out" "$dir/err")" = \
			"1 qedctl: create $name: interrupted"
		check "qedctl create, SIG$signal: nothing is left" nothing_left
	done
else
	echo "skip qedctl create: this is not root"
fi

# In the foreground there is one process, which keeps its inherited files and signals.
start INT --foreground
check "--foreground is one process" test "$server" = $pid
kill -INT $pid
wait $pid
status=$?
check "--foreground: exit status 1" test $status = 1
check "--foreground: one line" eval \
	'[ "$(grep -c . "$dir/err")" = 1 ] && grep -q "^qedd: $name: " "$dir/err"'
check "--foreground: nothing is left" nothing_left
finish
