#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Manual pages, --help and the programs agree: each verb, command and option is in all of them, with
# an example, and the examples of qed-img work. What documents name exists: drivers' files, sources,
# functions, tests, folders.
# sanitized: no (the programs' code is tested elsewhere)
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${QEDBLK_BUILD:-build}")
root=$(cd "$(dirname "$0")/../.." && pwd)
tools=$root/tools
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The manual pages with the text that the build inserts.
man=$work/man
mkdir "$man"
for file in "$root"/Documentation/man/*.rst; do
	"$root/scripts/man-page" "$file" "$build/man-options" >"$man/${file##*/}" ||
		not_ok "${file##*/}" "its options cannot be printed"
done

# The options in a text, one per line: --long, and -x; -xyz counts as three.
options() {
	grep -oE '(^|[][[:space:]`(|])-(-[a-z][a-z0-9-]*|[A-Za-z]+)' | sed 's/^[^-]*//' |
		awk '/^--/ { print; next } { for (i = 2; i <= length; i++) print "-" substr($0, i, 1) }' |
		sort -u
}

# section PAGE UNDERLINE WORD: the section whose title begins with WORD, up to the next title.
section() {
	awk -v line="^$2$2$2*\$" -v word="$3" '
		NR > 1 && $0 ~ /^(===*|---*)$/ { inside = ($0 ~ line && split(before, w, " ") && w[1] == word)
			before = ""; next }
		NR > 1 && inside { print before }
		{ before = $0 }
		END { if (inside) print before }' "$1"
}

# Text without its examples: the lines indented deeper than one that ends in "::".
without_examples() {
	awk '
		{ match($0, /^ */); indent = RLENGTH }
		skipping && NF && indent <= depth { skipping = 0 }
		!skipping { print }
		/::$/ && !skipping { skipping = 1; depth = indent }'
}

# titles PAGE UNDERLINE WORD: first words of the titles below section WORD, up to the next section.
titles() {
	awk -v word="$3" '
		/^===*$/ { inside = (before == word) }
		/^---*$/ && inside { split(before, w, " "); print w[1] }
		{ before = $0 }' "$1" | sort -u
}

# compare NAME HELP PAGE: two lists with one word per line.
compare() {
	local missing extra
	missing=$(comm -23 <(echo "$2") <(echo "$3") | xargs)
	extra=$(comm -13 <(echo "$2") <(echo "$3") | xargs)
	if [ -z "$2$3" ]; then
		not_ok "$1" "neither has any"
	elif [ -n "$missing" ]; then
		not_ok "$1" "the page lacks: $missing"
	elif [ -n "$extra" ]; then
		not_ok "$1" "--help lacks: $extra"
	else
		echo "ok $1"
	fi
}

# same_options NAME HELP-TEXT PAGE UNDERLINE SECTION: both lists may be empty.
same_options() {
	local help page
	help=$(options <<<"$2" | grep -vx -e --help)
	page=$(section "$3" "$4" "$5" | without_examples | options | grep -vx -e --help)
	if [ -z "$help$page" ]; then
		echo "ok $1, there are none"
	else
		compare "$1" "$help" "$page"
	fi
}

# examples PROGRAM WORD PAGE HELP-TEXT: both have examples of PROGRAM's verb or command WORD; the
# help may have a single line, as QEMU's has.
examples() {
	local name="$1: an example of $2"

	if [ "$(wc -l <<<"$4")" -gt 1 ] && ! grep -qE "^ ?Example: ($1 )?$2( |\$)" <<<"$4"; then
		not_ok "$name" "the help has none"
	elif ! section "$3" - "$2" | grep -qE "^ +(\\$|#|$1>) ($1 )?$2( |\$)"; then
		not_ok "$name" "the page has none"
	else
		echo "ok $name"
	fi
}

# fails COMMAND-LINE: an example of an unsupported verb fails with that reason and no other.
fails() {
	local said

	if said=$(cd "$work/images" && PATH=$build:$PATH && eval "$1" 2>&1); then
		not_ok "it fails: $1" "it did something"
	elif ! grep -qE "does not support|not found|Can't store" <<<"$said"; then
		not_ok "it fails: $1" "$said"
	else
		echo "ok it fails: $1"
	fi
}

# works COMMAND-LINE: an example of qed-img works, given the images that examples name.
works() {
	local said

	rm -rf "$work/try"
	cp -a --sparse=always "$work/images" "$work/try"
	if said=$(cd "$work/try" && PATH=$build:$PATH && eval "$1" 2>&1); then
		echo "ok it works: $1"
	else
		not_ok "it works: $1" "$(tail -n 1 <<<"$said")"
	fi
}

page=$man/qedctl.8.rst
verbs=$("$build/qedctl" --help | sed -nE 's/^  ([a-z]+)  +.*/\1/p' | sort -u)
compare "qedctl: verbs" "$verbs" "$(titles "$page" - VERBS)"
for verb in $verbs; do
	help=$("$build/qedctl" "$verb" --help)
	same_options "qedctl: options of $verb" "$help" "$page" - "$verb"
	examples "qedctl" "$verb" "$page" "$help"
done

same_options "qedd: options" "$("$build/qedd" --help | sed 1,2d)" "$man/qedd.8.rst" = OPTIONS

page=$man/qed-img.1.rst
help=$("$build/qed-img" --help)
verbs=$(sed -nE 's/^  ([a-z]+) .*/\1/p' <<<"$help" | sort -u)
compare "qed-img: verbs" "$verbs" "$(titles "$page" - VERBS)"
same_options "qed-img: options" "$(head -n 1 <<<"$help")" "$page" = OPTIONS
# taken VERB: the options in the verb's table in its source file, one per line.
taken() {
	sed -nE 's/^\tIMG_IMAGE_OPTS\(.*/--image-opts/p; s/^\tIMG_OBJECT,.*/--object/p
		s/^\tIMG_FORCE_SHARE\(.*/-U\n--force-share/p
		s/^\t(IMG|OPT)_[A-Z_]+\((0|'\''.'\''), (NULL|"[a-z-]+").*/\2 \3/p' "$tools/qed-img/$1.c" |
		sed -E "s/^'(.)' NULL/-\1/; s/^0 \"(.*)\"/--\1/; s/^'(.)' \"(.*)\"/-\1\n--\2/"
}

mkdir "$work/images"
(
	cd "$work/images" && PATH=$build:$PATH &&
		truncate -s 16M disk.img golden.img golden-2.img &&
		qed-img create -q -f qed -b golden.img -F raw vm1.qed
) || not_ok "qed-img: images for the examples" "cannot be made"
for verb in $verbs; do
	help=$("$build/qed-img" "$verb" --help)
	lines=$(tail -n +3 <<<"$help")
	same_options "qed-img: options of $verb" "$help" "$page" - "$verb"
	# The usage line has no room for both names of an option.
	compare "qed-img: each option of $verb has its line" \
		"$(options <<<"$lines" | grep -vx -e --help)" "$(taken "$verb" | sort -u)"
	missing=$(comm -23 <(head -n 1 <<<"$help" | options) <(options <<<"$lines") | xargs)
	[ -z "$missing" ] || not_ok "qed-img: usage of $verb" "no line of the help is about $missing"
	examples "qed-img" "$verb" "$page" "$help"
	while read -r line; do
		case $verb in
		# The page says that no format here supports these.
		amend | bitmap) fails "$line" ;;
		*) works "$line" ;;
		esac
	done < <(
		sed -n 's/^Example: //p' <<<"$help"
		section "$page" - "$verb" | sed -n 's/^ *\$ //p'
	)
done

page=$man/qed-io.1.rst
same_options "qed-io: options" "$("$build/qed-io" --help | sed '1,2d; $d')" "$page" = OPTIONS
commands=$("$build/qed-io" -c help | sed -nE 's/^([a-z_]+) .*-- .*/\1/p' | sort -u)
compare "qed-io: commands" "$commands" "$(titles "$page" - COMMANDS)"
for command in $commands; do
	help=$("$build/qed-io" -c "help $command")
	same_options "qed-io: options of $command" "$help" "$page" - "$command"
	missing=$(comm -23 <(head -n 1 <<<"$help" | options) <(tail -n +2 <<<"$help" | options) | xargs)
	[ -z "$missing" ] || not_ok "qed-io: usage of $command" "no line of the help is about $missing"
	examples "qed-io" "$command" "$page" "$help"
done

# docutils warns about documents that are rendered wrong somewhere.
for file in "$man"/*.rst; do
	if why=$(rst2man --strict "$file" /dev/null 2>&1); then
		echo "ok ${file##*/} is good reST"
	else
		not_ok "${file##*/} is good reST" "$(tail -n 2 <<<"$why" | tr '\n' ' ')"
	fi
done
for file in "$root"/Documentation/*.rst; do
	if why=$(rst2html --strict "$file" /dev/null 2>&1); then
		echo "ok ${file##*/} is good reST"
	else
		not_ok "${file##*/} is good reST" "$(tail -n 2 <<<"$why" | tr '\n' ' ')"
	fi
done

# The design has a table of the files of each driver that has several.
for driver in "format/qed:The QED driver" "format/qcow2:The qcow2 driver" "file/nbd:Network images"; do
	compare "design.rst: files of ${driver%:*}" \
		"$(cd "$root/userspace/${driver%:*}" && printf '%s\n' *.c | sort)" \
		"$(awk -v title="${driver#*:}" '/^===*$/ { inside = before == title }
			{ before = $0 } inside' "$root/Documentation/design.rst" |
			sed -nE 's/^``([a-z0-9_]+\.c)``  .*/\1/p' | sort)"
done

# none NAME LIST: the list of missing things is empty.
none() {
	if [ -z "$2" ]; then
		echo "ok $1"
	else
		not_ok "$1" "missing: $2"
	fi
}

none "tests that documents name are there" \
	"$(grep -ohE '(k?unit|interop|vm|crash)/[a-z0-9_]+\.(c|sh|py)' "$root"/Documentation/*.rst | sort -u |
		while read -r file; do
			[ -e "$root/tests/$file" ] || echo "$file"
		done | xargs)"

cd "$root" || exit 1
find userspace tools kernel tests -type f >"$work/files"
find userspace tools kernel tests -name '*.[ch]' -exec cat {} + >"$work/sources"
none "functions that documents name are there" \
	"$(grep -ohP '(?<![.\w])[a-z]\w+\(\)' Documentation/*.rst CONTRIBUTING.rst | sort -u | sed 's/()//' |
		while read -r function; do
			grep -qE "\b$function\)?\(" "$work/sources" || echo "$function"
		done | xargs)"
none "sources that documents name are there" \
	"$(grep -ohE '[a-z][a-z0-9_-]*(/[a-z0-9_-]+)+\.[ch]\b' Documentation/*.rst CONTRIBUTING.rst | sort -u |
		while read -r file; do
			grep -qE "(^|/)$file\$" "$work/files" || echo "$file"
		done | xargs)"
for folder in userspace tools tests; do
	none "the folders of $folder are in its README" \
		"$(find $folder -mindepth 1 -maxdepth 1 -type d -printf '%f\n' |
			grep -v __pycache__ | while read -r name; do
			grep -q "\`\`$name/\`\`" $folder/README.rst || echo "$name"
		done | xargs)"
done
finish
