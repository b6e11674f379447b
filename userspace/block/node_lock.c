// SPDX-License-Identifier: GPL-2.0
/*
 * Which permissions an image takes on its file, and which it leaves to other processes.  The same
 * as QEMU's: the image's users have wishes, the format adds what its metadata needs, and a raw
 * image has none.
 */
#include "block/node_internal.h"
#include "file/image_lock.h"

/* What those that read an image consistently leave to others. */
#define SHARED_BY_READERS (IMAGE_PERM_CONSISTENT_READ | IMAGE_PERM_WRITE_UNCHANGED)

/* @from: NULL, or the same image opened a second time, whose locks these replace. */
static int lock_file(struct blk_node *node, const struct blk_driver *driver, unsigned int perm,
		     unsigned int shared, const struct blk_node *from, struct error *err)
{
	struct blk_node *below = blk_nested_node(node->file);

	if (node->flags & BLK_O_NO_LOCK)
		return 0;
	if (!driver->is_fallback) {
		if (!(node->flags & BLK_O_NO_IO))
			perm |= IMAGE_PERM_CONSISTENT_READ;
		if (node->flags & BLK_O_RDWR)
			perm |= IMAGE_PERM_WRITE | IMAGE_PERM_RESIZE;
		shared &= SHARED_BY_READERS;
	}
	if (below)
		return lock_file(below, below->driver, perm, shared,
				 from ? blk_nested_node(from->file) : NULL, err);
	return from ? blk_file_co_take_lock(node->file, perm, shared, from->file, err) :
		      blk_file_co_lock(node->file, perm, shared, err);
}

static int lock_node(struct blk_node *node, const struct blk_driver *driver,
		     const struct blk_node *from, struct error *err)
{
	bool share = node->flags & BLK_O_SHARE, writes = node->flags & BLK_O_RDWR;
	unsigned int perm = 0;

	if (!(node->flags & BLK_O_NO_IO))
		perm = IMAGE_PERM_CONSISTENT_READ | (writes ? IMAGE_PERM_WRITE : 0);
	if (node->flags & BLK_O_RESIZE || (!share && writes))
		perm |= IMAGE_PERM_RESIZE;
	return lock_file(node, driver, perm, share ? IMAGE_PERM_ALL : SHARED_BY_READERS, from, err);
}

int blk_node_co_lock(struct blk_node *node, const struct blk_driver *driver, struct error *err)
{
	return lock_node(node, driver, NULL, err);
}

int blk_node_co_take_lock(struct blk_node *node, const struct blk_node *from, struct error *err)
{
	return lock_node(node, node->driver, from, err);
}

void blk_node_co_lock_as_backing(struct blk_node *node)
{
	if (node->flags & BLK_O_NO_LOCK)
		return;
	while (blk_nested_node(node->file))
		node = blk_nested_node(node->file);
	blk_file_co_keep_lock(node->file, IMAGE_PERM_CONSISTENT_READ, SHARED_BY_READERS);
}

int blk_co_permit(struct blk_node *node, unsigned int perm, unsigned int shared, struct error *err)
{
	return lock_file(node, node->driver, perm, shared, NULL, err);
}
