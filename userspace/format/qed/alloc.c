// SPDX-License-Identifier: GPL-2.0
/*
 * Allocating clusters of the file: free ones, else at the file's end.
 *
 * The file is grown ahead of use, in steps, and no cluster is ever allocated (let
 * alone written) behind its physical end.  So writes never change the file's
 * size, a growing ftruncate() can never cut off what another writer just wrote
 * behind the old end, and every cluster that an entry names is inside the file
 * by the time the entry becomes durable.
 */
#include <errno.h>

#include "format/qed/alloc.h"
#include "format/qed/image.h"
#include "util/units.h"

/* The file grows by an eighth of its size, within these bounds. */
#define GROW_MIN_BYTES (16 * MiB)
#define GROW_MAX_BYTES (1 * GiB)

int qed_alloc_init(struct qed_image *img)
{
	struct qed_allocator *a = &img->alloc;
	uint64_t size = atomic_load_explicit(&img->file->size, memory_order_relaxed);

	co_queue_init(&a->extend_waiters);
	co_queue_init(&a->recycle_waiters);
	co_queue_init(&a->space_waiters);
	cluster_set_init(&a->free);
	a->frontier = div_round_up(size, qed_cluster_size(img));
	a->physical = size;
	/* A partial last cluster counts as a whole one: the missing part reads as zeroes. */
	atomic_store_explicit(&a->end, a->frontier << img->cluster_bits, memory_order_relaxed);
	return 0;
}

void qed_alloc_destroy(struct qed_image *img)
{
	struct qed_allocator *a = &img->alloc;

	cluster_set_destroy(&a->free);
	cluster_runs_destroy(&a->dropped);
	cluster_runs_destroy(&a->committing);
	cluster_runs_destroy(&a->durable);
	cluster_runs_destroy(&a->waiting);
}

/* Under meta_lock: take a run at the frontier, of @least to @want clusters; 0: grow first. */
static uint64_t take_frontier(struct qed_image *img, uint64_t least, uint64_t want, uint64_t *start)
{
	struct qed_allocator *a = &img->alloc;
	uint64_t end = atomic_load_explicit(&a->end, memory_order_relaxed);
	uint64_t room = a->physical > end ? (a->physical - end) >> img->cluster_bits : 0;
	/* One is never taken: it tells the next opener of an unclean end (leak_scan.c). */
	uint64_t n = room ? min_u64(want, room - 1) : 0;

	if (n < least)
		return 0;
	*start = a->frontier;
	a->frontier += n;
	/* Before any entry behind the old end is set; see map.c. */
	atomic_store_explicit(&a->end, a->frontier << img->cluster_bits, memory_order_release);
	return n;
}

uint64_t qed_alloc_run(struct qed_image *img, uint64_t least, uint64_t want, uint64_t *start)
{
	struct qed_allocator *a = &img->alloc;
	uint64_t n = cluster_set_next_run(&a->free, 0, want, start);

	if (n) {
		cluster_set_remove(&a->free, *start, n);
		blk_stats_add(&img->node->stats, BLK_STAT_reused_clusters, n);
	} else {
		n = take_frontier(img, least, want, start);
	}
	blk_stats_add(&img->node->stats, BLK_STAT_allocated_clusters, n);
	return n;
}

void qed_alloc_undo(struct qed_image *img, uint64_t start, uint64_t count)
{
	qed_spare(img, start, count);
	/* If there is no memory to note them they are leaked, which is harmless. */
	img->scan.leaked |= cluster_set_add(&img->alloc.free, start, count);
}

bool qed_alloc_exact(struct qed_image *img, uint64_t count, uint64_t *start)
{
	struct cluster_set *free = &img->alloc.free;
	uint64_t from = 0, n;

	while ((n = cluster_set_next_run(free, from, count, start))) {
		if (n == count) {
			cluster_set_remove(free, *start, n);
			return true;
		}
		from = *start + n;
	}
	return take_frontier(img, count, count, start) == count;
}

/* Grow the file to @step bytes more than @end; the new size in bytes goes to *@size. */
static int grow_file(struct qed_image *img, uint64_t end, uint64_t step, uint64_t *size)
{
	step = round_up(step, qed_cluster_size(img));
	if (end > INT64_MAX - step)
		return -EFBIG;
	*size = end + step;
	return blk_file_co_truncate(img->file, *size);
}

int qed_co_extend(struct qed_image *img, uint64_t clusters)
{
	struct qed_allocator *a = &img->alloc;
	uint64_t least = (clusters + 1) << img->cluster_bits;
	uint64_t end, size;
	int ret;

	pthread_mutex_lock(&img->meta_lock);
	if (a->extending) {
		/* The growth in flight may be enough: return its result, or a later one's. */
		co_queue_wait(&a->extend_waiters, &img->meta_lock);
		ret = a->extend_error;
		pthread_mutex_unlock(&img->meta_lock);
		return ret;
	}
	end = atomic_load_explicit(&a->end, memory_order_relaxed);
	if (end + least <= a->physical) {
		/* Another coroutine has grown it, and a truncate to less would cut the file. */
		pthread_mutex_unlock(&img->meta_lock);
		return 0;
	}
	a->extending = true;
	pthread_mutex_unlock(&img->meta_lock);

	ret = grow_file(img, end,
			max_u64(least, min_u64(max_u64(end / 8, GROW_MIN_BYTES), GROW_MAX_BYTES)),
			&size);
	/* Near a limit of the file system the smallest step may still fit. */
	if (ret)
		ret = grow_file(img, end, least, &size);

	pthread_mutex_lock(&img->meta_lock);
	if (!ret)
		a->physical = size;
	a->extend_error = ret;
	a->extending = false;
	co_queue_wake_all(&a->extend_waiters);
	pthread_mutex_unlock(&img->meta_lock);
	return ret;
}
