// SPDX-License-Identifier: GPL-2.0
/*
 * Writes with FUA that need no commit.
 *
 * Where the guest's clusters are on disk already, entry, table, L1 entry and all, the data is
 * what there is to make durable, and a write that waits for the disk (RWF_DSYNC) does
 * that.  Such a cluster is one whose slice is clean: what is not dirty, nor on its way to the disk
 * in a commit, was on the disk when a commit ended, or was read from there.  What was read may
 * have been written by a process that was killed before it flushed: so a commit of our own, which
 * flushes the file, must have ended well before.
 *
 * If another request frees the cluster meanwhile, the guest wrote and discarded it side by
 * side; the cluster is not used again before this write is over (free_list.c).
 */
#include <errno.h>

#include "format/qed/qed.h"

/* Under meta_lock: does the disk say of guest clusters [first, last] what we say? */
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

	/* Together, so that it is what the map says that is on disk. */
	pthread_mutex_lock(&img->meta_lock);
	durable = !qed_map(node, offset, bytes, &map) && map.kind == BLK_MAP_DATA &&
		  map.bytes >= bytes &&
		  is_on_disk(img, offset >> img->cluster_bits,
			     (offset + bytes - 1) >> img->cluster_bits);
	pthread_mutex_unlock(&img->meta_lock);
	if (!durable)
		return -ENOTSUP;
	return blk_file_co_pwrite_durable(map.file, buf, bytes, map.file_offset);
}
