/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests with a callback, for callers that have many in flight and want no
 * coroutine for each: queues of a block device, benchmarks.
 *
 * Two paths.  Direct: the node finds without yielding where the bytes are, and one
 * SQE moves them between the image file and the caller's buffer; no coroutine
 * runs and no memory is allocated.  All other requests, and those that the direct
 * path cannot complete, are served by a coroutine, which calls blk_co_*().
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
	 * blk_request_submit() returns if the request completes without waiting.
	 */
	void (*done)(struct blk_request *req, int ret);

	/* Private to block/request.c. */
	struct aio_op io;
	unsigned int token;
};

/* Start @req on the current thread's loop.  Plain loop code or coroutine; does not yield. */
void blk_request_submit(struct blk_request *req);

#endif
