// SPDX-License-Identifier: GPL-2.0
/*
 * The stages of a cluster from the loss of its reference to its next use.
 *
 *	dropped     its entry was changed in memory
 *	committing  the running commit makes the change durable
 *	durable     the change is on disk
 *	waiting     requests that began before may still read or write the
 *	            cluster; no clusters are added while the list waits for them,
 *	            so that a stream of commits can't delay it forever
 *	free        those requests have completed, and the cluster was punched, so
 *	            that it reads as zeroes; the allocator may take it
 *
 * If a cluster were reused before the change is durable, a crash could bring back
 * an entry that points to another guest cluster's data; if before the requests have
 * completed, a late write would land in it.  The lists are protected by meta_lock.
 */
#include <errno.h>
#include <string.h>

#include "format/qed/alloc.h"
#include "format/qed/flusher.h"
#include "format/qed/image.h"
#include "format/qed/tables.h"
#include "util/log.h"
#include "util/units.h"

/*
 * Return how many dropped clusters may wait for a commit, at most.  While they wait,
 * the file grows instead: without a limit, a guest that discards and writes in turn,
 * and never flushes, would make it grow by all that it writes.
 */
static uint64_t max_dropping(const struct qed_image *img)
{
	uint64_t bytes =
		max_u64(16 * MiB, atomic_load_explicit(&img->alloc.end, memory_order_relaxed) / 16);

	return max_u64(bytes >> img->cluster_bits, 4);
}

bool qed_too_many_dropped(const struct qed_image *img)
{
	return img->alloc.dropping > max_dropping(img);
}

/*
 * Move clusters of @from to the next stage, or to the one before.  If memory runs out, the rest
 * must not stay in @from: a later commit would count them as its own, without having written their
 * entries.  They are leaked, which is harmless.  Returns how many were leaked.
 */
static uint64_t move_or_leak(struct qed_image *img, struct cluster_runs *to,
			     struct cluster_runs *from)
{
	uint64_t leaked;

	if (!cluster_runs_move(to, from))
		return 0;
	leaked = cluster_runs_total(from);
	from->nr = 0;
	img->scan.leaked = true;
	return leaked;
}

void qed_drops_committing(struct qed_image *img)
{
	struct qed_allocator *a = &img->alloc;

	a->dropping -= move_or_leak(img, &a->committing, &a->dropped);
}

void qed_drops_not_durable(struct qed_image *img)
{
	struct qed_allocator *a = &img->alloc;

	a->dropping -= move_or_leak(img, &a->dropped, &a->committing);
}

void qed_drops_durable(struct qed_image *img)
{
	struct qed_allocator *a = &img->alloc;

	if (!a->committing.nr)
		return;
	a->dropping -= cluster_runs_total(&a->committing);
	(void)move_or_leak(img, &a->durable, &a->committing);
	qed_flusher_recycle(img);
}

/* The search for leaks must not take a cluster that was dropped since it began for a leak. */
static void tell_leak_scan(struct qed_image *img, uint64_t start, uint64_t count)
{
	struct qed_leak_scan *scan = &img->scan;

	if (!scan->running || start >= scan->end)
		return;
	/* If there is no memory to note them, stop: a cluster in use must not be freed. */
	if (cluster_set_add(&scan->used, start, min_u64(count, scan->end - start)))
		scan->stop = true;
}

void qed_spare(struct qed_image *img, uint64_t start, uint64_t count)
{
	struct qed_spared *spared = img->alloc.spared;

	if (spared && start < spared->end &&
	    cluster_set_add(&spared->clusters, start, min_u64(count, spared->end - start)))
		spared->incomplete = true;
}

static void spare_runs(struct qed_image *img, const struct cluster_runs *list)
{
	for (size_t i = 0; i < list->nr; i++)
		qed_spare(img, list->runs[i].start, list->runs[i].count);
}

int qed_spare_begin(struct qed_image *img, struct qed_spared *spared)
{
	struct qed_allocator *a = &img->alloc;
	int ret = cluster_set_merge(&spared->clusters, &a->free);

	if (ret)
		return ret;
	spared->end = a->frontier;
	a->spared = spared;
	spare_runs(img, &a->dropped);
	spare_runs(img, &a->committing);
	spare_runs(img, &a->durable);
	spare_runs(img, &a->waiting);
	return 0;
}

void qed_drop_clusters(struct qed_image *img, uint64_t start, uint64_t count)
{
	tell_leak_scan(img, start, count);
	qed_spare(img, start, count);
	/* If there is no memory to note them they are leaked, which is harmless. */
	if (cluster_runs_add(&img->alloc.dropped, start, count)) {
		img->scan.leaked = true;
		return;
	}
	blk_stats_add(&img->node->stats, BLK_STAT_freed_clusters, count);
	img->alloc.dropping += count;
	/* A commit begins at half the limit, so that writers rarely have to wait for it. */
	qed_flusher_commit(img, img->alloc.dropping > max_dropping(img) / 2);
}

/*
 * Under meta_lock.  A run that ends at the frontier lowers the frontier instead of
 * becoming members of the set: the tail that a crash leaves may be as long as the file
 * system allows.
 */
static int make_free(struct qed_image *img, uint64_t start, uint64_t count)
{
	struct qed_allocator *a = &img->alloc;

	if (start + count != a->frontier || a->extending)
		return cluster_set_add(&a->free, start, count);
	a->frontier = start;
	atomic_store_explicit(&a->end, start << img->cluster_bits, memory_order_release);
	return 0;
}

/* Is an L2 table in the run?  An entry of a damaged image may name it as a data cluster. */
static bool holds_table(const struct qed_image *img, uint64_t offset, uint64_t bytes)
{
	uint64_t nr = qed_l1_entries_used(img);

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t table = atomic_load_explicit(&img->l1[i], memory_order_relaxed);

		if (table && table < offset + bytes && offset < table + img->table_bytes)
			return true;
	}
	return false;
}

int qed_co_free_run(struct qed_image *img, uint64_t start, uint64_t count)
{
	uint64_t offset = start << img->cluster_bits;
	uint64_t bytes = count << img->cluster_bits;
	int ret = holds_table(img, offset, bytes) ?
			  -EUCLEAN :
			  blk_file_co_write_zeroes(img->file, offset, bytes, true);

	pthread_mutex_lock(&img->meta_lock);
	if (!ret)
		ret = make_free(img, start, count);
	img->scan.leaked |= ret;
	pthread_mutex_unlock(&img->meta_lock);
	if (ret) {
		static struct log_ratelimit limit;

		if (log_allowed(&limit))
			log_warning("%s: could not free clusters, they are leaked: %s",
				    img->node->filename, strerror(-ret));
	}
	return ret;
}

uint64_t qed_co_free_others(struct qed_image *img, const struct cluster_set *used, uint64_t end,
			    const _Atomic bool *stop)
{
	uint64_t cluster = 0, freed = 0, start;

	while (cluster < end && !(stop && *stop)) {
		uint64_t n, gap_end;

		pthread_mutex_lock(&img->meta_lock);
		n = cluster_set_next_run(used, cluster, UINT64_MAX, &start);
		pthread_mutex_unlock(&img->meta_lock);
		gap_end = n ? min_u64(start, end) : end;
		if (gap_end > cluster && !qed_co_free_run(img, cluster, gap_end - cluster))
			freed += gap_end - cluster;
		cluster = n ? start + n : end;
	}
	return freed;
}

/*
 * Under meta_lock: start the wait of the durable clusters if none wait.  True: the requests that
 * the waiting clusters waited for have completed, and the clusters are in @unused.
 */
static bool take_unused(struct qed_image *img, struct cluster_runs *unused)
{
	struct qed_allocator *a = &img->alloc;

	if (!a->waiting.nr && a->durable.nr) {
		(void)cluster_runs_move(&a->waiting, &a->durable); /* swaps: can't fail */
		a->ticket = inflight_ticket(&img->node->inflight);
	}
	if (!a->waiting.nr || !inflight_passed(&img->node->inflight, a->ticket))
		return false;
	(void)cluster_runs_move(unused, &a->waiting);
	return true;
}

void qed_co_recycle(struct qed_image *img, bool *left)
{
	struct qed_allocator *a = &img->alloc;
	struct cluster_runs unused = { 0 };

	pthread_mutex_lock(&img->meta_lock);
	while (a->recycling)
		co_queue_wait(&a->recycle_waiters, &img->meta_lock);
	a->recycling = true;
	while (take_unused(img, &unused)) {
		pthread_mutex_unlock(&img->meta_lock);
		for (size_t i = 0; i < unused.nr; i++)
			(void)qed_co_free_run(img, unused.runs[i].start, unused.runs[i].count);
		unused.nr = 0;
		pthread_mutex_lock(&img->meta_lock);
	}
	a->recycling = false;
	co_queue_wake_all(&a->recycle_waiters);
	*left = a->waiting.nr;
	pthread_mutex_unlock(&img->meta_lock);
	cluster_runs_destroy(&unused);
}
