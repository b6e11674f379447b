// SPDX-License-Identifier: GPL-2.0
/*
 * Checking an image while requests go on, and freeing what is leaked.
 *
 * The check sees the tables on disk as one commit left them:
 *
 *	1. From here on, clusters that are free or lose their reference are noted
 *	   (struct qed_spared): they are no leaks.
 *	2. Wait until all requests that began before are over.  The clusters that
 *	   they had allocated are now named by an entry, or were given back.
 *	3. A commit makes these entries durable.  At its end, before the next one
 *	   begins, L1 is checked, as on disk.
 *	4. The tables are read.  A later commit first shows the check the slices that
 *	   it will overwrite, as they are on disk (co_overwrites()): so each slice is
 *	   checked once, as the commit of step 3 left it.
 *	5. A cluster that was in the file in step 1, and was neither noted nor found,
 *	   is leaked.
 *
 * No request can get a leaked cluster: those that are allocated after step 1 were
 * free then, or were noted since, or lie behind the end of then.  None uses it: its
 * reference was gone in step 1, since a loss after that is noted; and the requests of
 * before are over.  The loss is durable by the commit.  So it may be punched and
 * become free like any other that was dropped (free_list.c).
 *
 * Counts are exact but for fragments: those at the edges of a slice that a commit has
 * shown are left out.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "aio/sys.h"
#include "format/qed/alloc.h"
#include "format/qed/check.h"
#include "format/qed/commit.h"
#include "format/qed/qed.h"
#include "util/units.h"

/* The interval, ns, of looking for the end of what the check waits for. */
#define LOOK_NS 2000000ULL
/* Most slices that a commit reads at once, before it overwrites them. */
#define MAX_SHOWN 16u

struct live_check {
	struct qed_check check;
	struct qed_commit_watch watch;
	struct qed_spared spared;
	const bool *cancel;
	uint64_t l1_used; /* L1 entries below it may change */

	pthread_mutex_t lock; /* of what follows, and of @check, once commits have the watch */
	bool taken; /* the commit of step 3 has ended */
	bool walked; /* all slices have been checked */
	int error; /* of a commit on behalf of the check */
	struct cluster_set seen; /* indices of slices that have been checked */
};

/* ---- What commits do ---- */

static void note_error(struct live_check *live, int ret)
{
	if (ret && !live->error)
		live->error = ret;
}

static void on_committed(struct qed_commit_watch *watch)
{
	struct live_check *live = container_of(watch, struct live_check, watch);
	struct qed_check *check = &live->check;

	pthread_mutex_lock(&live->lock);
	if (!live->taken) {
		live->taken = true;
		check->end = atomic_load_explicit(&check->img->alloc.end, memory_order_acquire);
		note_error(live, qed_co_check_tables(check, 0, live->l1_used));
	}
	pthread_mutex_unlock(&live->lock);
}

/* Under @lock: has the slice still to be checked? */
static bool is_wanted(const struct live_check *live, uint64_t index)
{
	uint64_t table = index * QED_SLICE_ENTRIES / live->check.img->table_entries;

	return live->taken && !live->walked && !live->error &&
	       cluster_set_has(&live->check.tables, table) && !cluster_set_has(&live->seen, index);
}

/* Under @lock: check a slice, unless that was done. */
static int check_slice(struct live_check *live, uint64_t index, uint64_t *entries)
{
	bool changed = false;
	int ret;

	if (!is_wanted(live, index)) {
		live->check.last.entry = 0;
		return 0;
	}
	ret = cluster_set_add(&live->seen, index, 1);
	return ret ? ret :
		     qed_co_check_piece(&live->check, index * QED_SLICE_ENTRIES, entries,
					QED_SLICE_ENTRIES, &changed);
}

/* Check slices that are adjacent in the file, as they are on disk; @buf has room for them. */
static void co_show(struct live_check *live, struct l2_slice *const *slices, unsigned int n,
		    uint64_t *buf)
{
	struct qed_image *img = live->check.img;
	struct qed_check_place last;
	bool wanted = false;
	int ret;

	pthread_mutex_lock(&live->lock);
	for (unsigned int i = 0; i < n; i++)
		wanted |= is_wanted(live, slices[i]->index);
	pthread_mutex_unlock(&live->lock);
	if (!wanted)
		return;
	ret = blk_file_co_pread(img->file, buf, (size_t)n * QED_SLICE_BYTES,
				qed_slice_offset(img, slices[0]->index));
	for (unsigned int i = 0; i < n * QED_SLICE_ENTRIES; i++)
		buf[i] = le64toh(buf[i]);
	pthread_mutex_lock(&live->lock);
	last = live->check.last; /* the walk's, which is elsewhere */
	for (unsigned int i = 0; !ret && i < n; i++) {
		live->check.last.entry = 0;
		ret = check_slice(live, slices[i]->index, buf + (size_t)i * QED_SLICE_ENTRIES);
	}
	live->check.last = last;
	note_error(live, ret);
	pthread_mutex_unlock(&live->lock);
}

static void co_overwrites(struct qed_commit_watch *watch, struct l2_slice *const *slices,
			  unsigned int n)
{
	struct live_check *live = container_of(watch, struct live_check, watch);
	unsigned int room = min_u64(n, MAX_SHOWN);
	uint64_t *buf = aligned_alloc(4096, (size_t)room * QED_SLICE_BYTES);

	if (!buf) {
		pthread_mutex_lock(&live->lock);
		note_error(live, -ENOMEM);
		pthread_mutex_unlock(&live->lock);
		return;
	}
	for (unsigned int i = 0; i < n; i += room)
		co_show(live, slices + i, min_u64(n - i, room), buf);
	free(buf);
}

/* ---- The check ---- */

/* Step 1.  What frees clusters in its own hands, a search for leaks too, comes to its end first. */
static int co_begin(struct live_check *live)
{
	struct qed_image *img = live->check.img;
	int ret = 0;

	pthread_mutex_lock(&img->meta_lock);
	while (img->scan.running && !*live->cancel) {
		pthread_mutex_unlock(&img->meta_lock);
		aio_co_sleep(LOOK_NS);
		pthread_mutex_lock(&img->meta_lock);
	}
	while (img->alloc.recycling)
		co_queue_wait(&img->alloc.recycle_waiters, &img->meta_lock);
	if (img->scan.running)
		ret = -ECANCELED;
	else if (img->alloc.spared)
		ret = -EBUSY;
	else
		ret = qed_spare_begin(img, &live->spared);
	pthread_mutex_unlock(&img->meta_lock);
	return ret;
}

/* Step 2. */
static int co_wait_requests(struct live_check *live)
{
	struct inflight *inflight = &live->check.img->node->inflight;
	uint64_t ticket = inflight_ticket(inflight);

	while (!inflight_passed(inflight, ticket)) {
		if (*live->cancel)
			return -ECANCELED;
		aio_co_sleep(LOOK_NS);
	}
	return 0;
}

/* Step 3.  First, of L1, what no commit changes: the part behind the image's end. */
static int co_take(struct live_check *live)
{
	struct qed_image *img = live->check.img;
	int ret = qed_co_l1_load_rest(img);

	live->l1_used = qed_l1_entries_used(img);
	if (!ret)
		ret = qed_check_begin(&live->check);
	if (!ret)
		ret = qed_co_check_tables(&live->check, live->l1_used, img->table_entries);
	if (ret)
		return ret;
	pthread_mutex_lock(&img->meta_lock);
	img->commit.watch = &live->watch;
	pthread_mutex_unlock(&img->meta_lock);
	return qed_co_commit(img);
}

static int check_piece(void *arg, uint64_t first, uint64_t *entries, unsigned int n, bool *changed)
{
	struct live_check *live = arg;
	int ret;

	(void)changed;
	pthread_mutex_lock(&live->lock);
	ret = live->error;
	for (unsigned int i = 0; !ret && i < n; i += QED_SLICE_ENTRIES)
		ret = check_slice(live, (first + i) / QED_SLICE_ENTRIES, entries + i);
	pthread_mutex_unlock(&live->lock);
	return !ret && *live->cancel ? -ECANCELED : ret;
}

/* Step 4. */
static int co_walk(struct live_check *live)
{
	int ret = qed_co_check_walk(&live->check, check_piece, live);

	pthread_mutex_lock(&live->lock);
	live->walked = true;
	if (!ret)
		ret = live->error;
	pthread_mutex_unlock(&live->lock);
	return ret;
}

/* Nothing is noted or shown any more when it returns. */
static void co_end(struct live_check *live)
{
	struct qed_image *img = live->check.img;
	bool running;

	pthread_mutex_lock(&img->meta_lock);
	if (img->alloc.spared == &live->spared)
		img->alloc.spared = NULL;
	running = img->commit.watch && img->commit.running;
	img->commit.watch = NULL;
	pthread_mutex_unlock(&img->meta_lock);
	/* The running commit may have the watch: another one begins when it has ended. */
	if (running)
		(void)qed_co_commit(img);
}

static uint64_t count_others(const struct cluster_set *used, uint64_t end)
{
	uint64_t at = 0, others = 0, start, n;

	while ((n = cluster_set_next_run(used, at, UINT64_MAX, &start)) && start < end) {
		others += start - at;
		at = start + n;
	}
	return at < end ? others + (end - at) : others;
}

/* Step 5, after co_end(). */
static int co_leaks(struct live_check *live, unsigned int fix)
{
	struct blk_check_result *result = live->check.result;
	struct cluster_set *used = &live->check.used;
	int ret = live->spared.incomplete ? -ENOMEM :
					    cluster_set_merge(used, &live->spared.clusters);

	if (ret)
		return ret;
	result->leaks = count_others(used, live->spared.end);
	/* Which clusters are in use is unknown in a damaged image. */
	if (result->leaks && (fix & BLK_FIX_LEAKS) && !result->corruptions) {
		result->leaks_fixed =
			qed_co_free_others(live->check.img, used, live->spared.end, NULL);
		result->leaks -= result->leaks_fixed;
	}
	return 0;
}

static int co_run(struct live_check *live, unsigned int fix)
{
	int ret = co_begin(live);

	if (ret)
		return ret;
	ret = co_wait_requests(live);
	if (!ret)
		ret = co_take(live);
	if (!ret)
		ret = co_walk(live);
	co_end(live);
	return ret ? ret : co_leaks(live, fix);
}

int qed_co_check_live(struct blk_node *node, unsigned int fix, const bool *cancel,
		      struct blk_check_result *result, struct error *err)
{
	struct live_check live = {
		.check = { .img = node->opaque, .result = result },
		.watch = { .committed = on_committed, .co_overwrites = co_overwrites },
		.cancel = cancel,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	int ret = co_run(&live, fix);

	qed_check_end(&live.check);
	cluster_set_destroy(&live.seen);
	cluster_set_destroy(&live.spared.clusters);
	if (ret == -EBUSY)
		return error_set(err, ret, "a check runs already");
	if (ret == -ECANCELED)
		return error_set(err, ret, "the check was cancelled");
	if (ret) {
		result->check_errors++;
		return error_set_errno(err, ret, "check could not be completed");
	}
	return 0;
}
