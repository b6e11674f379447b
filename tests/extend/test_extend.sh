#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# One file and one row: a copy of the tree gets the files of tests/extend/ (a format, a protocol, a
# verb of qed-img and of qedctl, a command of qed-io), the rows below and a device option. It is built, and each
# of them works, and is in the programs' help, in the manual pages' lists and in bash completion.
# Nothing else is changed in the copy.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/interop/lib.sh"
built=$(realpath "${QEDBLK_BUILD:-build}")
work=$(mktemp -d)
copy=$work/copy
server=
clean_up() {
	[ -z "$server" ] || kill "$server" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# row FILE ANCHOR TEXT: add a line before the first line of FILE that has ANCHOR in it.
changed=()
row() {
	local file=$copy/$1 before

	changed+=("$1")
	before=$(grep -nF -- "$2" "$file" | head -n 1)
	if [ -z "$before" ]; then
		not_ok "a row in $1" "nothing like '$2' there"
		return
	fi
	ROW=$3 awk -v line="${before%%:*}" 'NR == line { print ENVIRON["ROW"] } { print }' "$file" \
		>"$work/new" && cat "$work/new" >"$file"
}

# ---- The copy, with this tree's objects, so that only what is changed is compiled ----

mkdir -p "$copy/build"
(cd "$root" && cp -a .clang-format Makefile README.md CONTRIBUTING.rst Documentation completions kernel scripts tests \
	tools userspace "$copy")
(
	cd "$built" &&
		cp -a --parents obj/.flags obj/.sources obj/userspace obj/tools obj/tests/interop \
			libqed*.a "$copy/build"
)
# make names objects as its command line does.
find "$copy/build/obj" -name '*.d' -exec sed -i -E "1s|^.*obj/([^ ]*\.o:)|build/obj/\1|" {} +

(cd "$root/tests/extend" && cp -a --parents userspace/*/*.c tools/*/*.c "$copy")
mapfile -t added < <(cd "$root/tests/extend" && printf '%s\n' userspace/*/*.c tools/*/*.c)
row userspace/format/formats.c 'ROW(raw)' '	ROW(framed)  \'
row userspace/file/protocols.c 'ROW(null)' '	ROW(ram)         \'
row tools/qed-img/img.h 'X(create)' '	X(crc)       \'
row tools/qedctl/qedctl.h 'X(ls)' '	X(where)      \'
row tools/qed-io/command_table.h 'IO_COMMAND(discard)' 'IO_COMMAND(count)'
row userspace/device/option_table.h 'DEVICE_OPTION(DEVICE_COUNT, depth,' \
	'DEVICE_OPTION(DEVICE_COUNT_FROM_0, nice, "nice", "N", 19, ON_UBLK, SUCCESSOR_SAME, NULL, "0",
	      "leave the processor to others, by so much at most", "See **nice**\\(2).")
'
row userspace/server/main.c 'return server_run(' '	(void)!nice((int)options.nice);'
row userspace/server/main.c '#include "server/daemon.h"' '#include <unistd.h>'

if env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$copy" -j"$(nproc)" BUILD=build SANITIZE= \
	build/{qedd,qedctl,qed-img,qed-io,man-options,tests/interop/nodev_qedd} \
	>"$work/make.log" 2>&1; then
	echo "ok it is built"
else
	not_ok "it is built" "$(grep -m1 -E 'error|Error' "$work/make.log")"
	tail -n 30 "$work/make.log"
	finish
fi

PATH=$copy/build:$PATH
# The server, without a block device.
nodev_qedd=$copy/build/tests/interop/nodev_qedd
export QEDBLK_RUN_DIR=$work/run
cd "$work" || exit 1

# says NAME TEXT COMMAND...: it succeeds, and TEXT is in its output; refuses: it fails with TEXT.
says() {
	local name=$1 text=$2 said
	shift 2
	if ! said=$("$@" 2>&1); then
		not_ok "$name" "'$*' fails: $(tail -n 3 <<<"$said" | tr '\n' ' ')"
	elif ! grep -qF -- "$text" <<<"$said"; then
		not_ok "$name" "'$*' has no '$text'"
	else
		echo "ok $name"
	fi
}

refuses() {
	local name=$1 text=$2 said
	shift 2
	if said=$("$@" 2>&1); then
		not_ok "$name" "'$*' succeeds"
	elif ! grep -qF -- "$text" <<<"$said"; then
		not_ok "$name" "'$*' says '$said'"
	else
		echo "ok $name"
	fi
}

# works NAME COMMAND...
works() {
	local name=$1
	shift
	says "$name" "" "$@"
}

# completes NAME WORD COMMAND-WORD...: bash completes the last of the words by WORD.
compopt() { :; }
. "$copy/completions/qedblk"
completes() {
	local name=$1 word=$2
	shift 2
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	"_${1//-/_}" "$copy/build/$1"
	if printf '%s\n' "${COMPREPLY[@]}" | grep -qxF -- "$word"; then
		echo "ok $name"
	else
		not_ok "$name" "'$*' gives '${COMPREPLY[*]}'"
	fi
}

# ---- The format ----

head -c 1M /dev/urandom >disk.raw
truncate -s 3M disk.raw
says "format: in --help" " framed" qed-img --help
says "format: -o help" "header_size=<size>" qed-img create -f framed -o help
completes "format: completion of qed-img" framed qed-img create -f fr
completes "format: completion of qedd" framed qedd --format fr
completes "format: completion of qedctl" framed qedctl create vm1 vm1.img --format fr
completes "format: completion of -o" "header_size=" qed-img create -f framed -o he
works "format: create" qed-img create -f framed -o header_size=4k vm1.framed 3M
refuses "format: a limit of an option" "1048576" qed-img create -f framed -o header_size=2M x.framed 1M
refuses "format: another format's option" "table_size" qed-img create -f framed -o table_size=2 x.framed 1M
refuses "format: no backing file" "not supported for file format 'framed'" \
	qed-img create -f framed -b disk.raw -F raw x.framed
works "format: convert to it" qed-img convert -f raw -O framed -o header_size=64k disk.raw vm1.framed
says "format: probed by info" "file format: framed" qed-img info vm1.framed
works "format: compare" qed-img compare -F raw vm1.framed disk.raw
works "format: convert from it" qed-img convert -O raw vm1.framed back.raw
works "format: the same bytes" cmp disk.raw back.raw
works "format: over a backing file" qed-img create -f qed -b vm1.framed -F framed vm1.qed
works "format: read through an overlay" qed-img compare -F raw vm1.qed disk.raw
works "format: write and read" qed-io -c "write -P 7 5k 100k" -c "read -P 7 5k 100k" vm1.framed
says "format: manual page" "*header_size*" \
	"$copy/scripts/man-page" "$copy/Documentation/man/qed-img.1.rst" "$copy/build/man-options"
says "format: measure" "required size: 3149824" qed-img measure -O framed -o header_size=4k disk.raw

# ---- The protocol ----

says "protocol: a URL" "virtual size: 4 MiB" qed-img info ram://4M
says "protocol: json:" "virtual size: 4 MiB" \
	qed-img info 'json:{"driver":"raw","file":{"driver":"ram","size":"4M"}}'
says "protocol: options" "virtual size: 4 MiB" qed-img info --image-opts driver=ram,size=4M
refuses "protocol: another's option" "doesn't support the option 'path'" \
	qed-img info --image-opts driver=ram,size=4M,path=x
says "protocol: its name as a format" "file format: ram" qed-img info -f ram ram://4M
works "protocol: write and read" qed-io -f raw -c "write -P 7 5k 100k" -c "read -P 7 5k 100k" ram://4M
works "protocol: a backing file, not relative to a folder" \
	qed-img create -f qed -b ram://4M -F ram "$work/over.qed"
works "protocol: read through an overlay" qed-io -c "read -P 0 1M 64k" "$work/over.qed"
refuses "protocol: below no folder" "ram://4M: backing files must lie below ., and this is no file" \
	"$nodev_qedd" --foreground --name x --image over.qed --backing-dir .
completes "protocol: completion of qed-img" ram qed-img create -F ra

# ---- The verb ----

says "verb: in --help" "crc [" qed-img --help
says "verb: its help" "--decimal" qed-img crc --help
completes "verb: completion" crc qed-img cr
completes "verb: completion of its options" --decimal qed-img crc -
says "verb: runs" "$(qed-img crc -f raw disk.raw)" qed-img crc back.raw

says "verb of qedctl: in --help" "  where " qedctl --help
says "verb of qedctl: its help" "--json" qedctl where --help
completes "verb of qedctl: completion" where qedctl whe
completes "verb of qedctl: completion of its options" --json qedctl where -
says "verb of qedctl: runs" "\"folder\": \"$work\"" env QEDBLK_RUN_DIR="$work" qedctl where --json

# ---- The command ----

says "command: in help" "count [-P pattern]" qed-io -c help
says "command: its help" "count -P 7 0 64k" qed-io -c "help count"
completes "command: completion" count qed-io -c cou
says "command: runs" "102400/102400 bytes are 7" qed-io -c "count -P 7 5k 100k" vm1.framed

# ---- The device option ----

for page in qedd.8 qedctl.8; do
	says "option: manual page $page" "\`\`--nice N\`\`" \
		"$copy/scripts/man-page" "$copy/Documentation/man/$page.rst" "$copy/build/man-options"
done
says "option: --help of qedd" "--nice N" qedd --help
says "option: --help of qedctl" "--nice N" qedctl create --help
completes "option: completion of qedd" --nice qedd --ni
completes "option: completion of qedctl" --nice qedctl create vm1 vm1.qed --ni
for program in "qedd --name x --image" "qedctl create x"; do
	# shellcheck disable=SC2086
	refuses "option: a wrong value for ${program%% *}" "--nice: '20' is more than 19" \
		$program vm1.framed --nice 20
done
if [ "$(id -u)" -eq 0 ]; then
	# A stand-in for the server, beside a qedctl, notes its arguments.
	mkdir bin
	cp "$copy/build/qedctl" bin
	printf '#!/bin/sh\nprintf "%%s\\n" "$@" >arguments\nexit 1\n' >bin/qedd
	chmod +x bin/qedd
	bin/qedctl create vm1 vm1.framed --no-dm --nice 7 >/dev/null 2>&1
	says "option: qedctl gives it to qedd" "--nice=7" cat arguments
else
	echo "skip option: qedctl gives it to qedd: this is not root"
fi
mkfifo out
"$nodev_qedd" --foreground --name vm1 --image vm1.framed --nice 7 >out 2>err &
server=$!
read -r line <out
says "option: it has its effect ($line)" 7 ps -o ni= -p $server
works "option: a successor gets it" grep -rqs -- --nice "$QEDBLK_RUN_DIR"
kill $server
wait $server
server=

# ---- Nothing else was changed ----

# passes NAME PROGRAM: a test of the copy passes.
passes() {
	if QEDBLK_BUILD=$copy/build "$2" >"$work/log" 2>&1; then
		echo "ok $1"
	else
		not_ok "$1" "$(grep '^not ok' "$work/log" | tr '\n' ' ')"
	fi
}

passes "the manual pages and --help agree" "$copy/tests/interop/test_manpages.sh"
passes "the format of the sources" "$copy/scripts/check-format"
expected=$(
	printf '%s added\n' "${added[@]}"
	printf '%s changed\n' "${changed[@]}" | sort -u
)
found=$(diff -rq -x build -x .git -x __pycache__ "$root" "$copy" |
	sed -nE "s|^Only in $copy/(.*): (.*)|\1/\2 added|p; s|^Files $root/(.*) and .* differ|\1 changed|p")
if [ "$(sort <<<"$expected")" = "$(sort <<<"$found")" ]; then
	echo "ok nothing else is changed"
else
	not_ok "nothing else is changed" "$(diff <(sort <<<"$expected") <(sort <<<"$found") | xargs)"
fi
finish
