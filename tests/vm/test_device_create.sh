#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
# `create` is all or nothing: two at once, interrupted, with a server that dies; and --foreground,
# which removes everything at its end.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1

# ---- Two at once ----
for round in 1 2; do
	qedctl create vm1 a.qed --size 64M >a.out 2>a.err &
	first=$!
	qedctl create vm1 b.qed --size 64M >b.out 2>b.err &
	second=$!
	wait $first && first=won || first=lost
	wait $second && second=won || second=lost
	case $first-$second in
	won-lost) winner=a loser=b ;;
	lost-won) winner=b loser=a ;;
	*) winner='' ;;
	esac
	if [ -z "$winner" ]; then
		not_ok "round $round: exactly one wins" "$first $second $(cat a.err b.err)"
		break
	fi
	ok "round $round: exactly one wins"
	same "round $round: one line from the loser" "$(wc -l <$loser.err)" 1
	check "round $round: the loser left no image" test ! -e $loser.qed
	same "round $round: the device is the winner's" "$(status_of vm1 image)" "$SCRATCH/$winner.qed"
	only_these "round $round: one of everything" vm1
	check "round $round: remove" qedctl remove vm1
	rm -f ./*.qed
done

# ---- Interrupted ----
# A shell's background processes ignore SIGINT, so each gets the default action back. A program that
# receives the signal before it has done anything dies of it, as usual.
interrupted() {
	local pid rc
	env --default-signal=INT qedctl create vm1 new.qed --size 64M >int.out 2>int.err &
	pid=$!
	sleep "$1"
	kill -INT $pid
	wait $pid
	rc=$?
	if [ $rc -eq 0 ]; then
		# The command had already completed.
		qedctl remove vm1 && rm new.qed && late=$((late + 1))
	else
		[ $rc -eq 1 ] || [ $rc -eq 130 ] && [ ! -e new.qed ] && [ ! -s int.out ] &&
			device_is_gone vm1 || { echo "status $rc"; cat int.out int.err; ls; return 1; }
	fi
}
late=0
for delay in 0.05 0.2 0.4 0.7; do
	check "interrupted after $delay s: nothing is left" interrupted $delay
done
only_these "nothing is left of any"
check "some came in time" test $late -lt 4

# ---- A server that dies ----
mkdir stand-in && cp "$(command -v qedctl)" stand-in/
stand_in() {
	printf '#!/bin/sh\n%s\n' "$1" >stand-in/qedd
	chmod +x stand-in/qedd
}
stand_in 'echo first; echo "last words" >&2; exit 3'
expect_line "a server that fails early" \
	"create vm1: the server ended before it was ready: last words" \
	stand-in/qedctl create vm1 new.qed --size 64M
stand_in 'kill -KILL $$'
expect_line "a server that is killed early" \
	"create vm1: the server died before it was ready: Killed" \
	stand-in/qedctl create vm1 new.qed --size 64M
rm stand-in/qedd
expect_line "no server to start" "" env PATH=/usr/bin:/bin stand-in/qedctl create vm1 new.qed --size 64M
check "no image is left" test ! -e new.qed
only_these "nothing is left of them"
rm -f new.qed

expect_line "a full disk behind standard output" \
	"create vm1: standard output: No space left on device" \
	bash -c 'qedctl create vm1 new.qed --size 64M >/dev/full'
check "no image is left of that" test ! -e new.qed
truncate -s 1M /scratch/regular && cp /scratch/regular /dev/mapper/vm1 2>/dev/null
exits=4 expect_line "a file where the node would be" \
	"create vm1: /dev/mapper/vm1 exists and is a regular file" qedctl create vm1 new.qed --size 64M
check "no image is left of that either" test ! -e new.qed
rm -f /dev/mapper/vm1 /scratch/regular
only_these "nothing is left of those"

# ---- In the foreground ----
foreground() {
	rm -f fg.out
	qedctl create vm1 vm1.qed --size 64M --foreground >fg.out 2>fg.err &
	fg=$!
	wait_until 30 test -s fg.out
}
check "foreground" foreground
same "it prints the device's path" "$(cat fg.out)" $dev
check "it is there" dd if=$dev of=/dev/null bs=4k count=1 iflag=direct
kill -TERM $fg
check "SIGTERM ends it" wait $fg
only_these "nothing is left of it"

check "foreground, in use" foreground
exec 7<$dev
kill -TERM $fg
sleep 1
check "it says by what" grep -q "create vm1: device is in use by $me.*: it ends at its last close\$" fg.err
check "it goes on while in use" dd if=/proc/self/fd/7 of=/dev/null bs=4k count=1 iflag=direct
exec 7<&-
check "and ends at the last close" wait $fg
only_these "nothing is left of it then"

check "foreground, to be removed" foreground
check "remove from elsewhere" qedctl remove vm1
check "ends it" wait $fg
only_these "nothing is left of that"

check "foreground, server killed" foreground
pkill -KILL -x qedd
expect_fail "is an error" wait $fg
check "of one line" grep -qx "qedctl: create vm1: the server died: Killed" fg.err
only_these "nothing is left of that one"
finish
