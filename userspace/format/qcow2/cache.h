/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A bounded cache of items of one size, which never change once published.
 * Look-ups take no lock.
 */
#ifndef QEDBLK_FORMAT_QCOW2_CACHE_H
#define QEDBLK_FORMAT_QCOW2_CACHE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aio/lock.h"
#include "aio/rcu.h"

enum qcow2_item_state {
	QCOW2_ITEM_FREE, /* on the free list */
	QCOW2_ITEM_LOADING, /* on the loading list */
	QCOW2_ITEM_READY, /* published: in the hash */
	QCOW2_ITEM_RETIRED, /* unpublished, until a grace period has passed */
};

/*
 * @data and @key are fixed while it is published; all but the atomic members is under the cache's
 * lock.
 */
struct qcow2_item {
	struct aio_rcu_head rcu;
	struct qcow2_cache *cache;
	void *data;
	uint64_t key;
	struct qcow2_item *_Atomic hash_next;
	_Atomic bool referenced; /* since the clock hand last passed */
	struct qcow2_item *list_next; /* free or loading list */
	enum qcow2_item_state state;
};

struct qcow2_cache {
	pthread_mutex_t lock; /* held for a few instructions, never across I/O */
	struct qcow2_item *items; /* @nr_items, in use or spare */
	void *memory; /* their data */
	size_t item_bytes;
	unsigned int nr_items;
	unsigned int capacity; /* limit of @used; items beyond it stand in for retired ones */
	unsigned int used; /* published or loading */
	unsigned int retired;
	unsigned int clock_hand;
	struct qcow2_item *free, *loading; /* lists by list_next */
	struct co_queue waiters; /* for the end of a load, or for a free item */
	struct qcow2_item *_Atomic *buckets;
	uint64_t bucket_mask;
};

/*
 * Make room for about @bytes of data, and at least @min_items items of @item_bytes.
 * Physical memory is taken as items come into use.  Returns 0 or -ENOMEM; the caller
 * calls qcow2_cache_co_destroy() in either case.
 */
int qcow2_cache_init(struct qcow2_cache *cache, size_t item_bytes, uint64_t bytes,
		     unsigned int min_items);
/*
 * Free the memory, once the grace periods of evicted items have passed.  Yields.  A zeroed cache
 * may be destroyed, too.
 */
void qcow2_cache_co_destroy(struct qcow2_cache *cache);

/* Return the data of @key, or NULL.  Never blocks; valid until the caller yields. */
const void *qcow2_cache_find(struct qcow2_cache *cache, uint64_t key);

/* Write the data of @key to @data.  May yield.  Returns 0 or a negative errno. */
typedef int qcow2_fill_fn(void *arg, uint64_t key, void *data);

/*
 * Load the data of @key by @fill(@arg); one load serves all callers that need it.
 * Returns 0 or @fill's error.  Yields.  The data may be evicted again before the caller
 * finds it; the caller then calls again.
 */
int qcow2_cache_co_load(struct qcow2_cache *cache, uint64_t key, qcow2_fill_fn *fill, void *arg);

#endif
