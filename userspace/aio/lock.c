// SPDX-License-Identifier: GPL-2.0
/*
 * Locks and wait queues for coroutines, across threads.
 */
#include "aio/co.h"
#include "aio/lock.h"

#include <stddef.h>

struct co_waiter {
	struct cds_list_head link; /* in the queue */
	struct co *co;
};

void co_queue_init(struct co_queue *queue)
{
	CDS_INIT_LIST_HEAD(&queue->waiters);
}

static void enqueue(struct co_queue *queue, struct co_waiter *waiter)
{
	waiter->co = co_self();
	cds_list_add_tail(&waiter->link, &queue->waiters);
}

void co_queue_wait(struct co_queue *queue, pthread_mutex_t *mutex)
{
	struct co_waiter waiter;

	enqueue(queue, &waiter);
	pthread_mutex_unlock(mutex);
	co_park();
	pthread_mutex_lock(mutex);
}

/* Wake the first waiter; false if there is none. */
static bool wake_one(struct co_queue *queue)
{
	struct co_waiter *waiter;

	if (cds_list_empty(&queue->waiters))
		return false;
	waiter = cds_list_first_entry(&queue->waiters, struct co_waiter, link);
	cds_list_del(&waiter->link);
	/* The last use of @waiter, which is on the stack of a coroutine that may run now. */
	co_wake(waiter->co);
	return true;
}

void co_queue_wake_all(struct co_queue *queue)
{
	while (wake_one(queue))
		;
}

void co_mutex_init(struct co_mutex *mutex)
{
	pthread_mutex_init(&mutex->guard, NULL);
	co_queue_init(&mutex->waiters);
	mutex->locked = false;
}

void co_mutex_destroy(struct co_mutex *mutex)
{
	/* The coroutine that handed the mutex to the caller may still hold the guard. */
	pthread_mutex_lock(&mutex->guard);
	pthread_mutex_unlock(&mutex->guard);
	pthread_mutex_destroy(&mutex->guard);
}

void co_mutex_lock(struct co_mutex *mutex)
{
	struct co_waiter waiter;

	pthread_mutex_lock(&mutex->guard);
	if (!mutex->locked) {
		mutex->locked = true;
		pthread_mutex_unlock(&mutex->guard);
		return;
	}
	enqueue(&mutex->waiters, &waiter);
	pthread_mutex_unlock(&mutex->guard);
	/* On return the mutex is ours: co_mutex_unlock() handed it over locked. */
	co_park();
}

void co_mutex_unlock(struct co_mutex *mutex)
{
	pthread_mutex_lock(&mutex->guard);
	if (!wake_one(&mutex->waiters))
		mutex->locked = false;
	pthread_mutex_unlock(&mutex->guard);
}
