// SPDX-License-Identifier: GPL-2.0
/*
 * The cache of L2 slices: bounded in size, read without locks.
 *
 * Published slices are in a hash with at least as many buckets as the capacity.
 * Readers walk a chain with acquire loads; slices are inserted and unlinked under
 * meta_lock with release stores.  An unlinked slice keeps its chain pointer and
 * contents until a grace period has passed.  So a reader that has reached it walks
 * on into the live chain; at worst it misses, and looks again.
 *
 * Dirty slices, and slices whose copy a commit is writing, are never evicted:
 * a slice that is not in the cache is on the disk.
 *
 * A load never waits for a commit, which may fail.  All other slices can be evicted,
 * however often they are read.  If there is none, the load takes a spare one, beyond
 * the capacity.  Writers make no slice dirty while too many are (entries.c), so the
 * slices that are dirty or being committed are fewer than all slices.  So if there is
 * no spare one, another slice is being loaded, or was evicted and becomes free after
 * the grace period; the end of either wakes the waiters.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "format/qed/flusher.h"
#include "format/qed/image.h"
#include "format/qed/l2_cache.h"
#include "format/qed/rescue.h"
#include "format/qed/tables.h"
#include "util/units.h"

#define DEFAULT_BYTES (16 * MiB)
#define MIN_BYTES     (64 * KiB)
#define MAX_BYTES     (1ULL << 40)
/* Slices beyond the capacity, so that a miss need not wait for readers of an evicted slice. */
#define SPARE_SLICES(capacity) (64 + (capacity) / 8)

static struct l2_slice *_Atomic *bucket_of(struct l2_cache *cache, uint64_t index)
{
	/* Fibonacci hashing: neighbours spread out, and hostile strides gain little. */
	return &cache->buckets[(index * 0x9e3779b97f4a7c15ULL >> 20) & cache->bucket_mask];
}

int l2_cache_init(struct qed_image *img, uint64_t bytes)
{
	struct l2_cache *cache = &img->cache;
	uint64_t buckets = 64;
	void *memory;

	bytes = min_u64(max_u64(bytes ? bytes : DEFAULT_BYTES, MIN_BYTES), MAX_BYTES);
	co_queue_init(&cache->waiters);
	cache->capacity = min_u64(bytes / QED_SLICE_BYTES, 1u << 30);
	cache->nr_slices = cache->capacity + SPARE_SLICES(cache->capacity);
	while (buckets < cache->capacity)
		buckets *= 2;
	cache->bucket_mask = buckets - 1;
	cache->buckets = calloc(buckets, sizeof(*cache->buckets));
	cache->slices = calloc(cache->nr_slices, sizeof(*cache->slices));
	/* Mapped, so that memory is taken only as slices come into use. */
	memory = mmap(NULL, (size_t)cache->nr_slices * QED_SLICE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		cache->memory = NULL;
		return -ENOMEM;
	}
	cache->memory = memory;
	if (!cache->buckets || !cache->slices)
		return -ENOMEM;
	for (unsigned int i = cache->nr_slices; i-- > 0;) {
		struct l2_slice *slice = &cache->slices[i];

		slice->img = img;
		slice->entries = cache->memory + (size_t)i * QED_SLICE_ENTRIES;
		slice->list_next = cache->free;
		cache->free = slice;
	}
	return 0;
}

/*
 * Under meta_lock, dropped to wait: wait until no slice is retired.  A helper thread frees each
 * after a grace period.
 */
static void await_retired(struct qed_image *img)
{
	while (img->cache.retired)
		co_queue_wait(&img->cache.waiters, &img->meta_lock);
}

void l2_cache_destroy(struct qed_image *img)
{
	struct l2_cache *cache = &img->cache;

	/* Before the slices' memory is freed. */
	pthread_mutex_lock(&img->meta_lock);
	await_retired(img);
	pthread_mutex_unlock(&img->meta_lock);
	if (cache->memory)
		munmap(cache->memory, (size_t)cache->nr_slices * QED_SLICE_BYTES);
	free(cache->slices);
	free(cache->buckets);
	memset(cache, 0, sizeof(*cache));
}

void l2_cache_co_forget(struct qed_image *img)
{
	struct l2_cache *cache = &img->cache;

	pthread_mutex_lock(&img->meta_lock);
	await_retired(img);
	for (unsigned int i = 0; i < cache->nr_slices; i++) {
		struct l2_slice *slice = &cache->slices[i];

		if (slice->state != L2_SLICE_READY)
			continue;
		slice->state = L2_SLICE_FREE;
		slice->list_next = cache->free;
		cache->free = slice;
	}
	for (uint64_t b = 0; b <= cache->bucket_mask; b++)
		atomic_store_explicit(&cache->buckets[b], NULL, memory_order_relaxed);
	cache->published = 0;
	pthread_mutex_unlock(&img->meta_lock);
}

struct l2_slice *l2_cache_find(struct qed_image *img, uint64_t index)
{
	struct l2_slice *slice =
		atomic_load_explicit(bucket_of(&img->cache, index), memory_order_acquire);

	while (slice && slice->index != index)
		slice = atomic_load_explicit(&slice->hash_next, memory_order_acquire);
	/* Load first: a store to a cache line that all queues share is expensive. */
	if (slice && !atomic_load_explicit(&slice->referenced, memory_order_relaxed))
		atomic_store_explicit(&slice->referenced, true, memory_order_relaxed);
	return slice;
}

static void publish(struct l2_cache *cache, struct l2_slice *slice)
{
	struct l2_slice *_Atomic *bucket = bucket_of(cache, slice->index);

	slice->state = L2_SLICE_READY;
	atomic_store_explicit(&slice->hash_next, atomic_load_explicit(bucket, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(bucket, slice, memory_order_release);
}

static void unpublish(struct l2_cache *cache, struct l2_slice *slice)
{
	struct l2_slice *_Atomic *link = bucket_of(cache, slice->index);
	struct l2_slice *next;

	while ((next = atomic_load_explicit(link, memory_order_relaxed)) != slice)
		link = &next->hash_next;
	next = atomic_load_explicit(&slice->hash_next, memory_order_relaxed);
	atomic_store_explicit(link, next, memory_order_release);
}

/* On the helper thread, after a grace period: no reader uses the slice any more. */
static void slice_reclaim(struct aio_rcu_head *head)
{
	struct l2_slice *slice = container_of(head, struct l2_slice, rcu);
	struct qed_image *img = slice->img;
	struct l2_cache *cache = &img->cache;

	pthread_mutex_lock(&img->meta_lock);
	slice->state = L2_SLICE_FREE;
	slice->list_next = cache->free;
	cache->free = slice;
	cache->retired--;
	co_queue_wake_all(&cache->waiters);
	pthread_mutex_unlock(&img->meta_lock);
}

/*
 * Unpublish the next slice from the clock hand on that was not referenced since the hand last
 * passed, or, after two rounds without one, the next that is clean.  Under meta_lock.  False: none
 * can be evicted.
 */
static bool evict_one(struct qed_image *img)
{
	struct l2_cache *cache = &img->cache;

	for (unsigned int n = 0; n < 3 * cache->nr_slices; n++) {
		struct l2_slice *slice = &cache->slices[cache->clock_hand];

		cache->clock_hand = (cache->clock_hand + 1) % cache->nr_slices;
		if (slice->state != L2_SLICE_READY || slice->dirty || slice->committing)
			continue;
		if (atomic_exchange_explicit(&slice->referenced, false, memory_order_relaxed) &&
		    n < 2 * cache->nr_slices)
			continue;
		unpublish(cache, slice);
		slice->state = L2_SLICE_RETIRED;
		cache->published--;
		cache->retired++;
		blk_stats_add(&img->node->stats, BLK_STAT_l2_evictions, 1);
		aio_rcu_defer(&slice->rcu, slice_reclaim);
		return true;
	}
	return false;
}

/*
 * Return a slice to load into, or NULL after a wait: the caller then looks again.  Under meta_lock,
 * which is dropped to wait.
 */
static struct l2_slice *take_slice(struct qed_image *img)
{
	struct l2_cache *cache = &img->cache;
	struct l2_slice *slice;

	while (cache->published >= cache->capacity && evict_one(img))
		;
	/* Full of dirty slices: a commit makes them evictable. */
	if (cache->published >= cache->capacity && img->commit.nr_dirty)
		qed_flusher_commit(img, true);
	slice = cache->free;
	if (!slice) {
		co_queue_wait(&cache->waiters, &img->meta_lock);
		return NULL;
	}
	cache->free = slice->list_next;
	cache->published++;
	return slice;
}

/* Read the slice's entries from the file into memory.  *@blank tells whether all are 0. */
static int read_slice(struct qed_image *img, struct l2_slice *slice, bool *blank)
{
	int ret;

	/* Not published, so no reader sees the slice yet: it may be filled as plain memory. */
	ret = blk_file_co_pread(img->file, (void *)slice->entries, QED_SLICE_BYTES,
				qed_slice_offset(img, slice->index));
	if (ret)
		return ret;
	for (unsigned int i = 0; i < QED_SLICE_ENTRIES; i++) {
		uint64_t entry = atomic_load_explicit(&slice->entries[i], memory_order_relaxed);

		*blank &= !entry;
		atomic_store_explicit(&slice->entries[i], le64toh(entry), memory_order_relaxed);
	}
	return 0;
}

static struct l2_slice *find_loading(struct l2_cache *cache, uint64_t index)
{
	struct l2_slice *slice = cache->loading;

	while (slice && slice->index != index)
		slice = slice->list_next;
	return slice;
}

static void end_loading(struct l2_cache *cache, struct l2_slice *slice)
{
	struct l2_slice **link = &cache->loading;

	while (*link != slice)
		link = &(*link)->list_next;
	*link = slice->list_next;
	slice->list_next = NULL;
}

/*
 * Load @index, which is not in the hash.  The caller holds meta_lock, under which it
 * looked; the lock is dropped for the I/O.  The slice is on the loading list meanwhile,
 * so that one load serves all coroutines that need it.
 */
static int load_locked(struct qed_image *img, struct l2_slice *slice, uint64_t index)
{
	struct l2_cache *cache = &img->cache;
	bool blank = true;
	int ret;

	slice->state = L2_SLICE_LOADING;
	slice->index = index;
	slice->list_next = cache->loading;
	cache->loading = slice;
	pthread_mutex_unlock(&img->meta_lock);
	blk_stats_add(&img->node->stats, BLK_STAT_l2_misses, 1);

	ret = read_slice(img, slice, &blank);

	pthread_mutex_lock(&img->meta_lock);
	end_loading(cache, slice);
	if (ret) {
		slice->state = L2_SLICE_FREE;
		slice->list_next = cache->free;
		cache->free = slice;
		cache->published--;
	} else {
		atomic_store_explicit(&slice->referenced, true, memory_order_relaxed);
		/* All zeroes may be a hole. */
		slice->has_space = !blank;
		publish(cache, slice);
	}
	co_queue_wake_all(&cache->waiters);
	return ret;
}

int l2_cache_co_load(struct qed_image *img, uint64_t index)
{
	struct l2_cache *cache = &img->cache;
	int ret = 0;

	pthread_mutex_lock(&img->meta_lock);
	while (!l2_cache_find(img, index)) {
		struct l2_slice *slice;

		if (find_loading(cache, index)) {
			co_queue_wait(&cache->waiters, &img->meta_lock);
			continue;
		}
		slice = take_slice(img);
		if (slice)
			ret = load_locked(img, slice, index);
		if (ret)
			break;
	}
	pthread_mutex_unlock(&img->meta_lock);
	return ret;
}

void l2_slice_set(struct qed_image *img, struct l2_slice *slice, unsigned int i, uint64_t entry)
{
	struct qed_commit *commit = &img->commit;

	/* Before a reader can see the entry, and its request can be answered. */
	qed_rescue_slice_dirty(img, slice);
	qed_rescue_entry(img, slice, i, entry);
	/* Release: a reader that sees the entry sees the stores that preceded it. */
	atomic_store_explicit(&slice->entries[i], entry, memory_order_release);
	if (!slice->dirty) {
		slice->dirty = true;
		slice->list_next = commit->dirty;
		commit->dirty = slice;
		commit->nr_dirty++;
		qed_flusher_commit(img, false);
	}
}
