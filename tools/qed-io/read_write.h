/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads and writes, synchronous and asynchronous: read, readv, aio_read, write, writev
 * and aio_write are defined by a struct io_request_kind each, and share the code.
 */
#ifndef QEDBLK_QED_IO_READ_WRITE_H
#define QEDBLK_QED_IO_READ_WRITE_H

#include "qed-io/command.h"
#include "qed-io/text.h"

/* The definition of one of these commands. */
struct io_request_kind {
	const char *letters; /* its options, for getopt() */
	const char *failure; /* the beginning of the error message of a failed request */
	bool write;
	bool many_lengths; /* takes several lengths, which are added up */
	bool async; /* the next command does not wait for it */
};

struct io_request {
	struct io_session *io;
	const struct io_request_kind *kind; /* of the command */
	uint64_t offset, bytes;
	uint8_t *buf; /* NULL for zeroes */
	struct io_show show;
	uint64_t started; /* ns */
	bool returned; /* the command that started it has returned (async) */

	unsigned int flags; /* BLK_REQ_* */
	bool zeroes, no_fallback; /* write zeroes; and do not fall back to writing data */
	bool compressed, vm_state;
	bool invalid; /* fail as invalid, by an option */
	const char *source; /* file with the bytes to write, or NULL */

	bool has_pattern; /* for a read: verify the pattern */
	int pattern;
	bool has_start, has_length; /* of the verified range */
	uint64_t verify_start, verify_bytes; /* [offset + verify_start, + verify_bytes) */
};

/*
 * Fill @req, with io and kind set, from a command's words, and check them. Returns 0, or
 * -EINVAL after an error message.
 */
int io_request_parse(struct io_request *req, const struct io_call *call);

#endif
