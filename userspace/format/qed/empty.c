// SPDX-License-Identifier: GPL-2.0
/*
 * Emptying an image: it has no tables and clusters of its own afterwards.
 *
 *	1. A commit, so that nothing is dirty or in flight.
 *	2. L1 is zeroed, durably.  A crash may leave any subset of its entries:
 *	   the tables and clusters that they lead to are still there.
 *	3. The file is cut behind L1.
 *
 * The state in memory is then that of an image that was just created.
 */
#include <errno.h>
#include <string.h>

#include "format/qed/alloc.h"
#include "format/qed/commit.h"
#include "format/qed/flusher.h"
#include "format/qed/l2_cache.h"
#include "format/qed/leak_scan.h"
#include "format/qed/qed.h"
#include "format/qed/rescue.h"
#include "format/qed/tables.h"

static uint64_t l1_end(const struct qed_image *img)
{
	return img->header.l1_table_offset + img->table_bytes;
}

static int list_tables(struct qed_image *img, struct cluster_runs *tables)
{
	int ret = 0;

	for (uint64_t i = 0; !ret && i < img->table_entries; i++)
		if (atomic_load_explicit(&img->l1[i], memory_order_relaxed))
			ret = cluster_runs_add(tables, i, 1);
	return ret;
}

/* On disk.  The whole table, including any entries behind the image's size. */
static int write_zero_l1(struct qed_image *img)
{
	int ret = blk_file_co_write_zeroes(img->file, img->header.l1_table_offset, img->table_bytes,
					   true);

	return ret ? ret : qed_co_flush_file(img);
}

static int zero_l1(struct qed_image *img)
{
	struct cluster_runs tables = { 0 };
	int ret = list_tables(img, &tables);

	if (!ret) {
		ret = write_zero_l1(img);
		pthread_mutex_lock(&img->meta_lock);
		/* Punching freed its space. */
		atomic_store_explicit(&img->alloc.l1_space, 0, memory_order_relaxed);
		if (ret) {
			/* Any part of the zeroes may be on disk: a commit writes all entries. */
			(void)cluster_runs_move(&img->commit.new_tables, &tables); /* swaps */
			qed_flusher_commit(img, false);
		}
		pthread_mutex_unlock(&img->meta_lock);
	}
	cluster_runs_destroy(&tables);
	return ret;
}

/* No request is in flight, and nothing is dirty. */
static void forget_tables(struct qed_image *img)
{
	for (uint64_t i = 0; i < img->table_entries; i++)
		if (atomic_load_explicit(&img->l1[i], memory_order_relaxed) || img->l1_disk[i]) {
			atomic_store_explicit(&img->l1[i], 0, memory_order_relaxed);
			img->l1_disk[i] = 0;
		}
	l2_cache_co_forget(img);
}

/*
 * Cut the file behind L1, and allocate clusters from there again.  If it can't be cut, the clusters
 * behind L1 are not zero: they are leaked, and clusters are allocated behind them as before.
 */
static int cut_file(struct qed_image *img)
{
	struct qed_allocator *a = &img->alloc;
	uint64_t gap = (uint64_t)img->header.header_size;
	uint64_t end = l1_end(img);
	int ret = blk_file_co_truncate(img->file, end);

	if (ret) {
		img->scan.unfinished = true;
		return ret;
	}
	/* All leaked clusters are cut off. */
	img->scan.unfinished = img->scan.leaked = false;
	pthread_mutex_lock(&img->meta_lock);
	/* Clusters that were to become free are cut off, too. */
	a->dropped.nr = a->committing.nr = a->durable.nr = a->waiting.nr = 0;
	a->dropping = 0;
	cluster_set_destroy(&a->free);
	a->frontier = end >> img->cluster_bits;
	a->physical = end;
	atomic_store_explicit(&a->end, end, memory_order_release);
	pthread_mutex_unlock(&img->meta_lock);
	/* Images made by other programs may have had clusters in front of L1. */
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
	if (ret)
		return ret;
	forget_tables(img);
	return cut_file(img);
}
