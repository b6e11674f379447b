/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracked requests: locks on byte (or cluster) ranges, held across I/O by
 * coroutines of any thread.
 *
 * Two holds conflict when their ranges overlap and at least one of them is
 * exclusive (serialising).  Conflicting holds are granted in the order of
 * arrival, so waiting always ends and no request starves.
 */
#ifndef QEDBLK_FILE_RANGE_LOCK_H
#define QEDBLK_FILE_RANGE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <urcu/list.h>

#include "aio/lock.h"

struct range_hold {
	uint64_t start, end; /* [start, end), in the lock's unit */
	bool exclusive;
	struct co_queue waiters; /* later requests that conflict with this hold */
	struct cds_list_head link; /* in the lock's list */
};

struct range_lock {
	pthread_mutex_t mutex; /* protects the list and every hold on it */
	struct cds_list_head holds; /* struct range_hold, in order of arrival */
	unsigned int exclusive; /* exclusive holds in the list; 0: no conflict is possible */
};

void range_lock_init(struct range_lock *lock);
void range_lock_destroy(struct range_lock *lock);

/*
 * Take [start, start + len), in the lock's unit, until range_lock_release(); @hold must
 * live that long.  Yields while there is an earlier conflicting hold.
 */
void range_lock_co_acquire(struct range_lock *lock, struct range_hold *hold, uint64_t start,
			   uint64_t len, bool exclusive);
/* Release @hold and wake its waiters.  The caller may then reuse or free @hold. */
void range_lock_release(struct range_lock *lock, struct range_hold *hold);

#endif
