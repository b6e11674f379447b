// SPDX-License-Identifier: GPL-2.0
/*
 * The queue of clusters to be kept, and the workers that keep them asynchronously.
 *
 * A reader of whole clusters hands over a copy of their bytes while there are
 * buffers for it; every other cluster becomes a bit in a set, so nothing that was
 * read is lost, and memory is bounded: the pool, and at most a bit per cluster.
 * Workers are coroutines of the background thread.  One of them, the main worker,
 * lives as long as the thread; it starts helpers while there is more work and no
 * request to the node is in flight on another thread, and otherwise works alone.
 */
#include <string.h>

#include "block/io.h"
#include "block/node_internal.h"
#include "populate/internal.h"
#include "util/log.h"
#include "util/units.h"

#define MAX_WORKERS 8

/* ---- Readers; any thread ---- */

static void wake_idle(struct populate *p)
{
	pthread_mutex_lock(&p->mutex);
	co_queue_wake_all(&p->idle);
	pthread_mutex_unlock(&p->mutex);
}

static void count_out(struct populate *p, uint64_t clusters)
{
	if (clusters && atomic_fetch_sub(&p->pending, clusters) == clusters)
		wake_idle(p);
}

static void rouse(struct populate *p)
{
	if (!atomic_load(&p->asleep))
		return;
	pthread_mutex_lock(&p->mutex);
	atomic_store(&p->asleep, false);
	co_queue_wake_all(&p->wakeup);
	pthread_mutex_unlock(&p->mutex);
}

/* Add the clusters [first, end) to the set. */
static void note(struct populate *p, uint64_t first, uint64_t end)
{
	uint64_t known = 0;

	/* Counted before a worker can take them, so that the count is never too low. */
	atomic_fetch_add(&p->pending, end - first);
	for (uint64_t c = first; c < end; c++)
		known += !pending_add(&p->set, c);
	count_out(p, known);
}

/* Take the first of @list, one of the two; NULL: it is empty. */
static struct handed *take_first(struct populate *p, struct cds_list_head *list)
{
	struct handed *handed = NULL;

	pthread_mutex_lock(&p->mutex);
	if (!cds_list_empty(list)) {
		handed = cds_list_first_entry(list, struct handed, link);
		cds_list_del(&handed->link);
	}
	pthread_mutex_unlock(&p->mutex);
	return handed;
}

static void put_spare(struct populate *p, struct handed *handed)
{
	pthread_mutex_lock(&p->mutex);
	cds_list_add(&handed->link, &p->spare);
	pthread_mutex_unlock(&p->mutex);
}

/* Hand over a copy of the whole clusters [offset, offset + bytes).  False: no buffer for them. */
static bool hand_over(struct populate *p, uint64_t offset, uint64_t bytes, const char *buf)
{
	struct bufpool *pool = p->pool;
	struct handed *handed;

	if (bytes > bufpool_buf_size(pool))
		return false;
	handed = take_first(p, &p->spare);
	if (!handed)
		return false;
	handed->buf = bufpool_try_get(pool);
	if (!handed->buf) {
		put_spare(p, handed);
		return false;
	}
	memcpy(handed->buf, buf, bytes);
	handed->offset = offset;
	handed->bytes = bytes;
	atomic_fetch_add(&p->pending, div_round_up(bytes, p->node->cluster_size));
	pthread_mutex_lock(&p->mutex);
	cds_list_add_tail(&handed->link, &p->handed);
	pthread_mutex_unlock(&p->mutex);
	return true;
}

void populate_later(struct populate *p, uint64_t offset, uint64_t bytes, const void *buf)
{
	const struct blk_node *node = p->node;
	uint64_t size = atomic_load_explicit(&node->size, memory_order_acquire);
	uint64_t step = node->cluster_size, end = offset + bytes;
	uint64_t first = offset / step, last = div_round_up(end, step);
	uint64_t whole = div_round_up(offset, step);
	uint64_t whole_end = end == size ? last : end / step;
	uint64_t window = populate_window(node) / step;
	uint64_t given = whole;

	if (last - first == 1 && pending_has(&p->set, first))
		return;
	while (given < whole_end) {
		uint64_t upto = min_u64(given + window, whole_end);

		if (!hand_over(p, given * step, min_u64(upto * step, size) - given * step,
			       (const char *)buf + (given * step - offset)))
			break;
		given = upto;
	}
	if (given == whole) {
		note(p, first, last);
	} else {
		if (first < whole)
			note(p, first, whole);
		if (given < last)
			note(p, given, last);
	}
	rouse(p);
}

/* ---- Workers; the background thread ---- */

/* Errors are counted where they occur, and otherwise ignored: the clusters stay unallocated. */
static void work_on_handed(struct populate *p, struct handed *handed)
{
	struct blk_node *node = p->node;
	uint64_t clusters = div_round_up(handed->bytes, node->cluster_size);
	unsigned int token = inflight_begin(&node->inflight);
	struct populated populated = { 0 };
	uint64_t bytes = populate_inside(node, handed->offset, handed->bytes);
	struct range_hold hold;

	p->busy += clusters;
	range_lock_co_acquire(&p->ranges, &hold, handed->offset, handed->bytes, true);
	(void)populate_clusters(node, handed->offset, bytes, handed->buf, &populated);
	range_lock_release(&p->ranges, &hold);
	inflight_end(&node->inflight, token);
	bufpool_put(p->pool, handed->buf);
	put_spare(p, handed);
	p->busy -= clusters;
	count_out(p, clusters);
}

static void work_on_run(struct populate *p, uint64_t first, uint64_t clusters)
{
	struct blk_node *node = p->node;
	struct populated populated = { 0 };

	p->busy += clusters;
	(void)populate_co_range(node, NULL, first * node->cluster_size,
				clusters * node->cluster_size, &populated);
	p->busy -= clusters;
	count_out(p, clusters);
}

static unsigned int workers_allowed(struct populate *p)
{
	return populate_foreground_is_busy(p->node) ? 1 : MAX_WORKERS;
}

static void helper_main(void *arg);

/* Start a helper if there is more work than the workers have taken. */
static void get_help(struct populate *p)
{
	/* Read without the mutex: only this thread changes it. */
	unsigned int active = p->active;

	if (atomic_load(&p->pending) <= p->busy || active >= workers_allowed(p))
		return;
	pthread_mutex_lock(&p->mutex);
	p->active++;
	pthread_mutex_unlock(&p->mutex);
	if (co_start(helper_main, p)) {
		pthread_mutex_lock(&p->mutex);
		p->active--;
		pthread_mutex_unlock(&p->mutex);
	}
}

/* Work until the queue is empty, or, for a helper, until there are too many workers. */
static void work(struct populate *p, bool helper)
{
	uint64_t max = populate_window(p->node) / p->node->cluster_size;

	while (!atomic_load(&p->stop)) {
		struct handed *handed = take_first(p, &p->handed);
		uint64_t first, n;

		if (handed) {
			work_on_handed(p, handed);
		} else {
			n = pending_take(&p->set, max, &first);
			if (!n)
				return;
			work_on_run(p, first, n);
		}
		if (helper && p->active > workers_allowed(p))
			return;
		get_help(p);
	}
}

static void worker_ends(struct populate *p)
{
	pthread_mutex_lock(&p->mutex);
	p->active--;
	co_queue_wake_all(&p->idle);
	pthread_mutex_unlock(&p->mutex);
}

static void helper_main(void *arg)
{
	struct populate *p = arg;

	work(p, true);
	worker_ends(p);
}

/*
 * With the mutex held: is there no work?  A thread that adds work clears @asleep, so it
 * must be set before each check.
 */
static bool falls_asleep(struct populate *p)
{
	atomic_store(&p->asleep, true);
	return !atomic_load(&p->stop) && cds_list_empty(&p->handed) && pending_empty(&p->set);
}

void populate_main_worker(void *arg)
{
	struct populate *p = arg;

	pthread_mutex_lock(&p->mutex);
	p->active++;
	while (!atomic_load(&p->stop)) {
		while (falls_asleep(p))
			co_queue_wait(&p->wakeup, &p->mutex);
		atomic_store(&p->asleep, false);
		pthread_mutex_unlock(&p->mutex);
		work(p, false);
		pthread_mutex_lock(&p->mutex);
	}
	pthread_mutex_unlock(&p->mutex);
	worker_ends(p);
}

/* ---- Pending clusters ---- */

uint64_t populate_pending(const struct blk_node *node)
{
	const struct populate *p = populate_of(node);

	return p ? atomic_load(&p->pending) : 0;
}

void populate_co_drain(struct blk_node *node)
{
	struct populate *p = populate_of(node);

	if (!p || !background_loop(&p->bg))
		return;
	pthread_mutex_lock(&p->mutex);
	while (atomic_load(&p->pending))
		co_queue_wait(&p->idle, &p->mutex);
	pthread_mutex_unlock(&p->mutex);
}

void populate_drop_handed(struct populate *p)
{
	struct handed *handed;

	while ((handed = take_first(p, &p->handed))) {
		bufpool_put(p->pool, handed->buf);
		put_spare(p, handed);
	}
}

void populate_co_stop(struct populate *p)
{
	if (!background_loop(&p->bg))
		return;
	atomic_store(&p->stop, true);
	pthread_mutex_lock(&p->mutex);
	co_queue_wake_all(&p->wakeup);
	while (p->active)
		co_queue_wait(&p->idle, &p->mutex);
	pthread_mutex_unlock(&p->mutex);
	background_co_stop(&p->bg);
}
