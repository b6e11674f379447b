/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Locks and wait queues for coroutines, across threads.
 *
 * A pthread mutex is right where it is held for a few instructions and never
 * while a coroutine yields; these are for waits that last as long as I/O does.
 */
#ifndef QEDBLK_AIO_LOCK_H
#define QEDBLK_AIO_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <urcu/list.h>

/* A first-in first-out list of waiting coroutines, protected by the caller's mutex. */
struct co_queue {
	struct cds_list_head waiters; /* struct co_waiter, on the stacks of the coroutines */
};

void co_queue_init(struct co_queue *queue);

/*
 * Append the running coroutine to the queue, drop @mutex (which the caller holds and
 * which protects the queue), yield until woken, take @mutex again.  As with condition
 * variables, the caller must check the state that it waits for again.
 */
void co_queue_wait(struct co_queue *queue, pthread_mutex_t *mutex);

/* Wake all waiters.  The caller holds the mutex. */
void co_queue_wake_all(struct co_queue *queue);

/*
 * A mutex that may be held while a coroutine yields.  Fair: handed to the waiter
 * that came first.  Lock (may yield) and unlock from coroutines of any loop.
 */
struct co_mutex {
	pthread_mutex_t guard;
	struct co_queue waiters;
	bool locked;
};

void co_mutex_init(struct co_mutex *mutex);
void co_mutex_destroy(struct co_mutex *mutex);
void co_mutex_lock(struct co_mutex *mutex);
void co_mutex_unlock(struct co_mutex *mutex);

#endif
