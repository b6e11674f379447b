/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A filter: a layer that the user of a node inserts between readers and the driver.
 *
 * A node has at most one, and uses it only through this interface.  The caller that opened the
 * image sets it before the first request; it stays until no request is in flight any more.
 */
#ifndef QEDBLK_BLOCK_FILTER_H
#define QEDBLK_BLOCK_FILTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"

struct blk_filter_ops {
	/*
	 * Serve a read for which blk_filter_takes() is true.  It lies inside the node, its length
	 * is bounded, and the caller is in node->inflight.  Returns 0 or a negative errno.
	 * Coroutine; yields.
	 */
	int (*co_read)(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);
	/* Called before a read is served, while @watches is set.  Any thread; never yields. */
	void (*seen)(struct blk_node *node, uint64_t offset, uint64_t bytes);
	/* Called before the node is closed; no request is in flight.  Coroutine; yields. */
	void (*co_detach)(struct blk_node *node);
};

struct blk_filter {
	const struct blk_filter_ops *ops;
	/* All that reach the backing file; else those with COPY_ON_READ.  May change any time. */
	_Atomic bool takes_reads;
	_Atomic bool watches; /* call seen() before every read */
};

/* Does the filter serve a read with @flags that reaches the backing file? */
static inline bool blk_filter_takes(const struct blk_node *node, unsigned int flags)
{
	return node->filter &&
	       (atomic_load_explicit(&node->filter->takes_reads, memory_order_acquire) ||
		(flags & BLK_REQ_COPY_ON_READ));
}

/* Does the filter see each read?  Then no read goes directly from a queue to the file. */
static inline bool blk_filter_watches(const struct blk_node *node)
{
	return node->filter && atomic_load_explicit(&node->filter->watches, memory_order_acquire);
}

#endif
