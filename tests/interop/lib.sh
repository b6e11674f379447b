# SPDX-License-Identifier: GPL-2.0
# What test scripts here share; sourced, before they leave the root of the repository.
. "$(dirname "${BASH_SOURCE[0]}")/../shared/patience.sh"
failures=0

not_ok() {
	echo "not ok $1: $2"
	failures=$((failures + 1))
}

# Exit; the status says whether any test has failed.
finish() {
	exit $((failures > 0))
}
