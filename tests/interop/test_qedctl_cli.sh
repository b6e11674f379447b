#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# qedctl's command line, without a device: help, bad arguments, exit status, one error line each,
# nothing is created.
set -u
. "$(dirname "$0")/lib.sh"
qedctl=${QEDBLK_BUILD:-build}/qedctl
dir=$(mktemp -d "${TMPDIR:-/tmp}/qedctl.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
export QEDBLK_RUN_DIR=$dir/run

run() {
	"$qedctl" "$@" >"$dir/out" 2>"$dir/err"
	status=$?
}

# good NAME REGEX ARGS...: exit 0, nothing on standard error, REGEX in standard output.
good() {
	local name=$1 regex=$2
	shift 2
	run "$@"
	if [ $status -ne 0 ] || [ -s "$dir/err" ]; then
		not_ok "$name" "status $status: $(head -n 3 "$dir/err")"
	elif ! grep -qE -- "$regex" "$dir/out"; then
		not_ok "$name" "no '$regex' in: $(head -n 3 "$dir/out")"
	else
		echo "ok $name"
	fi
}

# bad NAME LINE ARGS...: exit $wanted, exactly LINE on standard error, nothing on standard output.
wanted=2
bad() {
	local name=$1 line=$2
	shift 2
	run "$@"
	if [ $status -ne $wanted ]; then
		not_ok "$name" "status $status, wanted $wanted"
	elif [ -s "$dir/out" ]; then
		not_ok "$name" "on standard output: $(head -n 3 "$dir/out")"
	elif [ "$(cat "$dir/err")" != "$line" ]; then
		not_ok "$name" "it said '$(cat "$dir/err")', wanted '$line'"
	else
		echo "ok $name"
	fi
}

verbs="create remove recover ls info status stats stream commit trace check resize set partitions table
	message reload suspend resume features version"
for verb in $verbs; do
	good "$verb --help" "^usage: qedctl $verb( |\$)" "$verb" --help
	good "help $verb" "^usage: qedctl $verb( |\$)" help "$verb"
	good "help lists $verb" "^  $verb +[a-z]" help
done
good "help among other arguments" "^usage: qedctl create" create vm1 "$dir/x" --size --help
good "--help" "^usage: qedctl VERB" --help
good "help --help" "^usage: qedctl VERB" help --help
good "--version" "^qedctl [0-9]" --version
good "version as JSON" '^    "qedctl": "[0-9.]+",$' version --json

bad "no verb" "qedctl: a verb is needed; \`qedctl help\` lists them"
bad "unknown verb" "qedctl: no verb 'crate'; did you mean 'create'? \`qedctl help\` lists them" crate
bad "a verb of a later version" "qedctl: no verb 'upgrade'; \`qedctl help\` lists them" upgrade a b
bad "help of an unknown verb" "qedctl: no verb 'crate'; did you mean 'create'? \`qedctl help\` lists them" \
	help crate
bad "a letter too many" "qedctl: no verb 'statuss'; did you mean 'status'? \`qedctl help\` lists them" statuss
bad "a word that is no verb" "qedctl: no verb 'xyzzy'; \`qedctl help\` lists them" xyzzy
good "rm" "^usage: qedctl remove" rm --help
good "show" "^usage: qedctl status" show --help
good "list" "^usage: qedctl ls" list --help
good "a verb's other name" "^Also called rm\.\$" help remove
bad "a wrong use by another name" "qedctl: status: NAME is needed" show
bad "help of two" "qedctl: help: too many arguments" help ls info
bad "version with an argument" "qedctl: version: unexpected argument 'x'" version x
bad "ls with an argument" "qedctl: ls: unexpected argument 'x'" ls x
bad "a mistyped option" "qedctl: create: unknown option '--sise'; did you mean '--size'?" create a b --sise 1G
bad "a mistyped option with a value" "qedctl: create: unknown option '--bakcing=x'; did you mean '--backing'?" \
	create a b --bakcing=x
bad "ls with an unknown option" "qedctl: ls: unknown option '--prometheus'" ls --prometheus
bad "json with a value" "qedctl: ls: option '--json=1' takes no argument" ls --json=1
bad "two formats" "qedctl: stats: --json and --prometheus exclude each other" \
	stats --json --prometheus x
bad "stats without a name" "qedctl: stats: NAME or --all is needed" stats
for verb in info status table suspend resume; do
	bad "$verb without a name" "qedctl: $verb: NAME is needed" "$verb"
	bad "$verb of two" "qedctl: $verb: unexpected argument 'b'" "$verb" a b
	bad "$verb with an unknown option" "qedctl: $verb: unknown option '-x'" "$verb" -x a
done
bad "message without a message" "qedctl: message: NAME and a message are needed" message vm1
bad "set of nothing" "qedctl: set: NAME and OPTION=VALUE are needed" set vm1
bad "set without a value" "qedctl: set vm1: 'on-full' is not OPTION=VALUE" set vm1 on-full
bad "set of what is no option" "qedctl: set vm1: no device has an option 'speedy'" set vm1 speedy=1
bad "set of what stays" "qedctl: set vm1: cluster-size cannot change: that needs a new device" \
	set vm1 cluster-size=4096
bad "set of what another verb changes" "qedctl: set vm1: stream is changed by \`qedctl stream\`" \
	set vm1 stream=on
bad "set to what is no target" "qedctl: set vm1: target: 'zero' is not one of auto|linear|qed" \
	set vm1 target=zero
bad "set of a flag to what is none" "qedctl: set vm1: copy-on-read: 'yes' is not one of on|off" \
	set vm1 copy-on-read=yes
bad "set to what is no value" "qedctl: set vm1: on-full: 'now' is neither error nor wait[=SECONDS]" \
	set vm1 on-full=error on-full=now
bad "partitions of nothing" "qedctl: partitions: NAME is needed" partitions --remove
bad "partitions of two" "qedctl: partitions: unexpected argument 'vm2'" partitions vm1 vm2
bad "partitions of a bad name" "qedctl: partitions a/b: bad device name: 1 to 124 of A-Z a-z 0-9 # + . : = @ _ -, \
not . .. control" partitions a/b
bad "partitions removed and printed" "qedctl: partitions: --remove and --json exclude each other" \
	partitions --remove --json vm1
bad "reload of nothing" "qedctl: reload: NAME is needed" reload --target qed
bad "reload with a target that is none" \
	"qedctl: reload: --target: 'zero' is not one of auto|linear|qed" reload --target zero vm1
bad "reload with a mode that is none" \
	"qedctl: reload: --detect-zeroes: 'yes' is not one of off|on|unmap" \
	reload --detect-zeroes yes vm1
bad "remove of nothing" "qedctl: remove: NAME or --all is needed" remove
bad "remove of all and one" "qedctl: remove: --all takes no NAME" remove --all a

bad "stream without a name" "qedctl: stream: NAME is needed" stream
bad "stream of two" "qedctl: stream: unexpected argument 'b'" stream a b
bad "stream with a bad speed" "qedctl: stream: --speed: 'fast' is not a number of bytes a second" \
	stream a --speed fast
bad "stream with two wishes" "qedctl: stream a: only one of --pause, --resume and --cancel" \
	stream a --pause --cancel
bad "commit without a name" "qedctl: commit: NAME is needed" commit --top a
bad "commit of no file" "qedctl: commit a: --top: an empty file name" commit a --top ""
bad "commit with a wish and more" \
	"qedctl: commit a: --pause, --resume and --cancel take no other option" commit a --pause --top b
bad "stream with a wish and more" \
	"qedctl: stream a: --pause, --resume and --cancel take no other option" stream a --pause --wait
bad "trace without a word" "qedctl: trace: NAME and 'start FILE' or 'stop' are needed" trace a
bad "trace with another word" "qedctl: trace a: 'go' is neither start nor stop" trace a go
bad "trace to nowhere" "qedctl: trace a: start takes a FILE" trace a start
bad "trace to two" "qedctl: trace a: unexpected argument 'g'" trace a start f g

bad_name=": bad device name: 1 to 124 of A-Z a-z 0-9 # + . : = @ _ -, not . .. control"
long=$(printf 'n%.0s' {1..125})
for name in "" . .. control a/b "a b" "ä" "$long"; do
	bad "create of name '$name'" "qedctl: create: $name$bad_name" create "$name" "$dir/x" --size 1M
	bad "status of name '$name'" "qedctl: status $name$bad_name" status "$name"
done

new=(create vm1 "$dir/x")
bad "create without an image" "qedctl: create: NAME and IMAGE are needed" create vm1
bad "create of two images" "qedctl: create: unexpected argument 'c'" create a b c
bad "an option of a later version" "qedctl: create: unknown option '--zero-copy=on'" \
	"${new[@]}" --zero-copy=on
bad "a speed that is none" "qedctl: create: --speed: 'fast' is not a size" \
	"${new[@]}" --stream --speed fast
bad "an unknown end of what is pending" "qedctl: create: --pending: 'keep' is not one of drop|finish" \
	"${new[@]}" --pending keep
bad "a short option" "qedctl: create: unknown option '-s'" "${new[@]}" -s
bad "a value left out" "qedctl: create: option '--size' needs an argument" "${new[@]}" --size
bad "a value too many" "qedctl: create: option '--no-dm=yes' takes no argument" "${new[@]}" --no-dm=yes
bad "partitions without a mapping" "qedctl: create vm1: --partitions: with --no-dm the kernel maps them by itself" \
	"${new[@]}" --no-dm --partitions
bad "a size that is none" "qedctl: create: --size: '3x' is not a size" "${new[@]}" --size 3x
bad "a negative size" "qedctl: create: --l2-cache: '-1M' is not a size" "${new[@]}" --l2-cache -1M
bad "no queues" "qedctl: create: --queues: '0' is not a count" "${new[@]}" --queues 0
bad "a depth of words" "qedctl: create: --depth: '3two' is not a count" "${new[@]}" --depth 3two
bad "a depth without end" "qedctl: create: --depth: '99999999999999999999' is not a count" \
	"${new[@]}" --depth 99999999999999999999
bad "an unknown discard" "qedctl: create: --discard: 'on' is not one of ignore|unmap" \
	"${new[@]}" --discard on
bad "half a choice" "qedctl: create: --cache: 'write' is not one of none|writeback" \
	"${new[@]}" --cache write
bad "two choices" "qedctl: create: --format: 'qed|raw' is not one of qed|qcow2|raw" \
	"${new[@]}" --format "qed|raw"
bad "an empty backing file" "qedctl: create: --backing: an empty file name" "${new[@]}" --backing ""
bad "an empty image" "qedctl: create vm1: an empty image name" create vm1 "" --size 1M
wanted=3 bad "an image in no directory" "qedctl: create vm1: $dir/none/x: No such file or directory" \
	create vm1 "$dir/none/x" --size 1M

if [ "$(id -u)" -eq 0 ]; then
	wanted=3 bad "create of no image" "qedctl: create vm1: $dir/x: No such file or directory: give \
--size or --backing to make it" "${new[@]}"
	wanted=3 bad "status of no device" "qedctl: status no-such-device: no such device" status no-such-device
	wanted=3 bad "stream of no device" \
		"qedctl: stream no-such-device: no such device" stream no-such-device
	wanted=3 bad "trace of no device" "qedctl: trace no-such-device: no such device" \
		trace no-such-device start x
	wanted=3 bad "remove of no device" "qedctl: remove no-such-device: no such device" remove no-such-device
	good "features as JSON" '"ublk": \{' features --json
	check_json='import json, sys; d = json.load(sys.stdin); d["kernel"], d["device-mapper"]["library"]'
	if python3 -c "$check_json" <"$dir/out"; then
		echo "ok its JSON is right"
	else
		not_ok "its JSON is right" "$(head -n 3 "$dir/out")"
	fi
	# Copy the program to where the user `nobody` can execute it.
	cp "$qedctl" "$dir/qedctl" && chmod 755 "$dir" "$dir/qedctl"
	unprivileged() {
		setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/qedctl" "$@"
	}
	if unprivileged --version >"$dir/out" 2>&1; then
		for arguments in "create vm1 x --size 1M" "remove vm1" "info vm1" "stats --all"; do
			line=$(unprivileged $arguments 2>&1)
			if [ $? -eq 1 ] && [[ $line == "qedctl: "*": permission denied: not root" ]]; then
				echo "ok $arguments without root"
			else
				not_ok "$arguments without root" "it said '$line'"
			fi
		done
		unprivileged features >"$dir/out" 2>&1
		if [ $? -eq 0 ] && grep -q "^kernel  *[0-9]" "$dir/out" && grep -q "^ublk  *" "$dir/out" &&
			! grep -q permission "$dir/out"; then
			echo "ok features without root"
		else
			not_ok "features without root" "$(cat "$dir/out")"
		fi
	else
		echo "skip verbs without root: nobody cannot run $dir/qedctl: $(cat "$dir/out")"
	fi
else
	echo "skip verbs as root: this is not root"
fi

"$qedctl" help >/dev/full 2>"$dir/err"
if [ $? -eq 1 ] && grep -q '^qedctl: .*No space left' "$dir/err"; then
	echo "ok a full disk behind standard output is an error"
else
	not_ok "a full disk behind standard output is an error" "$(cat "$dir/err")"
fi

left=$(ls -A "$dir" | grep -vE '^(out|err|qedctl)$')
if [ -z "$left" ]; then
	echo "ok no failure made a file"
else
	not_ok "no failure made a file" "$left"
fi
finish
