// SPDX-License-Identifier: GPL-2.0
/*
 * Emptying an image: it holds nothing of its own any more.
 *
 *	1. All that was answered is committed, so that nothing is under way.
 *	2. L1 is zeroed, durably.  A crash leaves any of its entries: what they
 *	   lead to is still there.
 *	3. The file is cut behind L1.
 *
 * In memory it is then as an image that was just made.
 */
#include <errno.h>
#include <string.h>

#include "format/qed/qed.h"

static uint64_t l1_end(const struct qed_image *img)
{
	return img->header.l1_table_offset + img->table_bytes;
}

/* On disk.  The whole table: what lies behind the image's size, too, if anything does. */
static int zero_l1(struct qed_image *img)
{
	int ret = blk_file_co_write_zeroes(img->file, img->header.l1_table_offset, img->table_bytes,
					   true);

	return ret ? ret : qed_co_flush_file(img);
}

/* Nobody looks: no request is in flight, and nothing is dirty. */
static int forget_tables(struct qed_image *img)
{
	uint64_t cache_bytes = (uint64_t)img->cache.capacity * QED_SLICE_BYTES;

	for (uint64_t i = 0; i < img->table_entries; i++)
		if (atomic_load_explicit(&img->l1[i], memory_order_relaxed) || img->l1_disk[i]) {
			atomic_store_explicit(&img->l1[i], 0, memory_order_relaxed);
			img->l1_disk[i] = 0;
		}
	l2_cache_destroy(img);
	return l2_cache_init(img, cache_bytes);
}

/* Cut the file behind L1, where taking clusters begins anew. */
static int cut_file(struct qed_image *img)
{
	struct qed_allocator *a = &img->alloc;
	uint64_t gap = (uint64_t)img->header.header_size;
	uint64_t end = l1_end(img);
	int ret = blk_file_co_truncate(img->file, end);

	pthread_mutex_lock(&img->meta_lock);
	/* What was on its way to be free is not there any more. */
	a->dropped.nr = a->committing.nr = a->durable.nr = a->waiting.nr = 0;
	a->dropping = 0;
	cluster_set_destroy(&a->free);
	a->frontier = end >> img->cluster_bits;
	a->physical = ret ? a->physical : end;
	atomic_store_explicit(&a->end, end, memory_order_release);
	atomic_store_explicit(&a->l1_space, 0, memory_order_relaxed);
	pthread_mutex_unlock(&img->meta_lock);
	if (ret)
		return ret;
	/* Images of others may have had clusters in front of L1. */
	gap = (img->header.l1_table_offset >> img->cluster_bits) - gap;
	return gap ? qed_co_free_run(img, img->header.header_size, gap) : 0;
}

int qed_co_make_empty(struct blk_node *node)
{
	struct qed_image *img = node->opaque;
	bool left;
	int ret;

	qed_co_leak_scan_stop(img);
	ret = qed_co_commit(img);
	if (ret)
		return ret;
	qed_co_recycle(img, &left);
	ret = zero_l1(img);
	if (!ret)
		ret = forget_tables(img);
	if (!ret)
		ret = cut_file(img);
	/* Whatever was not found to be leaked is gone. */
	if (!ret)
		img->scan.unfinished = false;
	return ret;
}
