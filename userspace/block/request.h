/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests with a callback, for those who have many in flight and want no
 * coroutine for each: queues of a block device, benchmarks.
 *
 * Two ways.  Direct: the node says without parking where the bytes are, and one
 * SQE moves them between the image file and the caller's buffer; no coroutine
 * runs and no memory is allocated.  All else, and whatever goes wrong half-way,
 * is left to a coroutine, which calls blk_co_*().
 */
#ifndef QEDBLK_BLOCK_REQUEST_H
#define QEDBLK_BLOCK_REQUEST_H

#include <stdint.h>

#include "aio/loop.h"
#include "block/node.h"

enum blk_op {
	BLK_OP_READ,
	BLK_OP_WRITE,
	BLK_OP_WRITE_ZEROES,
	BLK_OP_DISCARD,
	BLK_OP_FLUSH,
};

/* Embedded in what the caller owns; must live until @done is called. */
struct blk_request {
	struct blk_node *node;
	enum blk_op op;
	unsigned int flags; /* BLK_REQ_*, as blk_co_*() of that operation takes them */
	uint64_t offset, bytes; /* bytes below 2 GiB; a flush has neither */
	void *buf; /* the data of a read or a write */
	/*
	 * Called once, with 0 or a negative errno, on the loop's thread; before
	 * blk_request_submit() returns, where nothing has to be waited for.
	 */
	void (*done)(struct blk_request *req, int ret);

	/* For block/request.c. */
	struct aio_op io;
	unsigned int token;
};

/* Start @req on the current thread's loop.  Plain loop code or coroutine; does not park. */
void blk_request_submit(struct blk_request *req);

#endif
