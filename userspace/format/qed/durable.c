// SPDX-License-Identifier: GPL-2.0
/*
 * Writes with FUA that need no commit.
 *
 * If a guest cluster's entry, L2 table and L1 entry are all on disk already, only the data has to
 * become durable, and a write that waits for the disk (RWF_DSYNC) does that.  This holds for
 * clusters whose slice is clean: a slice that is neither dirty nor in the running commit was
 * written by an earlier commit, or read from the disk.  A slice that was read may have been written
 * by a process that was killed before it flushed; so a commit of our own, which flushes the file,
 * must have succeeded before.
 *
 * If another request frees the cluster meanwhile, the guest writes and discards it at the same
 * time; the cluster is not used again before this write has completed (free_list.c).
 */
#include <errno.h>

#include "format/qed/qed.h"

/* Under meta_lock: is the metadata of guest clusters [first, last] on disk as it is in memory? */
static bool is_on_disk(struct qed_image *img, uint64_t first, uint64_t last)
{
	const struct qed_commit *c = &img->commit;

	/* A slice can be clean before the L1 entry of its table is written. */
	if (!c->succeeded || c->new_tables.nr || c->batch_tables.nr)
		return false;
	for (uint64_t i = first / QED_SLICE_ENTRIES; i <= last / QED_SLICE_ENTRIES; i++) {
		const struct l2_slice *slice = l2_cache_find(img, i);

		if (!slice || slice->dirty || slice->committing)
			return false;
	}
	return true;
}

int qed_co_pwrite_durable(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf)
{
	struct qed_image *img = node->opaque;
	struct blk_map map;
	bool durable;
	int ret;

	/* Under one lock, so that both answers are about the same entries. */
	pthread_mutex_lock(&img->meta_lock);
	durable = !qed_map(node, offset, bytes, &map) && map.kind == BLK_MAP_DATA &&
		  map.bytes >= bytes &&
		  is_on_disk(img, offset >> img->cluster_bits,
			     (offset + bytes - 1) >> img->cluster_bits);
	pthread_mutex_unlock(&img->meta_lock);
	if (!durable)
		return -ENOTSUP;
	ret = blk_file_co_pwrite_durable(map.file, buf, bytes, map.file_offset);
	/* The write's sync was an fdatasync that failed (rule R6 of ordering.rst). */
	if (ret && blk_file_lost(img->file))
		qed_rescue_lost(img, blk_file_lost(img->file));
	return ret;
}
