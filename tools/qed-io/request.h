/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads and writes as the commands describe them, awaited or not: read, readv,
 * aio_read, write, writev and aio_write are one description each, and share all else.
 */
#ifndef QEDBLK_QED_IO_REQUEST_H
#define QEDBLK_QED_IO_REQUEST_H

#include "qed-io/io.h"

/* What one of the commands is. */
struct io_request_kind {
	const char *letters; /* its options, as getopt() wants them */
	const char *failure; /* what the line of a failed request begins with */
	bool write;
	bool many_lengths; /* takes several, which are added up */
	bool async; /* the next command does not wait for it */
};

struct io_request {
	struct io_session *io;
	const struct io_command *command;
	const struct io_request_kind *kind; /* the command's */
	uint64_t offset, bytes;
	uint8_t *buf; /* of io_buffer(); NULL for zeroes */
	struct io_show show;
	uint64_t started; /* ns */
	bool returned; /* the command that began it is over (async) */

	unsigned int flags; /* BLK_REQ_* */
	bool zeroes, no_fallback; /* a write of zeroes; which must not become a write */
	bool compressed, vm_state;
	bool invalid; /* refused on request */
	const char *source; /* file that the bytes come from, or NULL */

	bool has_pattern; /* of a read: verify it */
	int pattern;
	bool has_start, has_length; /* of what is verified */
	uint64_t verify_start, verify_bytes; /* [offset + verify_start, + verify_bytes) */
};

/* request_options.c */

/*
 * Fill @req, of which io, command and kind are set, from a command's words, and check them.
 * Returns 0 or -EINVAL after a complaint.
 */
int io_request_parse(struct io_request *req, int argc, char **argv);

#endif
