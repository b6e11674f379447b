// SPDX-License-Identifier: GPL-2.0
/*
 * The background flusher: a coroutine on the loop that opened the image.  It
 * commits metadata that no flush has committed, commits at once if writers wait
 * for it, and recycles freed clusters.  It sleeps while there is nothing to do.
 */
#include <string.h>

#include "aio/loop.h"
#include "format/qed/flusher.h"
#include "format/qed/image.h"
#include "util/units.h"

/* Dirty metadata is committed after this long if no flush comes first, in nanoseconds. */
#define COMMIT_DELAY_NS (2 * 1000000000ULL)
/* How soon to look again for requests that keep freed clusters from being reused. */
#define RECYCLE_DELAY_NS (20 * 1000000ULL)
/* How soon to retry a commit that failed. */
#define RETRY_DELAY_NS (200 * 1000000ULL)

static void flusher_tick(struct aio_timer *timer)
{
	struct qed_flusher *f = container_of(timer, struct qed_flusher, timer);
	struct qed_image *img = container_of(f, struct qed_image, flusher);

	pthread_mutex_lock(&img->meta_lock);
	co_queue_wake_all(&f->wakeup);
	pthread_mutex_unlock(&img->meta_lock);
}

/* Under meta_lock: set *@deadline to @delay from now.  One that is set moves only for @delay 0. */
static void schedule(struct qed_flusher *f, uint64_t *deadline, uint64_t delay)
{
	uint64_t at;

	/* Frequent: return before reading the clock. */
	if (*deadline && delay)
		return;
	at = delay ? aio_now() + delay : 1;
	if (*deadline && *deadline <= at)
		return;
	*deadline = at;
	co_queue_wake_all(&f->wakeup);
}

void qed_flusher_commit(struct qed_image *img, bool now)
{
	schedule(&img->flusher, &img->flusher.commit_at, now ? 0 : COMMIT_DELAY_NS);
}

void qed_flusher_recycle(struct qed_image *img)
{
	schedule(&img->flusher, &img->flusher.recycle_at, 0);
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
	struct qed_flusher *f = &img->flusher;

	while (!f->stop) {
		uint64_t now = aio_now(), next = UINT64_MAX;

		*commit = take_due(&f->commit_at, now);
		*recycle = take_due(&f->recycle_at, now);
		if (*commit || *recycle)
			break;
		if (f->commit_at)
			next = f->commit_at;
		if (f->recycle_at)
			next = min_u64(next, f->recycle_at);
		/* The timer belongs to this loop: only the background flusher may arm it. */
		if (next != UINT64_MAX)
			aio_timer_arm(&f->timer, next - now);
		co_queue_wait(&f->wakeup, &img->meta_lock);
		aio_timer_cancel(&f->timer);
	}
	return !f->stop;
}

static void flusher_main(void *arg)
{
	struct qed_image *img = arg;
	struct qed_flusher *f = &img->flusher;
	bool commit, recycle, left;

	pthread_mutex_lock(&img->meta_lock);
	while (wait_for_work(img, &commit, &recycle)) {
		int ret = 0;

		pthread_mutex_unlock(&img->meta_lock);
		left = false;
		/* An error is logged there, and reported to the next flush or waiting writer. */
		if (commit)
			ret = f->co_commit(img);
		if (recycle)
			f->co_recycle(img, &left);
		pthread_mutex_lock(&img->meta_lock);
		if (ret)
			schedule(f, &f->commit_at, RETRY_DELAY_NS);
		if (left)
			schedule(f, &f->recycle_at, RECYCLE_DELAY_NS);
	}
	f->running = false;
	co_queue_wake_all(&f->stopped);
	pthread_mutex_unlock(&img->meta_lock);
}

int qed_flusher_start(struct qed_image *img, int (*co_commit)(struct qed_image *img),
		      void (*co_recycle)(struct qed_image *img, bool *left))
{
	struct qed_flusher *f = &img->flusher;
	int ret;

	aio_timer_init(&f->timer, flusher_tick);
	f->co_commit = co_commit;
	f->co_recycle = co_recycle;
	f->running = true;
	ret = co_start(flusher_main, img);
	if (ret)
		f->running = false;
	return ret;
}

void qed_co_flusher_stop(struct qed_image *img)
{
	struct qed_flusher *f = &img->flusher;

	pthread_mutex_lock(&img->meta_lock);
	f->stop = true;
	co_queue_wake_all(&f->wakeup);
	while (f->running)
		co_queue_wait(&f->stopped, &img->meta_lock);
	pthread_mutex_unlock(&img->meta_lock);
}
