# SPDX-License-Identifier: GPL-2.0
# Shared code of the test scripts here, which source it before they leave the repository's root.
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
