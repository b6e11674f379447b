// SPDX-License-Identifier: GPL-2.0
/*
 * Tracked requests: byte-range locks that are held across I/O.
 *
 * Holds are in one list in order of arrival, granted or not.  A hold is
 * granted when no conflicting one is before it, so a later request never
 * overtakes an earlier one that it conflicts with.
 */
#include <stddef.h>

#include "file/range_lock.h"

void range_lock_init(struct range_lock *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
	lock->head = NULL;
	lock->tail = NULL;
	lock->exclusive = 0;
}

void range_lock_destroy(struct range_lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}

static bool conflicts(const struct range_hold *a, const struct range_hold *b)
{
	return (a->exclusive || b->exclusive) && a->start < b->end && b->start < a->end;
}

/* Return the nearest conflicting hold before @hold, or NULL. */
static struct range_hold *find_conflict(const struct range_hold *hold)
{
	struct range_hold *other;

	for (other = hold->prev; other; other = other->prev)
		if (conflicts(other, hold))
			return other;
	return NULL;
}

static void append(struct range_lock *lock, struct range_hold *hold)
{
	hold->next = NULL;
	hold->prev = lock->tail;
	if (lock->tail)
		lock->tail->next = hold;
	else
		lock->head = hold;
	lock->tail = hold;
	lock->exclusive += hold->exclusive;
}

static void unlink_hold(struct range_lock *lock, struct range_hold *hold)
{
	if (hold->prev)
		hold->prev->next = hold->next;
	else
		lock->head = hold->next;
	if (hold->next)
		hold->next->prev = hold->prev;
	else
		lock->tail = hold->prev;
	lock->exclusive -= hold->exclusive;
}

void range_lock_co_acquire(struct range_lock *lock, struct range_hold *hold, uint64_t start,
			   uint64_t len, bool exclusive)
{
	struct range_hold *other;

	hold->start = start;
	hold->end = len > UINT64_MAX - start ? UINT64_MAX : start + len;
	hold->exclusive = exclusive;
	co_queue_init(&hold->waiters);

	pthread_mutex_lock(&lock->mutex);
	append(lock, hold);
	/*
	 * Only earlier holds are waited for, and the list before @hold can only get
	 * shorter: so this ends.
	 */
	while (lock->exclusive && (other = find_conflict(hold)))
		co_queue_wait(&other->waiters, &lock->mutex);
	pthread_mutex_unlock(&lock->mutex);
}

void range_lock_release(struct range_lock *lock, struct range_hold *hold)
{
	pthread_mutex_lock(&lock->mutex);
	unlink_hold(lock, hold);
	/* Each waiter looks for its next conflict itself, so that @hold may go out of scope. */
	co_queue_wake_all(&hold->waiters);
	pthread_mutex_unlock(&lock->mutex);
}
