#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Building needs only what building needs: without cmocka, clang-format and QEMU make compiles the
# programs' files, and what is missing for the tests is named.
# sanitized: no (the programs' code is tested elsewhere)
set -u
. "$(dirname "$0")/lib.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/bin" "$dir/stubs"

# A machine without cmocka: pkg-config does not know it.
cat >"$dir/bin/pkg-config" <<-EOF
	#!/bin/bash
	[[ " \$* " != *" cmocka "* ]] || exit 1
	exec $(command -v pkg-config) "\$@"
EOF
# A fresh machine: no package is installed, and the user is neither root nor may use sudo.
printf '#!/bin/bash\nexit 1\n' >"$dir/stubs/dpkg-query"
printf '#!/bin/bash\necho 1000\n' >"$dir/stubs/id"
chmod +x "$dir"/*/*

# build FILE: make one file there.
build() {
	make -C "$root" BUILD="$dir/build" PKG_CONFIG="$dir/bin/pkg-config" "$dir/build/$1" 2>&1
}

if said=$(build obj/userspace/util/units.o); then
	echo "ok a program's file is compiled without cmocka"
else
	not_ok "a program's file is compiled without cmocka" "$(tail -n 2 <<<"$said" | tr '\n' ' ')"
fi
said=$(build obj/tests/unit/test_util_units.o)
if [[ $said = *cmocka*"scripts/install-deps"* && $said != *"fatal error"* ]]; then
	echo "ok a test's file: what is missing is named"
else
	not_ok "a test's file: what is missing is named" "$(tail -n 2 <<<"$said" | tr '\n' ' ')"
fi

# listed [build]: the packages that the user is asked to install.
listed() {
	PATH=$dir/stubs "$BASH" "$root/scripts/install-deps" "$@" 2>&1 | grep -o "recommends .*"
}

words=$(listed build)
for package in libcmocka-dev clang-format qemu-utils qemu-system-x86 python3; do
	[[ " $words " != *" $package "* ]] || not_ok "packages to build" "$package is among them"
done
for package in gcc make liburing-dev python3-docutils; do
	[[ " $words " = *" $package "* ]] || not_ok "packages to build" "$package is missing"
done
all=$(listed)
for package in $words libcmocka-dev clang-format qemu-utils; do
	[[ " $all " = *" $package "* ]] || not_ok "packages to test" "$package is missing"
done
[ $failures -gt 0 ] || echo "ok packages"
finish
