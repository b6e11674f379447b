# SPDX-License-Identifier: GPL-2.0
# Time limits of test scripts, on the host and in the virtual machine; sourced by their lib.sh.
#
# A limit is for hangs, not for slowness: a test that waits says how long that takes at most on a
# machine without other load. Under emulation, or under load, everything takes longer, including the
# start of a program, which is measured when the limit is needed. A test that exceeds it hangs.

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
