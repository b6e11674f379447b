// SPDX-License-Identifier: GPL-2.0
/*
 * Tracked requests: byte-range locks that are held across I/O.
 *
 * Holds are in one list in order of arrival, granted or not.  A hold is
 * granted when no conflicting one is before it, so a later request never
 * overtakes an earlier one that it conflicts with.
 */
#include "file/range_lock.h"

void range_lock_init(struct range_lock *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
	CDS_INIT_LIST_HEAD(&lock->holds);
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
static struct range_hold *find_conflict(struct range_lock *lock, const struct range_hold *hold)
{
	struct cds_list_head *at;

	for (at = hold->link.prev; at != &lock->holds; at = at->prev) {
		struct range_hold *other = cds_list_entry(at, struct range_hold, link);

		if (conflicts(other, hold))
			return other;
	}
	return NULL;
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
	cds_list_add_tail(&hold->link, &lock->holds);
	lock->exclusive += exclusive;
	/*
	 * Only earlier holds are waited for, and the list before @hold can only get
	 * shorter: so this ends.
	 */
	while (lock->exclusive && (other = find_conflict(lock, hold)))
		co_queue_wait(&other->waiters, &lock->mutex);
	pthread_mutex_unlock(&lock->mutex);
}

void range_lock_release(struct range_lock *lock, struct range_hold *hold)
{
	pthread_mutex_lock(&lock->mutex);
	cds_list_del(&hold->link);
	lock->exclusive -= hold->exclusive;
	/* Each waiter looks for its next conflict itself, so that @hold may go out of scope. */
	co_queue_wake_all(&hold->waiters);
	pthread_mutex_unlock(&lock->mutex);
}
