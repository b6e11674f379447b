/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads and writes as the commands describe them, awaited or not.
 */
#ifndef QEDBLK_QED_IO_REQUEST_H
#define QEDBLK_QED_IO_REQUEST_H

#include "qed-io/io.h"

struct io_request {
	struct io_session *io;
	uint64_t offset, bytes;
	uint8_t *buf; /* heap; NULL for zeroes */
	struct io_show show;
	uint64_t started; /* ns */
	unsigned int flags; /* BLK_REQ_* */
	bool zeroes; /* a write of zeroes */

	/* Reads: what [offset + verify_start, + verify_bytes) is expected to be. */
	bool verify;
	int pattern;
	uint64_t verify_start, verify_bytes;
};

/*
 * Carry it out.  Returns 0 or a negative errno; the time of the start is taken.  Coroutine.
 */
int io_request_co_read(struct io_request *req);
int io_request_co_write(struct io_request *req);

/* Verify and show what was read.  Returns 0, or -EINVAL when the pattern differs. */
int io_request_show_read(const struct io_request *req);
void io_request_show_write(const struct io_request *req);

/* Run @fn(@req) beside the commands that follow; it gives @req, its buffer and its count back. */
int io_request_start(const struct io_request *req, void (*fn)(void *req));
/* What @fn ends with. */
void io_request_free(struct io_request *req);

#endif
