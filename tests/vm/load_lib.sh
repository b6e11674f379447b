# SPDX-License-Identifier: GPL-2.0
# For scripts that put devices under load and disturb them; sourced after device_lib.sh, in $SCRATCH.
# SEED=N repeats their choices.
seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "SEED=$seed"
declare -A load_pids

# load NAME COMMAND...: a load in the background, which ends when the file `enough` appears. What it
# prints goes to NAME.log.
load() {
	local name=$1
	shift
	"$@" >"$name.log" 2>&1 &
	load_pids[$name]=$!
}

# load_ended NAME WHAT: it is over, and went well. The last line that it printed says how much it did.
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

# fio_rounds: the jobs in the file `job`, again and again. Whatever fio complains of is a failure, but
# for what it says of any job whose blocks are aligned otherwise than their sizes.
fio_rounds() {
	local rounds=0 harmless='^fio: \(norandommap given\|Any use of blockalign=\)'
	until [ -e enough ]; do
		fio --output=fio.out job >fio.err 2>&1 && ! grep -v "$harmless" fio.err ||
			{ echo "fio failed"; fio_complaints fio.err fio.out; return 1; }
		rounds=$((rounds + 1))
	done
	echo "$rounds rounds"
}

# fio_complaints FILE...: the lines of fio's output that tell what went wrong.
fio_complaints() {
	grep -hE '^fio|verify|err= *[1-9]|rror' "$@" | head -n 25
}

# Between a tenth of a second and a whole one.
a_while() {
	sleep 0.$((RANDOM % 900 + 100))
}

# perhaps COMMAND...: half of the times.
perhaps() {
	[ $((RANDOM % 2)) = 0 ] || "$@"
}

# All servers die, and all devices get new ones: at once, while the kernel is still busy with the dead,
# or after a while.
kill_and_recover_all() {
	pkill -KILL -x qedd
	perhaps a_while
	within 120 qedctl recover --all
}

# no_errors DEVICE...: no request of theirs has failed in the end.
no_errors() {
	local device
	for device; do
		same "$device: no request failed" "$(stat_of "$device" errors)" 0
	done
}
