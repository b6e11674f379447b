// SPDX-License-Identifier: GPL-2.0
/*
 * read, readv, aio_read: read a range, and verify or print it.
 */
#include "qed-io/request.h"

static const struct io_request_kind read_kind = {
	.letters = "bCl:pP:qs:v",
	.failure = "read failed",
};

static const struct io_request_kind readv_kind = {
	.letters = "CP:qv",
	.failure = "readv failed",
	.many_lengths = true,
};

static const struct io_request_kind aio_read_kind = {
	.letters = "CP:iqv",
	.failure = "readv failed",
	.many_lengths = true,
	.async = true,
};

#define COMMON_TEXT                                         \
	" -C   print figures alone, separated by commas\n"  \
	" -P   complain if the bytes are not all PATTERN\n" \
	" -q   print nothing but complaints\n"              \
	" -v   print the bytes too\n"

const struct io_command io_read_command = {
	.name = "read",
	.altname = "r",
	.args = "[-abCqv] [-P pattern [-s off] [-l len]] off len",
	.summary = "reads a number of bytes at a specified offset",
	.text = COMMON_TEXT " -s   check them from this offset of what was read on (with -P)\n"
			    " -l   check this many (with -P)\n"
			    " -b   read the VM state, which no format here gives out\n"
			    " -p   taken, of no effect\n"
			    " -a   refused, as in qemu-io\n",
	.example = "read -v 512 1k",
	.argmin = 2,
	.argmax = -1,
	.request = &read_kind,
};

const struct io_command io_readv_command = {
	.name = "readv",
	.args = "[-Cqv] [-P pattern] off len [len..]",
	.summary = "reads a number of bytes at a specified offset",
	.text = " Several lengths are added up.\n" COMMON_TEXT,
	.example = "readv -v 512 1k 1k",
	.argmin = 2,
	.argmax = -1,
	.request = &readv_kind,
};

const struct io_command io_aio_read_command = {
	.name = "aio_read",
	.args = "[-Ciqv] [-P pattern] off len [len..]",
	.summary = "asynchronously reads a number of bytes",
	.text = " Several lengths are added up.  aio_flush waits for the result; a failure\n"
		" is printed, but is no failure of this command.\n" COMMON_TEXT
		" -i   an invalid request: nothing is read\n",
	.example = "aio_read -P 7 0 64k",
	.argmin = 2,
	.argmax = -1,
	.flags = IO_HOLDS,
	.request = &aio_read_kind,
};
