#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
# Concurrent verbs, on a server with a real device: see tests/interop/test_server_verbs.py. By hand:
# 	QEDBLK_VERB_ROUNDS=1000 tests/vm/run-vm --timeout 7200 -- tests/vm/test_server_verbs.sh
. "$(dirname "$0")/lib.sh"
. "$vm_dir/device_lib.sh"

export QEDBLK_BUILD QEDBLK_VERB_ROUNDS=${QEDBLK_VERB_ROUNDS:-24} TMPDIR=$SCRATCH
"$REPO/tests/interop/test_server_verbs.py" "$(command -v qedd)" || test_failures=1
only_these "nothing is left"
finish
