// SPDX-License-Identifier: GPL-2.0
/*
 * The cache of L2 slices and of inflated clusters: bounded in size, read without
 * locks.
 *
 * Published items are in a hash.  Readers walk a chain with acquire loads; items
 * are inserted and unlinked under the lock with release stores.  An unlinked item
 * keeps its chain pointer and data until a grace period has passed (aio/rcu.h).  So
 * a reader that has reached it walks on into the live chain; at worst it misses,
 * and looks again.
 *
 * QED's cache of slices (format/qed/l2_cache.c) works the same way, but also has
 * to handle changes and commits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "format/qcow2/cache.h"
#include "util/units.h"

/* Items beyond the capacity, so that a miss need not wait for readers of an evicted item. */
#define SPARE_ITEMS(capacity) (2 + min_u64((capacity) / 4, 64))
#define MAX_ITEMS	      (1u << 28)

static struct qcow2_item *_Atomic *bucket_of(struct qcow2_cache *cache, uint64_t key)
{
	/* Fibonacci hashing: neighbours spread out, and hostile strides gain little. */
	return &cache->buckets[(key * 0x9e3779b97f4a7c15ULL >> 20) & cache->bucket_mask];
}

static int alloc_memory(struct qcow2_cache *cache)
{
	uint64_t buckets = 16;
	void *memory;

	while (buckets < cache->capacity)
		buckets *= 2;
	cache->bucket_mask = buckets - 1;
	cache->buckets = calloc(buckets, sizeof(*cache->buckets));
	cache->items = calloc(cache->nr_items, sizeof(*cache->items));
	if (!cache->buckets || !cache->items)
		return -ENOMEM;
	memory = mmap(NULL, cache->nr_items * cache->item_bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	cache->memory = memory;
	return 0;
}

int qcow2_cache_init(struct qcow2_cache *cache, size_t item_bytes, uint64_t bytes,
		     unsigned int min_items)
{
	int ret;

	memset(cache, 0, sizeof(*cache));
	pthread_mutex_init(&cache->lock, NULL);
	co_queue_init(&cache->waiters);
	cache->item_bytes = item_bytes;
	cache->capacity = min_u64(max_u64(bytes / item_bytes, min_items), MAX_ITEMS);
	cache->nr_items = cache->capacity + SPARE_ITEMS(cache->capacity);
	ret = alloc_memory(cache);
	if (ret)
		return ret;
	for (unsigned int i = cache->nr_items; i-- > 0;) {
		struct qcow2_item *item = &cache->items[i];

		item->cache = cache;
		item->data = (char *)cache->memory + i * item_bytes;
		item->list_next = cache->free;
		cache->free = item;
	}
	return 0;
}

void qcow2_cache_co_destroy(struct qcow2_cache *cache)
{
	if (!cache->item_bytes)
		return;
	/* Retired items are freed on a helper thread: wait for that before freeing the memory. */
	pthread_mutex_lock(&cache->lock);
	while (cache->retired)
		co_queue_wait(&cache->waiters, &cache->lock);
	pthread_mutex_unlock(&cache->lock);
	if (cache->memory)
		munmap(cache->memory, cache->nr_items * cache->item_bytes);
	free(cache->items);
	free(cache->buckets);
	pthread_mutex_destroy(&cache->lock);
	memset(cache, 0, sizeof(*cache));
}

static struct qcow2_item *find_item(struct qcow2_cache *cache, uint64_t key)
{
	struct qcow2_item *item = atomic_load_explicit(bucket_of(cache, key), memory_order_acquire);

	while (item && item->key != key)
		item = atomic_load_explicit(&item->hash_next, memory_order_acquire);
	return item;
}

const void *qcow2_cache_find(struct qcow2_cache *cache, uint64_t key)
{
	struct qcow2_item *item = find_item(cache, key);

	if (!item)
		return NULL;
	/* Load first: a store to a cache line that all queues share is expensive. */
	if (!atomic_load_explicit(&item->referenced, memory_order_relaxed))
		atomic_store_explicit(&item->referenced, true, memory_order_relaxed);
	return item->data;
}

static void publish(struct qcow2_cache *cache, struct qcow2_item *item)
{
	struct qcow2_item *_Atomic *bucket = bucket_of(cache, item->key);

	item->state = QCOW2_ITEM_READY;
	atomic_store_explicit(&item->referenced, true, memory_order_relaxed);
	atomic_store_explicit(&item->hash_next, atomic_load_explicit(bucket, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(bucket, item, memory_order_release);
}

static void unpublish(struct qcow2_cache *cache, struct qcow2_item *item)
{
	struct qcow2_item *_Atomic *link = bucket_of(cache, item->key);
	struct qcow2_item *next;

	while ((next = atomic_load_explicit(link, memory_order_relaxed)) != item)
		link = &next->hash_next;
	next = atomic_load_explicit(&item->hash_next, memory_order_relaxed);
	atomic_store_explicit(link, next, memory_order_release);
}

/* Under the lock. */
static void put_free(struct qcow2_cache *cache, struct qcow2_item *item)
{
	item->state = QCOW2_ITEM_FREE;
	item->list_next = cache->free;
	cache->free = item;
}

/* On the helper thread, after a grace period: no reader uses the item any more. */
static void reclaim(struct aio_rcu_head *head)
{
	struct qcow2_item *item = container_of(head, struct qcow2_item, rcu);
	struct qcow2_cache *cache = item->cache;

	pthread_mutex_lock(&cache->lock);
	put_free(cache, item);
	cache->retired--;
	co_queue_wake_all(&cache->waiters);
	pthread_mutex_unlock(&cache->lock);
}

/*
 * Unpublish the next item from the clock hand on that was not referenced since the hand last
 * passed, or, after two rounds without one, the next.  Under the lock.  False: no item is
 * published.
 */
static bool evict_one(struct qcow2_cache *cache)
{
	for (unsigned int n = 0; n < 3 * cache->nr_items; n++) {
		struct qcow2_item *item = &cache->items[cache->clock_hand];

		cache->clock_hand = (cache->clock_hand + 1) % cache->nr_items;
		if (item->state != QCOW2_ITEM_READY)
			continue;
		if (atomic_exchange_explicit(&item->referenced, false, memory_order_relaxed) &&
		    n < 2 * cache->nr_items)
			continue;
		unpublish(cache, item);
		item->state = QCOW2_ITEM_RETIRED;
		cache->used--;
		cache->retired++;
		aio_rcu_defer(&item->rcu, reclaim);
		return true;
	}
	return false;
}

/*
 * Return an item to load into, or NULL after a wait: the caller then looks again.
 * Under the lock, which is dropped to wait.
 */
static struct qcow2_item *take_item(struct qcow2_cache *cache)
{
	struct qcow2_item *item;

	if ((cache->used >= cache->capacity && !evict_one(cache)) || !cache->free) {
		/* Items are being loaded or are retired: the end of either wakes the waiters. */
		co_queue_wait(&cache->waiters, &cache->lock);
		return NULL;
	}
	item = cache->free;
	cache->free = item->list_next;
	cache->used++;
	return item;
}

static bool is_loading(struct qcow2_cache *cache, uint64_t key)
{
	struct qcow2_item *item = cache->loading;

	while (item && item->key != key)
		item = item->list_next;
	return item;
}

/* Fill @item for @key.  Under the lock, which is dropped meanwhile. */
static int load_locked(struct qcow2_cache *cache, struct qcow2_item *item, uint64_t key,
		       qcow2_fill_fn *fill, void *arg)
{
	struct qcow2_item **link;
	int ret;

	item->state = QCOW2_ITEM_LOADING;
	item->key = key;
	item->list_next = cache->loading;
	cache->loading = item;
	pthread_mutex_unlock(&cache->lock);

	ret = fill(arg, key, item->data);

	pthread_mutex_lock(&cache->lock);
	for (link = &cache->loading; *link != item;)
		link = &(*link)->list_next;
	*link = item->list_next;
	if (ret) {
		put_free(cache, item);
		cache->used--;
	} else {
		publish(cache, item);
	}
	co_queue_wake_all(&cache->waiters);
	return ret;
}

int qcow2_cache_co_load(struct qcow2_cache *cache, uint64_t key, qcow2_fill_fn *fill, void *arg)
{
	int ret = 0;

	pthread_mutex_lock(&cache->lock);
	while (!ret && !find_item(cache, key)) {
		struct qcow2_item *item = NULL;

		if (is_loading(cache, key))
			co_queue_wait(&cache->waiters, &cache->lock);
		else
			item = take_item(cache);
		if (item)
			ret = load_locked(cache, item, key, fill, arg);
	}
	pthread_mutex_unlock(&cache->lock);
	return ret;
}
