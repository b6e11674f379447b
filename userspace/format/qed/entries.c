// SPDX-License-Identifier: GPL-2.0
/*
 * Changing L2 entries: getting the slice, with a new table where there is none, giving
 * clusters to a run of entries that lack them, and replacing entries that are still
 * those the writer's decision was based on.
 */
#include <errno.h>

#include "format/qed/alloc.h"
#include "format/qed/commit.h"
#include "format/qed/entries.h"
#include "format/qed/flusher.h"
#include "format/qed/l2_cache.h"
#include "format/qed/map.h"
#include "format/qed/rescue.h"
#include "format/qed/tables.h"
#include "util/units.h"

/*
 * Allocate the disk space of a slice.  A table is made as a hole, and a slice gets its
 * space before it first changes.  So a full disk fails the request that allocates a
 * cluster, and not a flush, which may come from a user that only overwrites.
 */
static int take_space(struct qed_image *img, uint64_t index)
{
	struct qed_allocator *a = &img->alloc;
	struct l2_slice *slice;
	int ret = 0;

	pthread_mutex_lock(&img->meta_lock);
	slice = l2_cache_find(img, index);
	if (slice && !slice->has_space && a->taking_space) {
		/* One coroutine at a time: it may be this slice's. */
		co_queue_wait(&a->space_waiters, &img->meta_lock);
	} else if (slice && !slice->has_space) {
		a->taking_space = true;
		pthread_mutex_unlock(&img->meta_lock);
		ret = blk_file_co_allocate(img->file, qed_slice_offset(img, index),
					   QED_SLICE_BYTES);
		pthread_mutex_lock(&img->meta_lock);
		slice = l2_cache_find(img, index);
		if (slice)
			slice->has_space = !ret;
		a->taking_space = false;
		co_queue_wake_all(&a->space_waiters);
	}
	pthread_mutex_unlock(&img->meta_lock);
	return ret;
}

/* Under meta_lock: L1 entry @i gets the table at file cluster @start. */
static int set_table(struct qed_image *img, uint64_t i, uint64_t start)
{
	uint64_t offset = start << img->cluster_bits;
	int ret = cluster_runs_add(&img->commit.new_tables, i, 1);

	if (ret) {
		qed_alloc_undo(img, start, img->header.table_size);
		return ret;
	}
	qed_rescue_table(img, i, offset);
	atomic_store_explicit(&img->l1[i], offset, memory_order_release);
	qed_flusher_commit(img, false);
	return 0;
}

/*
 * Give L1 entry @i a new, empty L2 table.  The entry may still have none afterwards, where the
 * rescue area was full or the file had to grow: the caller retries.
 */
static int new_table(struct qed_image *img, uint64_t i)
{
	bool full = false;
	uint64_t start;
	/* The image may be about to grow: then its size does not need the entry yet. */
	int ret = qed_co_l1_take_space(img, i + 1);

	if (ret)
		return ret;
	pthread_mutex_lock(&img->meta_lock);
	if (!atomic_load_explicit(&img->l1[i], memory_order_relaxed) && qed_rescue_has_room(img)) {
		full = !qed_alloc_exact(img, img->header.table_size, &start);
		if (!full)
			ret = set_table(img, i, start);
	}
	pthread_mutex_unlock(&img->meta_lock);
	return full ? qed_co_extend(img, img->header.table_size) : ret;
}

int qed_co_slice_for_change(struct qed_image *img, uint64_t cluster, struct l2_slice **slice)
{
	bool room, may_change;
	int ret;

	for (;;) {
		ret = qed_co_throttle(img);
		if (ret)
			return ret;
		if (!qed_table_of(img, cluster)) {
			ret = new_table(img, cluster / img->table_entries);
			if (ret)
				return ret;
			continue;
		}
		pthread_mutex_lock(&img->meta_lock);
		*slice = l2_cache_find(img, cluster / QED_SLICE_ENTRIES);
		room = *slice && ((*slice)->slot || qed_rescue_has_room(img));
		/* Checked again: each coroutine that passed the wait may make a slice dirty. */
		may_change = room && ((*slice)->dirty || !qed_too_much_is_dirty(img));
		if (may_change && (*slice)->has_space)
			return 0;
		pthread_mutex_unlock(&img->meta_lock);
		if (!*slice)
			ret = qed_co_load_slice(img, cluster);
		else if (room)
			ret = take_space(img, cluster / QED_SLICE_ENTRIES);
		if (ret)
			return ret;
	}
}

/* Count the entries of @slice, from @cluster on and at most @max, up to one that @lacks rejects. */
static uint64_t count_lacking(struct qed_image *img, struct l2_slice *slice, uint64_t cluster,
			      uint64_t max, qed_lacks_fn *lacks)
{
	unsigned int i = cluster % QED_SLICE_ENTRIES;
	uint64_t n = 0;

	max = min_u64(max, QED_SLICE_ENTRIES - i);
	while (n < max &&
	       lacks(img, atomic_load_explicit(&slice->entries[i + n], memory_order_relaxed),
		     cluster + n))
		n++;
	return n;
}

int qed_co_take_clusters(struct qed_image *img, uint64_t cluster, uint64_t max, qed_lacks_fn *lacks,
			 bool set, struct cluster_run *run)
{
	struct l2_slice *slice;
	bool whole = true; /* in one run, even if the file must grow for it */
	uint64_t want;
	int ret;

	for (;;) {
		ret = qed_co_slice_for_change(img, cluster, &slice);
		if (ret)
			return ret;
		want = count_lacking(img, slice, cluster, max, lacks);
		run->count = 0;
		if (want)
			run->count = qed_alloc_run(img, whole ? want : 1, want, &run->start);
		for (uint64_t i = 0; set && i < run->count; i++)
			l2_slice_set(img, slice, (cluster + i) % QED_SLICE_ENTRIES,
				     (run->start + i) << img->cluster_bits);
		pthread_mutex_unlock(&img->meta_lock);
		if (!want || run->count)
			return 0;
		ret = qed_co_extend(img, want);
		if (ret && !whole)
			return ret;
		/* The file can't grow: take fewer clusters, those left before its end. */
		if (ret)
			whole = false;
	}
}

int qed_co_set_unallocated(struct qed_image *img, uint64_t cluster, uint64_t n, uint64_t first,
			   uint64_t step, uint64_t *set)
{
	struct l2_slice *slice;
	int ret = qed_co_slice_for_change(img, cluster, &slice);

	*set = 0;
	if (ret)
		return ret;
	for (; *set < n; ++*set) {
		unsigned int i = (cluster + *set) % QED_SLICE_ENTRIES;

		if (atomic_load_explicit(&slice->entries[i], memory_order_relaxed) !=
		    QED_L2_UNALLOCATED)
			break;
		l2_slice_set(img, slice, i, first + *set * step);
	}
	pthread_mutex_unlock(&img->meta_lock);
	return 0;
}
