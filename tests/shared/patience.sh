# SPDX-License-Identifier: GPL-2.0
# Waits of test scripts, on this machine and in the virtual one; sourced by their lib.sh.
#
# A limit here is for what never happens, not for what is slow: a test that waits for something says
# how long that may take when the machine does nothing else. Under emulation, or with other work
# beside it, everything takes longer, starting a program too, which is measured when the limit is
# needed. So what fails by such a limit hangs.

# patience SECONDS: print the limit for what takes at most SECONDS on a quiet machine.
patience() {
	local begin=${EPOCHREALTIME/[.,]/} factor i
	for i in {1..10}; do
		/bin/true
	done
	# The loop takes 15 ms on a quiet machine, 0.2 s under emulation, seconds when both are
	# loaded.
	factor=$((3 + (${EPOCHREALTIME/[.,]/} - begin) / 100000))
	echo $(($1 * (factor < 20 ? factor : 20)))
}

# wait_until SECONDS COMMAND...: repeat the command until it succeeds, or that limit is over.
wait_until() {
	local seconds=$1 limit=$1 begin=$SECONDS
	shift
	until "$@" >/dev/null 2>&1; do
		if [ $((SECONDS - begin)) -ge "$limit" ]; then
			limit=$(patience "$seconds")
			[ $((SECONDS - begin)) -lt "$limit" ] || return 1
		fi
		sleep 0.1
	done
}

# within SECONDS COMMAND...: run a program; after that limit end it, with status 124.
within() {
	local seconds=$1
	shift
	timeout "$(patience "$seconds")" "$@"
}
