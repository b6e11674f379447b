// SPDX-License-Identifier: GPL-2.0
/* Images that become backing files, and their new overlays, while they are in use. */
#include <errno.h>
#include <string.h>

#include "block/io.h"
#include "block/node_internal.h"
#include "block/overlay.h"
#include "util/log.h"

int blk_co_open_over(struct blk_node **node, const char *filename, const struct blk_open_opts *opts,
		     struct blk_node *backing, struct error *err)
{
	struct blk_node *top;
	int ret = blk_node_co_open_one(&top, filename, opts, err);

	if (ret)
		return ret;
	top->backing = backing;
	ret = blk_node_co_start(top, err);
	if (ret) {
		blk_co_close_over(top);
		return ret;
	}
	*node = top;
	return 0;
}

void blk_co_close_over(struct blk_node *node)
{
	node->backing = NULL;
	(void)blk_co_close(node); /* nothing was written */
}

bool blk_chain_is_full(const struct blk_node *node)
{
	unsigned int images = 0;

	for (; node; node = node->backing)
		images++;
	return images >= BLK_MAX_CHAIN;
}

/* Is @node used as an image, or as a backing file?  No request may be in flight. */
static void set_writable(struct blk_node *node, bool writable)
{
	for (; node; node = blk_nested_node(node->file)) {
		if (writable)
			node->flags |= BLK_O_RDWR;
		else
			node->flags &= ~(unsigned int)BLK_O_RDWR;
		node->file->fixed_end = !writable;
		node->file->lasting = !writable;
	}
}

int blk_co_end_writes(struct blk_node *node, struct error *err)
{
	/*
	 * An error of an earlier flush that is owed to the guest is dropped: this flush made
	 * durable what that one had not.
	 */
	int ret = blk_co_sync(node);

	if (ret)
		return error_set_errno(err, ret, "%s: flush", node->filename);
	if (node->driver->rescue)
		node->driver->rescue(node, false);
	set_writable(node, false);
	return 0;
}

void blk_begin_writes(struct blk_node *node)
{
	set_writable(node, true);
	if (node->driver->rescue)
		node->driver->rescue(node, true);
}

void blk_begin_rescue(struct blk_node *node)
{
	node->driver->rescue(node, true);
}

void blk_co_settle_backing(struct blk_node *node)
{
	int ret = node->driver->co_settle ? node->driver->co_settle(node) : 0;

	if (ret)
		log_warning("%s: not left as a closed image: %s", node->filename, strerror(-ret));
	blk_node_co_lock_as_backing(node);
}
