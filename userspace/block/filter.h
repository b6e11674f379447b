/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A filter: what the user of a node puts between readers and the driver.
 *
 * A node has at most one, and knows of it only what is here.  It is put there before the first
 * request, by whoever opened the image, and stays until the node is closed.
 */
#ifndef QEDBLK_BLOCK_FILTER_H
#define QEDBLK_BLOCK_FILTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"

struct blk_filter_ops {
	/*
	 * Serve a read that blk_filter_takes().  It lies inside the node, is of a bounded length,
	 * and the caller is in node->inflight.  Returns 0 or a negative errno.  Coroutine; yields.
	 */
	int (*co_read)(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);
	/* A read is about to be served, while @watches is set.  Any thread; never yields. */
	void (*seen)(struct blk_node *node, uint64_t offset, uint64_t bytes);
	/* The node is about to be closed, and no request is in flight.  Coroutine; yields. */
	void (*co_detach)(struct blk_node *node);
};

struct blk_filter {
	const struct blk_filter_ops *ops;
	bool takes_reads; /* all that come to the backing file; else those with COPY_ON_READ */
	_Atomic bool watches; /* no read is to be served without seen() */
};

/* Is a read with @flags the filter's to serve, where it comes to the backing file? */
static inline bool blk_filter_takes(const struct blk_node *node, unsigned int flags)
{
	return node->filter && (node->filter->takes_reads || (flags & BLK_REQ_COPY_ON_READ));
}

/* Does the filter want to see each read?  Then none goes from a queue straight to the file. */
static inline bool blk_filter_watches(const struct blk_node *node)
{
	return node->filter && atomic_load_explicit(&node->filter->watches, memory_order_acquire);
}

#endif
