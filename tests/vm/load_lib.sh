# SPDX-License-Identifier: GPL-2.0
# For scripts that put devices under load and disturb them; sourced after device_lib.sh, in $SCRATCH.
# SEED=N repeats their choices.
seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "SEED=$seed"
declare -A load_pids

# load NAME COMMAND...: start a load in the background, which ends when the file `enough` appears.
# Its output goes to NAME.log.
load() {
	local name=$1
	shift
	"$@" >"$name.log" 2>&1 &
	load_pids[$name]=$!
}

# load_ended NAME WHAT: wait for the load, which must have succeeded. Its last line says how much it
# did.
load_ended() {
	local status last
	wait "${load_pids[$1]}"
	status=$?
	if [ $status -eq 0 ]; then
		last=$(tail -n 1 "$1.log")
		ok "$2${last:+: $last}"
	else
		not_ok "$2" "exit status $status"
		tail -n 25 "$1.log" | sed 's/^/    /'
	fi
}

# fio_rounds: run the jobs of the file `job` repeatedly. Any warning or error of fio is a failure,
# except the warning that blocks are aligned to something other than their size.
fio_rounds() {
	local rounds=0 harmless='^fio: \(norandommap given\|Any use of blockalign=\)'
	until [ -e enough ]; do
		fio --output=fio.out job >fio.err 2>&1 && ! grep -v "$harmless" fio.err ||
			{ echo "fio failed"; fio_complaints fio.err fio.out; return 1; }
		rounds=$((rounds + 1))
	done
	echo "$rounds rounds"
}

# fio_complaints FILE...: the warnings and errors in fio's output.
fio_complaints() {
	grep -hE '^fio|verify|err= *[1-9]|rror' "$@" | head -n 25
}

# Sleep for 0.1 to 1 s.
a_while() {
	sleep 0.$((RANDOM % 900 + 100))
}

# perhaps COMMAND...: run it half of the times.
perhaps() {
	[ $((RANDOM % 2)) = 0 ] || "$@"
}

# Kill all servers and recover all devices: at once, while the kernel is still cleaning up after the
# old ones, or after a while.
kill_and_recover_all() {
	pkill -KILL -x qedd
	perhaps a_while
	within 120 qedctl recover --all
}

# is_sound IMAGE: a QED image without errors but leaks, which may stay in the image below a snapshot.
is_sound() {
	qemu-img check -q -f qed "$1" || [ $? = 3 ]
}

# no_errors DEVICE...: none of their requests has finally failed.
no_errors() {
	local device
	for device; do
		same "$device: no request failed" "$(stat_of "$device" errors)" 0
	done
}
