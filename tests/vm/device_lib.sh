# SPDX-License-Identifier: GPL-2.0
# For scripts about devices; sourced after lib.sh. Devices that they leave are removed at the end.
at_exit qedctl remove --all --force --retry

# This script, as a user of a device.
me="process $$ ($(cat /proc/$$/comm))"

# json_is NAME EXPRESSION COMMAND...: the command prints JSON, d, for which EXPRESSION (Python) is
# true. json_verdicts evaluates all of them at once: Python starts slowly in an emulated machine.
json_is() {
	local name=$1 expression=$2 file
	shift 2
	file=$(mktemp "$SCRATCH/.json.XXXXXX")
	printf '%s\0' "$name" "$expression" "$file" >>"$SCRATCH/.json-list"
	"$@" >"$file" 2>"$file.err" || echo "exit status $? of: $*" >>"$file.err"
}

json_verdicts() {
	local verdicts failed
	verdicts=$(python3 - "$SCRATCH/.json-list" <<-'END'
		import json, sys
		with open(sys.argv[1]) as listing:
		    words = listing.read().split("\0")[:-1]
		for name, expression, file in zip(*[iter(words)] * 3):
		    with open(file) as out, open(file + ".err") as err:
		        text, complaint = out.read(), err.read()
		    try:
		        good = not complaint and eval(expression, {"d": json.loads(text)})
		    except (ValueError, LookupError, TypeError) as why:
		        good, complaint = False, complaint + repr(why)
		    if good:
		        print("ok", name)
		    else:
		        print("not ok %s: not so: %s" % (name, expression))
		        print("    %s %s" % (complaint, text.replace("\n", " ")))
	END
	) || not_ok "JSON is looked at" "python3 failed"
	echo "$verdicts"
	failed=$(grep -c '^not ok' <<<"$verdicts")
	test_failures=$((test_failures + failed))
	rm -f "$SCRATCH"/.json*
}

# [exits=N] expect_line NAME LINE COMMAND...: that exit status (1) and one line, "qedctl: LINE", on
# standard error; an empty LINE matches any.
expect_line() {
	local name=$1 wanted=$2 expected=${exits:-1} rc lines
	shift 2
	"$@" >"$SCRATCH/.out" 2>"$SCRATCH/.err"
	rc=$?
	lines=$(wc -l <"$SCRATCH/.err")
	if [ $rc -eq "$expected" ] && [ "$lines" -eq 1 ] && [ ! -s "$SCRATCH/.out" ] &&
		{ [ -z "$wanted" ] && grep -q '^qedctl: ' "$SCRATCH/.err" ||
			[ "$(cat "$SCRATCH/.err")" = "qedctl: $wanted" ]; }; then
		ok "$name"
		return 0
	fi
	not_ok "$name" "exit status $rc, wanted the line 'qedctl: ${wanted:-...}'"
	cat "$SCRATCH/.out" "$SCRATCH/.err" | head -n 20 | sed 's/^/    /'
	return 1
}

# status_of DEVICE KEY: a field of `qedctl status`.
status_of() {
	qedctl status "$1" | awk -v key="$2" '$1 == key { print $2 }'
}

# stat_of DEVICE NAME: a counter of `qedctl stats`.
stat_of() {
	qedctl stats "$1" | awk -v name="$2" '$1 == name { print $2 }'
}

# The state of a device that an operation must leave unchanged.
device_state_of() {
	dmsetup table "$1"
	dmsetup info -c --noheadings -o uuid,major,minor,attr "$1"
	qedctl status "$1" | grep -E '^(pid|image|ublk-device|state|size) '
}

# Nothing of the device is left: no mapping, no server, no files.
device_is_gone() {
	! dmsetup info "$1" >/dev/null 2>&1 && [ -z "$(ls /run/qedblk/"$1".* 2>/dev/null)" ] &&
		[ ! -e /dev/mapper/"$1" ]
}

# only_these NAME DEVICE...: there are no other ublk devices, mappings, descriptions or processes.
# Other files (locks of names that were refused) do not count.
only_these() {
	local name=$1 got
	shift
	got="$(ls /sys/class/ublk-char 2>/dev/null | wc -l) ublk devices,"
	got+=" $(dmsetup ls 2>/dev/null | grep -c -v -e '^foreign' -e '^No devices') mappings,"
	got+=" $(ls /run/qedblk 2>/dev/null | grep -c 'json$') descriptions,"
	got+=" $(ls /run/qedblk 2>/dev/null | wc -l) files, $(pgrep -c -x qedd) servers"
	same "$name" "$got" "$# ublk devices, $# mappings, $# descriptions, $((4 * $#)) files, $# servers"
}
