// SPDX-License-Identifier: GPL-2.0
/*
 * The keeper: a coroutine of the loop that opened the image, which commits
 * metadata that nobody flushed, commits at once when writers wait for it, and
 * brings freed clusters back into use.  It sleeps while there is nothing to do.
 */
#include <string.h>

#include "aio/loop.h"
#include "format/qed/qed.h"

/* Metadata that nobody asked to be durable waits this long, in nanoseconds. */
#define COMMIT_DELAY_NS (2 * 1000000000ULL)
/* How soon to look again for requests that keep freed clusters from being reused. */
#define RECYCLE_DELAY_NS (20 * 1000000ULL)

static void keeper_tick(struct aio_timer *timer)
{
	struct qed_keeper *k = container_of(timer, struct qed_keeper, timer);
	struct qed_image *img = container_of(k, struct qed_image, keeper);

	pthread_mutex_lock(&img->meta_lock);
	k->urgent = true;
	co_queue_wake_all(&k->wakeup);
	pthread_mutex_unlock(&img->meta_lock);
}

void qed_keeper_kick(struct qed_image *img, bool now)
{
	struct qed_keeper *k = &img->keeper;

	if (k->urgent || (k->pending && !now))
		return;
	k->pending = true;
	k->urgent |= now;
	co_queue_wake_all(&k->wakeup);
}

/* Under meta_lock, which is dropped while asleep: until something is due.  False: end. */
static bool wait_for_work(struct qed_image *img, bool retry)
{
	struct qed_keeper *k = &img->keeper;

	while (!k->stop && !k->urgent) {
		/* The timer belongs to this loop: only the keeper itself may arm it. */
		if (retry && !k->timer.armed)
			aio_timer_arm(&k->timer, RECYCLE_DELAY_NS);
		else if (k->pending && !k->timer.armed)
			aio_timer_arm(&k->timer, COMMIT_DELAY_NS);
		co_queue_wait(&k->wakeup, &img->meta_lock);
	}
	aio_timer_cancel(&k->timer);
	k->urgent = false;
	k->pending = false;
	return !k->stop;
}

static void keeper_main(void *arg)
{
	struct qed_image *img = arg;
	struct qed_keeper *k = &img->keeper;
	bool retry = false;

	pthread_mutex_lock(&img->meta_lock);
	while (wait_for_work(img, retry)) {
		bool dirty = img->commit.dirty || img->commit.new_tables.nr ||
			     img->alloc.dropped.nr;

		pthread_mutex_unlock(&img->meta_lock);
		/* An error is logged there, and told to whoever flushes or waits. */
		if (dirty && qed_co_flush(img->node))
			retry = true;
		else
			qed_co_recycle(img, &retry);
		pthread_mutex_lock(&img->meta_lock);
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
