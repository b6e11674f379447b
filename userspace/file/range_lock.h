/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracked requests: locks on byte (or cluster) ranges, held across I/O by
 * coroutines of any thread.
 *
 * Two holds conflict when their ranges overlap and at least one of them is
 * exclusive (serialising).  Conflicting holds are granted in the order in
 * which they were asked for, so waiting always ends and nobody starves.
 */
#ifndef QEDBLK_FILE_RANGE_LOCK_H
#define QEDBLK_FILE_RANGE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "aio/lock.h"

struct range_hold {
	uint64_t start, end; /* [start, end), in the lock's unit */
	bool exclusive;
	struct co_queue waiters; /* those that conflict with this hold and came later */
	struct range_hold *prev, *next; /* the lock's list, in order of arrival */
};

struct range_lock {
	pthread_mutex_t mutex; /* protects the list and every hold on it */
	struct range_hold *head, *tail;
	unsigned int exclusive; /* how many of the list are: none, and sharers need not look */
};

void range_lock_init(struct range_lock *lock);
void range_lock_destroy(struct range_lock *lock);

/*
 * Take [start, start + len), until range_lock_release() of @hold, which lives as long;
 * parks while an earlier conflicting hold stands.
 */
void range_lock_co_acquire(struct range_lock *lock, struct range_hold *hold, uint64_t start,
			   uint64_t len, bool exclusive);
/* Let go, and wake who waits for that.  @hold is the caller's again. */
void range_lock_release(struct range_lock *lock, struct range_hold *hold);

#endif
