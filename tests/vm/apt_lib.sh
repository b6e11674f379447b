# SPDX-License-Identifier: GPL-2.0
# For scripts that fetch Debian packages without installing them; sourced by scripts that define
# `die`.
apt_options=(-o APT::Sandbox::User= -o Acquire::Retries=3)

# This machine's Debian release, or on other machines the release whose packages are used.
debian_codename() {
	case $(. /etc/os-release 2>/dev/null && echo "${ID:-}-${VERSION_ID:-}") in
	debian-12) echo bookworm ;;
	*) echo trixie ;;
	esac
}

# own_lists FOLDER [CODENAME]: make apt use package lists that are fetched to FOLDER. This machine's
# apt may have no lists yet, may lack the security archive (where Debian 12 has the 6.12 kernel), or
# may belong to another user. With deb_type=deb-src they are lists of source packages.
own_lists() {
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg codename=${2:-}
	local signed="[arch=amd64 signed-by=$keyring]" type=${deb_type:-deb}
	codename=${codename:-$(debian_codename)}
	mkdir -p "$1/apt/lists/partial" "$1/apt/archives/partial" || return 1
	[ -e $keyring ] || { echo "no $keyring" >&2 && return 1; }
	cat >"$1/apt/sources.list" <<-END
		$type $signed http://deb.debian.org/debian $codename main
		$type $signed http://deb.debian.org/debian-security $codename-security main
	END
	apt_options=(-o Dir::Etc::SourceList="$1/apt/sources.list" -o Dir::Etc::SourceParts=-
		-o Dir::State::Lists="$1/apt/lists" -o Dir::Cache="$1/apt"
		-o APT::Sandbox::User= -o Acquire::Retries=3 -o APT::Update::Error-Mode=any)
	apt-get "${apt_options[@]}" -q update >&2
}

# download FOLDER PACKAGE: the newest version that apt knows.
download() {
	(cd "$1" && apt-get "${apt_options[@]}" -q download "$2" >&2)
}

# depends_on PATTERN PACKAGE...: the dependencies that match PATTERN, of the first package that apt
# knows.
depends_on() {
	local pattern=$1 name
	shift
	for name; do
		apt-cache "${apt_options[@]}" depends "$name" 2>/dev/null |
			awk -v pattern="$pattern" '$1 == "Depends:" && $2 ~ pattern { print $2; found = 1; exit }
				END { exit !found }' && return 0
	done
	return 1
}

# headers WORK RELEASE PLACE: unpack the headers of that kernel in WORK/headers. The caller moves
# them to PLACE; modules are then built in PLACE/build. The headers' Makefile contains the path
# where the package would be installed.
headers() {
	local work=$1 release=$2 place=$3 kbuild name
	kbuild=$(depends_on '^linux-kbuild-' "linux-headers-$release") || return 1
	mkdir "$work/headers-deb" || return 1
	for name in "linux-headers-$release" "linux-headers-${release%-cloud-amd64}-common" "$kbuild"; do
		download "$work/headers-deb" "$name" &&
			dpkg -x "$work/headers-deb/$name"_*.deb "$work/headers" || return 1
	done
	# Without vmlinux no BTF is generated for modules, which would need pahole.
	rm -f "$work/headers/usr/src/linux-headers-$release/vmlinux"
	sed -i "s|/usr/src/|$place&|" "$work/headers/usr/src/linux-headers-$release/Makefile" &&
		ln -s "usr/src/linux-headers-$release" "$work/headers/build"
}

# compiler_of PLACE: the compiler that the headers there name. Debian's name a version, which a
# later Debian release may lack.
compiler_of() {
	grep -o 'gcc-[0-9]*$' "$1/build/.kernelvariables"
}
