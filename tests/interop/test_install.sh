#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# `make install` installs all files in their places, and `make uninstall` removes all of them. Below a
# PREFIX elsewhere it needs no root.
# sanitized: no (the programs' code is tested elsewhere)
set -u
. "$(dirname "$0")/lib.sh"
build=$(realpath "${QEDBLK_BUILD:-build}")
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# check NAME COMMAND...
check() {
	local name=$1 said

	shift
	if said=$("$@" 2>&1); then
		echo "ok $name"
	else
		not_ok "$name" "$(tail -n 3 <<<"$said" | tr '\n' ' ')"
	fi
}

# Do not build here: the programs may have been built with other flags.
in_tree() {
	make -C "$root" -o all BUILD="$build" DESTDIR="$dir" PREFIX=/opt/qed "$@"
}

expected() {
	printf '/opt/qed/%s\n' sbin/{qedctl,qedd} bin/{qed-img,qed-io} \
		share/bash-completion/completions/{qedctl,qedd,qed-img,qed-io}
	for page in "$root"/Documentation/man/*.rst; do
		page=$(basename "$page" .rst)
		echo "/opt/qed/share/man/man${page##*.}/$page"
	done
	printf '/opt/qed/share/doc/qedblk/%s\n' {admin-guide,admin-guide/dm-qed,differences,glossary}.rst
	[ ! -e "$build/nbdkit-qed-plugin.so" ] || echo /opt/qed/lib/nbdkit/plugins/nbdkit-qed-plugin.so
}

# named_documents: each file of ours that a manual page names is installed.
named_documents() {
	local pages file

	pages=$(cat "$dir"/opt/qed/share/man/man*/* | tr -d '\\')
	if grep -E 'Documentation/|/usr/local/share/doc' <<<"$pages"; then
		return 1
	fi
	for file in $(grep -oE '/[a-z/-]+/doc/qedblk/[a-z/-]+\.rst' <<<"$pages"); do
		[ -f "$dir$file" ] || { echo "$file"; return 1; }
	done
	[ -n "${file:-}" ]
}

# plugin_place PREFIX: where the plugin would be installed.
plugin_place() {
	in_tree -n PREFIX="$1" install | grep -o "$dir[^ ]*/nbdkit-qed-plugin.so"
}

# Other users may not enter the test's directory, so they see it at /mnt.
as_nobody() {
	mkdir "$dir/home"
	chown 65534:65534 "$dir/home"
	unshare --mount bash -c 'mount --bind "$1" /mnt && shift && exec "$@"' - "$dir/home" \
		setpriv --reuid=65534 --regid=65534 --clear-groups make -C "$root" -o all -o man \
		BUILD="$build" PREFIX=/mnt install && [ -x "$dir/home/bin/qed-img" ]
}

# installed: all files exist, and each link leads to one.
installed() {
	(cd "$dir" && find . -xtype f -printf '/%P\n' | sort)
}

check "install" in_tree install
check "all is there, and nothing else" diff <(expected | sort) <(installed)
for program in "$dir"/opt/qed/*bin/*; do
	check "${program##*/} runs" "$program" --version
done
check "completion is found by a program's name" \
	bash -c ". '$dir/opt/qed/share/bash-completion/completions/qed-img' && complete -p qed-img"
check "manual pages name installed documents" named_documents
if [ -e "$build/nbdkit-qed-plugin.so" ] && command -v nbdkit >/dev/null; then
	check "the plugin is loaded by its path" \
		nbdkit "$dir/opt/qed/lib/nbdkit/plugins/nbdkit-qed-plugin.so" --dump-plugin
	check "the plugin is where nbdkit looks for it, below /usr/local" grep -qxF \
		"$dir$(nbdkit --dump-config | sed -n 's/^plugindir=//p')/nbdkit-qed-plugin.so" \
		<(plugin_place /usr/local)
fi
check "install once more" in_tree install
check "uninstall" in_tree uninstall
check "nothing is left" diff /dev/null <(find "$dir" ! -type d)
check "uninstall where there is nothing" in_tree uninstall
if [ "$(id -u)" -ne 0 ]; then
	check "install below a prefix of one's own" make -C "$root" -o all BUILD="$build" PREFIX="$dir/home" install
elif setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$build/qedd"; then
	check "install below a prefix of one's own" as_nobody
else
	echo "skip install below a prefix of one's own: other users may not read the tree"
fi
finish
