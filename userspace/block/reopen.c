// SPDX-License-Identifier: GPL-2.0
/*
 * Open a backing file again, for writing or for reading only, while requests are in flight.
 *
 * Two nodes of one file exist for a moment.  The new one takes the place of the old one when it is
 * ready, and the old one is closed when no request uses it any more.  What the old one has cached
 * stays true until then: a new writer writes nothing before that, and an old writer has ended its
 * writes, so that its tables are on disk.
 */
#include <errno.h>

#include "block/io.h"
#include "block/node_internal.h"

/* Close the node that was replaced.  No request uses it, and another node has the file. */
static void co_close_old(struct blk_node *old)
{
	old->backing = NULL;
	old->flags |= BLK_O_LEAVE;
	/* What was written is durable, so an error loses nothing. */
	(void)blk_co_close(old);
}

/* The opposite of a start that failed. */
static void co_give_back(struct blk_node *node, struct blk_node *old)
{
	node->backing = NULL;
	node->flags |= BLK_O_LEAVE;
	(void)blk_node_co_take_lock(old, node, NULL);
	(void)blk_co_close(node);
}

static int start(struct blk_node *node, struct blk_node *old, struct error *err)
{
	int ret = blk_node_co_take_lock(node, old, err);

	if (ret) {
		(void)blk_co_close(node);
		return ret;
	}
	node->backing = atomic_load(&old->backing);
	ret = blk_node_co_start(node, err);
	if (ret)
		co_give_back(node, old);
	return ret;
}

int blk_co_reopen_backing(struct blk_node *top, struct blk_node *above, bool writable,
			  const struct blk_open_opts *opts, struct error *err)
{
	struct blk_node *old = above->backing, *node;
	int ret = blk_co_sync(old);

	if (ret)
		return error_set_errno(err, ret, "%s: flush", old->filename);
	if (blk_nested_node(old->file))
		return error_set(err, -ENOTSUP, "%s: is an image over another image",
				 old->filename);
	ret = blk_node_co_open_again(&node, above, writable ? BLK_O_RDWR : 0, opts, err);
	if (!ret)
		ret = start(node, old, err);
	if (ret)
		return ret;
	above->backing = node;
	/* A request that loaded the old pointer is still in flight. */
	blk_co_wait_requests(top);
	co_close_old(old);
	return 0;
}
