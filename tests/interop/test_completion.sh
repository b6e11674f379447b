#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# bash completes what the programs accept: each verb, command and option of each --help, and the
# words, formats, devices and files that follow them.
# sanitized: no (the programs' code is tested elsewhere)
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${QEDBLK_BUILD:-build}")
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$build:$PATH

. "$root/completions/qedblk"
# A stand-in for the built-in, which works only inside readline's completion.
compopt() { :; }

# reply WORD...: print the completions of a line of which the last word is being typed, sorted, one
# per line.
reply() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	"$(complete -p "$1" | sed -E 's/.*-F ([^ ]+).*/\1/')" "$build/$1"
	printf '%s\n' "${COMPREPLY[@]}" | sort -u | sed '/^$/d'
}

# completes NAME EXPECTED WORD...: exactly the words of EXPECTED, separated by spaces.
completes() {
	local name=$1 expected=$2 got

	shift 2
	got=$(reply "$@" | xargs)
	if [ "$got" = "$expected" ]; then
		echo "ok $name"
	else
		not_ok "$name" "'$*' gives '$got' instead of '$expected'"
	fi
}

# completes_just NAME LINES WORD...: exactly these lines, in any order.
completes_just() {
	local name=$1 lines=$2

	shift 2
	completes "$name" "$(sort -u <<<"$lines" | xargs)" "$@"
}

# completes_all NAME LINES WORD...: at least these lines, of which there is one or more.
completes_all() {
	local name=$1 expected=$2 missing

	shift 2
	missing=$(comm -23 <(sort -u <<<"$expected") <(reply "$@") | xargs)
	if [ -z "$expected" ] || [ -n "$missing" ]; then
		not_ok "$name" "'$*' lacks ${missing:-everything}"
	else
		echo "ok $name"
	fi
}

# The options in a help text, extracted in another way than the completion does.
options_of() {
	tr -c 'A-Za-z0-9-' '\n' <<<"$1" | grep -xE -- '-[A-Za-z]|--[a-z][a-z0-9-]*' | sort -u
}

# ---- All that --help lists ----

verbs=$("$build/qedctl" --help | sed -nE 's/^  ([a-z]+)  +.*/\1/p')
completes_all "qedctl: verbs" "$verbs" qedctl ""
completes_all "qedctl: verbs behind help" "$verbs" qedctl help ""
for verb in $verbs; do
	completes_just "qedctl: options of $verb" \
		"$(options_of "$("$build/qedctl" "$verb" --help) --help")" qedctl "$verb" -
done
completes_all "qedd: options" "$(options_of "$("$build/qedd" --help)")" qedd -
verbs=$("$build/qed-img" --help | sed -nE 's/^  ([a-z]+) .*/\1/p')
completes_all "qed-img: verbs" "$verbs" qed-img ""
for verb in $verbs; do
	completes_just "qed-img: options of $verb" \
		"$(options_of "$("$build/qed-img" "$verb" --help) --help")" qed-img "$verb" -
done
completes_all "qed-io: options" "$(options_of "$("$build/qed-io" --help | sed '1,2d; $d')")" qed-io -
completes_all "qed-io: commands" \
	"$("$build/qed-io" -c help | sed -nE 's/^([a-z_]+) .*-- .*/\1/p')" qed-io -c ""

# ---- Arguments of options and verbs ----

cd "$work" || exit 1
mkdir folder
touch image.qed image.raw
completes "qedctl: a verb's beginning" "stats status stream" qedctl st
completes "qedctl: what set changes" "on-full=" qedctl set vm1 on-
completes "qedctl: to what" "error wait" qedctl set vm1 on-full = ""
completes "qedctl: its beginning" "error" qedctl set vm1 on-full = e
completes "qedctl: words of an option" "none writeback" qedctl create vm1 image.qed --cache ""
completes "qedctl: an option with =" "none" qedctl create vm1 image.qed --cache = n
completes "qedctl: an option and = in one word" "writeback" qedctl create vm1 image.qed --cache=w
completes "qedctl: create's image" "folder image.qed image.raw" qedctl create vm1 ""
completes "qedctl: create's name is new" "" qedctl create ""
completes "qedctl: a folder" "folder" qedctl create vm1 image.qed --backing-dir ""
completes "qedctl: trace's word" "start stop" qedctl trace vm1 ""
completes "qedctl: trace's file, behind an option's value" "image.qed image.raw" \
	qedctl trace vm1 start image
completes "qedctl: message's words" "detect_zeroes forget stats" qedctl message vm1 ""
completes "qedctl: message's words behind one" "off on unmap" qedctl message vm1 detect_zeroes ""
completes "qedctl: nothing behind ls" "" qedctl ls ""
completes "qedctl: no such verb" "" qedctl nonsense -
completes "qedd: formats" "nbd qcow2 qed raw" qedd --name x --format ""
completes "qedd: files" "image.qed image.raw" qedd --image image
completes "qed-img: formats" "qcow2 qed" qed-img create -f q
completes "qed-img: target's format" "raw" qed-img convert -O ra
completes "qed-img: cache modes" "writeback writethrough" qed-img convert -t w
completes "qed-img: words of an option that has a short name" "all leaks" qed-img check --repair ""
completes "qed-img: words of one that raw images have" "falloc full off" \
	qed-img resize --preallocation = ""
completes "qed-img: words" "all leaks" qed-img check -r ""
completes "qed-img: --output=" "human json" qed-img info --output = ""
completes "qed-img: -o of qed" "cluster_size=" qed-img create -f qed -o cl
completes "qed-img: -o, a second one" "cluster_size=4k,table_size=" \
	qed-img create -f qed -o cluster_size=4k,ta
completes "qed-img: -o, a second one, as bash splits it" "4k,table_size=" \
	qed-img create -f qed -o cluster_size = 4k,ta
completes "qed-img: no names for a value" "" qed-img create -f qed -o cluster_size = 4
completes "qed-img: -o of raw" "preallocation=" qed-img create -f raw -o pre
completes "qed-img: objects" "secret,id=" qed-img info --object se
completes "qed-img: aio modes" "io_uring" qed-img bench -i i
completes "qed-img: files" "image.qed image.raw" qed-img info im
completes "qed-io: commands" "read readv" qed-io -c read
completes "qed-io: commands behind a quote" "write writev" qed-io -c "'wr"
completes "qed-io: --cmd=" "truncate" qed-io --cmd = tr
completes "qed-io: cache modes" "none" qed-io -t n
completes "qed-io: discard modes" "ignore unmap" qed-io --discard = ""
completes "qed-io: aio modes" "io_uring" qed-io -i i
completes "qed-io: files" "image.qed image.raw" qed-io -r im

# Devices come from `qedctl ls`, which needs a kernel with ublk: a stand-in replaces it.
cat >fake <<'END'
#!/bin/bash
case $* in
ls) printf 'NAME  DEVICE  SIZE\nvm1   /dev/x  1 GiB\nvm2   /dev/y  2 GiB\n' ;;
*) exec "$REAL" "$@" ;;
esac
END
chmod +x fake
export REAL=$build/qedctl
COMP_WORDS=(qedctl remove vm1 vm)
COMP_CWORD=3
_qedctl ./fake
if [ "${COMPREPLY[*]}" = "vm1 vm2" ]; then
	echo "ok qedctl: devices"
else
	not_ok "qedctl: devices" "gives '${COMPREPLY[*]}'"
fi

# ---- Installed ----

if make -s -C "$root" BUILD="$build" -n install 2>/dev/null | grep -q bash-completion; then
	echo "ok they are installed"
else
	not_ok "they are installed" "make install does not name bash-completion"
fi
finish
