// SPDX-License-Identifier: GPL-2.0
/*
 * write, writev, aio_write: write a pattern, a file's bytes or zeroes.
 */
#include "qed-io/request.h"

static const struct io_request_kind write_kind = {
	.letters = "bcCfnpP:qs:uz",
	.failure = "write failed",
	.write = true,
};

static const struct io_request_kind writev_kind = {
	.letters = "CfqP:",
	.failure = "writev failed",
	.write = true,
	.many_lengths = true,
};

static const struct io_request_kind aio_write_kind = {
	.letters = "CfiqP:uz",
	.failure = "aio_write failed",
	.write = true,
	.many_lengths = true,
	.async = true,
};

#define COMMON_TEXT                                        \
	" -P   of this value; 0xcd without it\n"           \
	" -f   durable when it is done\n"                  \
	" -C   print figures alone, separated by commas\n" \
	" -q   print nothing but complaints\n"
#define ZERO_TEXT                                   \
	" -z   zeroes, as a write-zeroes request\n" \
	" -u   which may free space (with -z)\n"

const struct io_command io_write_command = {
	.name = "write",
	.altname = "w",
	.args = "[-bcCfnquz] [-P pattern | -s source_file] off len",
	.summary = "writes a number of bytes at a specified offset",
	.text = COMMON_TEXT " -s   of this file's bytes, again and again\n" ZERO_TEXT
			    " -n   which may not be carried out as a write (with -z)\n"
			    " -b   to the VM state, which no format here has\n"
			    " -c   compressed, which no format here can write\n"
			    " -p   taken, of no effect\n",
	.example = "write -P 0x41 512 1k",
	.argmin = 2,
	.argmax = -1,
	.flags = IO_WRITE,
	.request = &write_kind,
};

const struct io_command io_writev_command = {
	.name = "writev",
	.args = "[-Cfq] [-P pattern] off len [len..]",
	.summary = "writes a number of bytes at a specified offset",
	.text = " Several lengths are added up.\n" COMMON_TEXT,
	.example = "writev 512 1k 1k",
	.argmin = 2,
	.argmax = -1,
	.flags = IO_WRITE,
	.request = &writev_kind,
};

const struct io_command io_aio_write_command = {
	.name = "aio_write",
	.args = "[-Cfiquz] [-P pattern] off len [len..]",
	.summary = "asynchronously writes a number of bytes",
	.text = " Several lengths are added up.  aio_flush waits for the result; a failure\n"
		" is printed, but is no failure of this command.\n" COMMON_TEXT ZERO_TEXT
		" -i   an invalid request: nothing is written\n",
	.example = "aio_write -z 1M 64k",
	.argmin = 2,
	.argmax = -1,
	.flags = IO_WRITE | IO_HOLDS,
	.request = &aio_write_kind,
};
