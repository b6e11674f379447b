# SPDX-License-Identifier: GPL-2.0
# Shared code of test scripts in the guest. A script sources it first:
#
#	. "$(dirname "$0")/lib.sh"
#	check "linear works" dmsetup create t --table "0 8 zero"
#	expect_fail "busy device is not removed" qedctl remove vm1
#	finish
#
# Each check prints `ok NAME` or `not ok NAME: why`; the output of its command is shown only on
# failure. The exit status of `finish` says whether any check failed. Further settings of a script:
# a line `# vm: --udev --mem 4096` has options for the guest, `# timeout: 900` is in seconds.
set -u

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
REPO=${vm_dir%/tests/vm}
. "$REPO/tests/shared/patience.sh"
QEDBLK_BUILD=${QEDBLK_BUILD:-$REPO/build}
PATH=$QEDBLK_BUILD:$PATH
# On a disk-backed file system, which supports O_DIRECT.
SCRATCH=/scratch/$(basename "$0" .sh)
mkdir -p "$SCRATCH"
test_failures=0
test_cleanups=()

ok() {
	echo "ok $1"
}

not_ok() {
	echo "not ok $1: ${2:-failed}"
	test_failures=$((test_failures + 1))
}

skip() {
	echo "skip $1: $2"
}

# check NAME COMMAND...: the command must succeed. Return its status.
check() {
	local name=$1 rc
	shift
	"$@" >"$SCRATCH/.out" 2>&1
	rc=$?
	if [ $rc -eq 0 ]; then
		ok "$name"
	else
		not_ok "$name" "exit status $rc of: $*"
		tail -n 30 "$SCRATCH/.out" | sed 's/^/    /'
	fi
	return $rc
}

# expect_fail NAME COMMAND...: the command must fail with an exit status, not by a signal.
expect_fail() {
	local name=$1 rc
	shift
	"$@" >"$SCRATCH/.out" 2>&1
	rc=$?
	if [ $rc -gt 0 ] && [ $rc -lt 124 ]; then
		ok "$name"
		return 0
	fi
	not_ok "$name" "exit status $rc of: $*"
	tail -n 30 "$SCRATCH/.out" | sed 's/^/    /'
	return 1
}

# same NAME GOT WANTED: two strings must be equal.
same() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "got '$2', wanted '$3'"
		return 1
	fi
}

# server_pid NAME: the process of that device's server. The next two end it cleanly, and kill it;
# both wait until it has ended.
server_pid() { cat "/run/qedblk/$1.lock" 2>/dev/null; }

stop_server() {
	kill -TERM "$(server_pid "$1")" && wait_until 40 eval "[ ! -e /run/qedblk/$1.lock ]"
}

kill_server() {
	local pid
	pid=$(server_pid "$1")
	kill -KILL "$pid" && wait_until 20 eval "! kill -0 $pid"
}

# require NAME COMMAND...: like check, but a failure ends the script.
require() {
	check "$@" || finish
}

# at_exit COMMAND...: run it when the script ends, in reverse order.
at_exit() {
	test_cleanups+=("$(printf '%q ' "$@")")
}

run_cleanups() {
	local i
	trap - EXIT
	cd /
	for ((i = ${#test_cleanups[@]} - 1; i >= 0; i--)); do
		eval "${test_cleanups[i]}" >/dev/null 2>&1
	done
	rm -rf "$SCRATCH"
}
trap run_cleanups EXIT
trap 'exit 143' INT TERM HUP

finish() {
	exit $((test_failures > 0))
}
