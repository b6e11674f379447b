# SPDX-License-Identifier: GPL-2.0
# For scripts about the target `qed`, with dmsetup; sourced after lib.sh and device_lib.sh.
# The module is built on the host, before the boot (tests/vm/build-module).
module=$QEDBLK_BUILD/modules/$(uname -r)/dm-qed.ko
modprobe -a dm-mod ublk_drv
require "the module loads" insmod "$module"
# Also after a failure: the next script loads it again.
at_exit eval "qedctl remove --all --force --retry; rmmod dm-qed"
at_exit dm_gone_all

# The fields of `dmsetup status`, from the third on.
status_words=(read-bios read-sectors write-bios write-sectors zero-bios zero-sectors discard-bios
	discard-sectors scanned converted converted-sectors fallback answered answered-sectors known
	mode lower)

# dm_new NAME TABLE: make a mapping and its node (no udev runs).
dm_new() {
	dmsetup create "$1" --table "$2" && dmsetup mknodes "$1"
}

# dm_reload NAME TABLE: replace the live table.
dm_reload() {
	dmsetup load "$1" --table "$2" && dmsetup suspend "$1" && dmsetup resume "$1"
}

dm_gone_all() {
	local name
	for name in upper t lower; do
		dmsetup remove --retry "$name"
	done
}

# qed_status FIELD... [of NAME]: those fields of the status line; NAME is t, or $qed_name.
qed_status() {
	local line word i
	read -r -a line < <(dmsetup status "${qed_name:-t}" | cut -d ' ' -f 4-)
	for word; do
		for i in "${!status_words[@]}"; do
			[ "${status_words[i]}" = "$word" ] && printf '%s ' "${line[i]}"
		done
	done | sed 's/ $//'
}

# clusters KIND IMAGE: the number of 64 KiB clusters that QEMU sees as data or zero.
clusters() {
	local data zero
	case $1 in
	data) data=true zero=false ;;
	zero) data=false zero=true ;;
	esac
	qemu-img map --output=json -f qed "$2" | awk -v want="\"zero\": $zero, \"data\": $data" '
		index($0, want) && index($0, "\"depth\": 0") && match($0, /"length": [0-9]+/) {
			sum += substr($0, RSTART + 10, RLENGTH - 10)
		}
		END { print sum / 65536 }'
}
