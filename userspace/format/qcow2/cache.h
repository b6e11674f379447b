/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A bounded cache of equal pieces of memory that never change once they are
 * there.  Look-ups take no lock.
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
	QCOW2_ITEM_LOADING, /* on the list of its loaders */
	QCOW2_ITEM_READY, /* published */
	QCOW2_ITEM_RETIRED, /* unpublished, waiting for its last readers */
};

/* @data and @key are fixed while it is published; all else is under the cache's lock. */
struct qcow2_item {
	struct aio_rcu_head rcu;
	struct qcow2_cache *cache;
	void *data;
	uint64_t key;
	struct qcow2_item *_Atomic hash_next;
	_Atomic bool referenced; /* since the clock's hand passed */
	struct qcow2_item *list_next; /* free or loading list */
	enum qcow2_item_state state;
};

struct qcow2_cache {
	pthread_mutex_t lock; /* held for a few instructions, never across I/O */
	struct qcow2_item *items; /* @nr_items, in use or spare */
	void *memory; /* their data */
	size_t item_bytes;
	unsigned int nr_items;
	unsigned int capacity; /* published or loading at most; the rest lets readers finish */
	unsigned int used; /* published or loading */
	unsigned int retired;
	unsigned int clock_hand;
	struct qcow2_item *free, *loading; /* lists by list_next */
	struct co_queue waiters; /* for a load to end, or an item to become free */
	struct qcow2_item *_Atomic *buckets;
	uint64_t bucket_mask;
};

/*
 * Room for about @bytes of data, at least @min_items.  Memory is taken as it comes
 * into use.  Returns 0 or -ENOMEM; destroy it in any case.
 */
int qcow2_cache_init(struct qcow2_cache *cache, size_t item_bytes, uint64_t bytes,
		     unsigned int min_items);
/* Parks until the last readers are gone.  Also after zeroing it without init. */
void qcow2_cache_co_destroy(struct qcow2_cache *cache);

/* The data of @key, or NULL.  Never blocks; valid until the caller parks. */
const void *qcow2_cache_find(struct qcow2_cache *cache, uint64_t key);

/* Make the data of @key, at @data.  May park.  Returns 0 or a negative errno. */
typedef int qcow2_fill_fn(void *arg, uint64_t key, void *data);

/*
 * Have the data of @key loaded by @fill(@arg); one load serves all who want it.
 * Parks.  It may be gone again when the caller looks: look, and call again.
 */
int qcow2_cache_co_load(struct qcow2_cache *cache, uint64_t key, qcow2_fill_fn *fill, void *arg);

#endif
