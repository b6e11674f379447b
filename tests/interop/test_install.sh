#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# `make install` installs all files in their places, and `make uninstall` removes all of them.
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
	[ ! -e "$build/nbdkit-qed-plugin.so" ] ||
		echo "$(nbdkit --dump-config | sed -n 's/^plugindir=//p')/nbdkit-qed-plugin.so"
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
check "install once more" in_tree install
check "uninstall" in_tree uninstall
check "nothing is left" diff /dev/null <(find "$dir" ! -type d)
check "uninstall where there is nothing" in_tree uninstall
finish
