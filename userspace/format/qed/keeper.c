// SPDX-License-Identifier: GPL-2.0
/*
 * The background flusher: a coroutine on the loop that opened the image.  It
 * commits metadata that no flush has committed, commits at once if writers wait
 * for it, and recycles freed clusters.  It sleeps while there is nothing to do.
 */
#include <string.h>

#include "aio/loop.h"
#include "format/qed/qed.h"

/* Dirty metadata is committed after this long if no flush comes first, in nanoseconds. */
#define COMMIT_DELAY_NS (2 * 1000000000ULL)
/* How soon to look again for requests that keep freed clusters from being reused. */
#define RECYCLE_DELAY_NS (20 * 1000000ULL)
/* How soon to retry a commit that failed. */
#define RETRY_DELAY_NS (200 * 1000000ULL)

static void keeper_tick(struct aio_timer *timer)
{
	struct qed_keeper *k = container_of(timer, struct qed_keeper, timer);
	struct qed_image *img = container_of(k, struct qed_image, keeper);

	pthread_mutex_lock(&img->meta_lock);
	co_queue_wake_all(&k->wakeup);
	pthread_mutex_unlock(&img->meta_lock);
}

/* Under meta_lock: set *@deadline to @delay from now.  One that is set moves only for @delay 0. */
static void schedule(struct qed_keeper *k, uint64_t *deadline, uint64_t delay)
{
	uint64_t at;

	/* Frequent: return before reading the clock. */
	if (*deadline && delay)
		return;
	at = delay ? aio_now() + delay : 1;
	if (*deadline && *deadline <= at)
		return;
	*deadline = at;
	co_queue_wake_all(&k->wakeup);
}

void qed_keeper_commit(struct qed_image *img, bool now)
{
	schedule(&img->keeper, &img->keeper.commit_at, now ? 0 : COMMIT_DELAY_NS);
}

void qed_keeper_recycle(struct qed_image *img)
{
	schedule(&img->keeper, &img->keeper.recycle_at, 0);
}

/* Under meta_lock: has the deadline passed?  If so, clear it. */
static bool take_due(uint64_t *deadline, uint64_t now)
{
	if (!*deadline || *deadline > now)
		return false;
	*deadline = 0;
	return true;
}

/* Under meta_lock, dropped to sleep: wait until there is work.  False: stop. */
static bool wait_for_work(struct qed_image *img, bool *commit, bool *recycle)
{
	struct qed_keeper *k = &img->keeper;

	while (!k->stop) {
		uint64_t now = aio_now(), next = UINT64_MAX;

		*commit = take_due(&k->commit_at, now);
		*recycle = take_due(&k->recycle_at, now);
		if (*commit || *recycle)
			break;
		if (k->commit_at)
			next = k->commit_at;
		if (k->recycle_at)
			next = min_u64(next, k->recycle_at);
		/* The timer belongs to this loop: only the background flusher may arm it. */
		if (next != UINT64_MAX)
			aio_timer_arm(&k->timer, next - now);
		co_queue_wait(&k->wakeup, &img->meta_lock);
		aio_timer_cancel(&k->timer);
	}
	return !k->stop;
}

static void keeper_main(void *arg)
{
	struct qed_image *img = arg;
	struct qed_keeper *k = &img->keeper;
	bool commit, recycle, left;

	pthread_mutex_lock(&img->meta_lock);
	while (wait_for_work(img, &commit, &recycle)) {
		int ret = 0;

		pthread_mutex_unlock(&img->meta_lock);
		left = false;
		/* An error is logged there, and reported to the next flush or waiting writer. */
		if (commit)
			ret = qed_co_commit_dirty(img);
		if (recycle)
			qed_co_recycle(img, &left);
		pthread_mutex_lock(&img->meta_lock);
		if (ret)
			schedule(k, &k->commit_at, RETRY_DELAY_NS);
		if (left)
			schedule(k, &k->recycle_at, RECYCLE_DELAY_NS);
	}
	k->running = false;
	co_queue_wake_all(&k->stopped);
	pthread_mutex_unlock(&img->meta_lock);
}

int qed_keeper_start(struct qed_image *img)
{
	struct qed_keeper *k = &img->keeper;
	int ret;

	aio_timer_init(&k->timer, keeper_tick);
	k->running = true;
	ret = co_start(keeper_main, img);
	if (ret)
		k->running = false;
	return ret;
}

void qed_co_keeper_stop(struct qed_image *img)
{
	struct qed_keeper *k = &img->keeper;

	pthread_mutex_lock(&img->meta_lock);
	k->stop = true;
	co_queue_wake_all(&k->wakeup);
	while (k->running)
		co_queue_wait(&k->stopped, &img->meta_lock);
	pthread_mutex_unlock(&img->meta_lock);
}
