#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Programs and the plugin are built with the compiler's hardening, as their ELF files show.
# sanitized: no (those builds have less of it)
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${QEDBLK_BUILD:-build}")

if ! command -v readelf >/dev/null; then
	echo "skip hardening: readelf is not installed"
	exit 0
fi

# expect NAME WHAT TEXT PATTERN: TEXT has a line that matches.
expect() {
	if grep -qE -- "$4" <<<"$3"; then
		echo "ok $1: $2"
	else
		not_ok "$1" "no $2"
	fi
}

for file in "$build"/{qedd,qedctl,qed-img,qed-io} "$build/nbdkit-qed-plugin.so"; do
	name=${file##*/}
	[ -e "$file" ] || { echo "skip $name: it is not built"; continue; }
	header=$(readelf -hlW "$file") dynamic=$(readelf -dW "$file") symbols=$(readelf -sW "$file")
	expect "$name" "position-independent code" "$header" "Type: +DYN"
	[[ $name = *.so ]] || expect "$name" "PIE flag" "$dynamic" "FLAGS_1.* PIE"
	expect "$name" "segment that is read-only after relocation" "$header" "GNU_RELRO"
	expect "$name" "binding at the start" "$dynamic" "BIND_NOW|FLAGS_1.* NOW"
	expect "$name" "stack that cannot be executed" "$header" "GNU_STACK.* RW +0x"
	expect "$name" "stack protector" "$symbols" "UND __stack_chk_fail"
	expect "$name" "checks of buffers' sizes" "$symbols" "UND __[a-z]+_chk"
	if grep -qE "TEXTREL|RPATH|RUNPATH" <<<"$dynamic"; then
		not_ok "$name" "it has text relocations, or a search path of its own"
	fi
done

# How an object was compiled, which the compiler notes.
object=$build/obj/userspace/util/units.o
flags=$(readelf --debug-dump=info "$object" 2>/dev/null | grep -m1 DW_AT_producer)
case $(uname -m) in
x86_64) branch=-fcf-protection=branch ;;
aarch64) branch=-mbranch-protection=standard ;;
*) branch= ;;
esac
if [ -z "$flags" ]; then
	echo "skip flags: ${object##*/} was built without -g"
else
	for flag in -fstack-protector-strong -fstack-clash-protection $branch; do
		expect "${object##*/}" "$flag" "$flags" "$flag"
	done
fi

# What checks of buffers' sizes make of calls that the tests of failures replace is replaced, too.
calls=" $(sed -n '/^FAULT_CALLS :=/,/[^\\]$/p' "$(dirname "$0")/../../Makefile" | tr -d '\\\n\t') "
for call in $(nm -u "$build"/libqed*.a 2>/dev/null | awk '/^ *U __.*(_chk|_2)$/ { print $2 }' | sort -u); do
	plain=${call#__} plain=${plain%_*}
	[[ $calls != *" $plain "* || $calls = *" $call "* ]] || not_ok "$call" "not in FAULT_CALLS"
done
finish
