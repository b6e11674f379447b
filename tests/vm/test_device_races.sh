#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
# Concurrent verbs on devices of the same names: whichever wins, nothing is left half made, and a
# verb does not fail because another has already done its work.
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

PATH=$QEDBLK_BUILD/tests/vm:$PATH
cd "$SCRATCH" || exit 1
dev=/dev/mapper/vm1
modprobe ublk_drv

# If the device exists, all its parts do.
is_whole() {
	if dmsetup info vm1 >/dev/null 2>&1; then
		[ "$(status_of vm1 state)" = live ]
	else
		device_is_gone vm1 && [ -z "$(ls /sys/class/ublk-char)" ]
	fi
}

# begin_create: start `create` of vm1, and hold it when its server is ready, before it creates the
# mapping. Set creator to the process that holds it, and that goes on by SIGCONT.
begin_create() {
	rm -f create.out create.err
	holdmap qedctl create vm1 vm1.qed --size 64M >create.out 2>create.err &
	creator=$!
	wait_until 60 eval "[ \"\$(awk '{ print \$3 }' /proc/$creator/stat)\" = T ]" ||
		{ cat create.err; return 1; }
	[ -S /run/qedblk/vm1.sock ] && ! dmsetup info vm1 >/dev/null 2>&1
}

# ---- A server that ends while its mapping is made ----
# Its end is delayed until the file `go-on` exists.
mv /sbin/blockdev /sbin/blockdev.real
at_exit mv -f /sbin/blockdev.real /sbin/blockdev
cat >/sbin/blockdev <<END
#!/bin/sh
for i in \$(seq 3000); do
	[ ! -e $SCRATCH/go-on ] || break
	sleep 0.1
done
exec /sbin/blockdev.real "\$@"
END
chmod +x /sbin/blockdev
touch go-on
require "create, held before it maps" begin_create
rm go-on
qedctl remove vm1 >remove.out 2>&1 &
remover=$!
check "remove has its server end" wait_until 20 eval '[ "$(status_of vm1 state)" = stopping ]'
kill -CONT $creator
touch go-on
wait $creator
same "create notices" "$? $(cat create.out create.err)" \
	"3 qedctl: create vm1: it was removed in this moment"
wait $remover
same "remove is content" "$? $(cat remove.out)" "0 "
check "nothing is left" is_whole
check "nor is the image that it made" test ! -e vm1.qed
mv -f /sbin/blockdev.real /sbin/blockdev

require "create, held once more" begin_create
kill -KILL "$(cat /run/qedblk/vm1.lock)"
kill -CONT $creator
wait $creator
status=$?
check "create notices that its server has died" test $status = 1
same "in one line" "$(cat create.out create.err)" "qedctl: create vm1: the server died: Killed"
check "nothing is left of that" is_whole
rm -f vm1.qed

# ---- Repeated remove beside create ----
for options in "" --force; do
	bad=0 removed=0
	for round in 1 2 3 4 5 6; do
		rm -f enough
		(until [ -e enough ]; do qedctl remove --all $options; done) >remove.out 2>&1 &
		remover=$!
		qedctl create vm1 vm1.qed --size 64M >create.out 2>create.err || removed=$((removed + 1))
		touch enough
		wait $remover
		if ! is_whole || [ "$(wc -l <create.err)" -gt 1 ] ||
			grep -v -e 'is in use' remove.out; then
			bad=$((bad + 1))
			{ cat create.err remove.out; qedctl ls; dmsetup ls; ls /run/qedblk; } | sed 's/^/    /'
		fi
		qedctl remove --all --retry
		rm -f vm1.qed
	done
	same "create beside remove --all $options: whole or gone ($removed of 6 gone)" $bad 0
done
only_these "nothing is left of all these"

# ---- The same command twice ----
# twice COMMAND...: run it twice concurrently; print their exit statuses and output.
twice() {
	local pid second
	"$@" >first 2>&1 &
	pid=$!
	"$@" >second 2>&1
	second=$?
	wait $pid
	echo "$? $second $(cat first second)"
}

for round in 1 2 3; do
	for name in a b c; do
		qedctl create $name $name.qed --size 64M >/dev/null || not_ok "create $name"
	done
	same "round $round: two remove all" "$(twice qedctl remove --all)" "0 0 "
	only_these "round $round: all are gone"
done
for name in a b c; do
	qedctl create $name $name.qed >/dev/null || not_ok "create $name"
done
for round in 1 2; do
	pkill -KILL -x qedd
	same "round $round: two recover all" "$(twice qedctl recover --all)" "0 0 "
	same "round $round: all are live" "$(qedctl ls | awk '{ print $NF }' | sort | uniq -c | xargs)" \
		"1 STATE 3 live"
done
check "all go" qedctl remove --all --retry

# ---- reload checks, and then swaps tables, which resumes the device ----
check "create" qedctl create vm1 vm1.qed --size 64M
bad=0 held=0
for round in 1 2 3 4 5 6; do
	qedctl reload vm1 --detect-zeroes $([ $((round % 2)) = 0 ] && echo on || echo off) >first 2>&1 &
	reloader=$!
	sleep 0.$((RANDOM % 4))
	qedctl suspend vm1 >second 2>&1
	suspended=$?
	wait $reloader
	reloaded=$?
	if [ $suspended != 0 ] || [ "$(status_of vm1 state)" != suspended ] ||
		{ [ $reloaded != 0 ] && [ "$(cat first)" != "qedctl: reload vm1: it is suspended" ]; }; then
		bad=$((bad + 1))
		echo "    suspend $suspended, reload $reloaded, $(status_of vm1 state): $(cat first second)"
	fi
	[ $reloaded = 0 ] || held=$((held + 1))
	qedctl resume vm1
done
same "suspend beside reload: it is suspended ($held of 6 reloads came later)" $bad 0
check "remove" qedctl remove vm1 --retry
rm -f vm1.qed

# ---- Without mapping: only the server knows whether its device is open ----
lower=$(qedctl create vm1 vm1.qed --size 64M --no-dm)
exec 7<"$lower"
check "remove --deferred of one without mapping" qedctl remove --deferred vm1
check "it can still be read" dd if=/proc/self/fd/7 of=/dev/null bs=4k count=1 iflag=direct
exec 7<&-
check "it goes at its last close" wait_until 20 device_is_gone vm1

qedctl create vm1 vm1.qed --no-dm --foreground >fg.out 2>fg.err &
fg=$!
check "in the foreground" wait_until 30 test -s fg.out
exec 7<"$(cat fg.out)"
kill -TERM $fg
sleep 2
check "it goes on while in use" dd if=/proc/self/fd/7 of=/dev/null bs=4k count=1 iflag=direct
exec 7<&-
check "and ends at its last close" wait $fg
only_these "nothing is left"
finish
