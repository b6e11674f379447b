// SPDX-License-Identifier: GPL-2.0
/*
 * A bounded pool of equal, page-aligned buffers, shared by all loops.
 */
#include "aio/bufpool.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <urcu/list.h>

#include "aio/co.h"

struct buf_waiter {
	struct cds_list_head link; /* in pool->waiters */
	struct co *co;
	void *buf;
};

struct bufpool {
	pthread_mutex_t mutex;
	struct cds_list_head waiters; /* struct buf_waiter; none while a buffer is free */
	unsigned int nr_free; /* in free[], last in first out */
	unsigned int nr_fresh; /* at the region's end, never used */
	unsigned int count;
	size_t buf_size;
	char *region;
	void *free[];
};

int bufpool_create(struct bufpool **out, size_t buf_size, unsigned int count)
{
	struct bufpool *pool;
	size_t size;

	if (!count || !buf_size || buf_size % (size_t)sysconf(_SC_PAGESIZE) ||
	    __builtin_mul_overflow(buf_size, count, &size))
		return -EINVAL;
	pool = malloc(sizeof(*pool) + count * sizeof(pool->free[0]));
	if (!pool)
		return -ENOMEM;
	pool->region = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pool->region == MAP_FAILED) {
		free(pool);
		return -ENOMEM;
	}
	pthread_mutex_init(&pool->mutex, NULL);
	CDS_INIT_LIST_HEAD(&pool->waiters);
	pool->nr_free = 0;
	pool->nr_fresh = pool->count = count;
	pool->buf_size = buf_size;
	*out = pool;
	return 0;
}

void bufpool_destroy(struct bufpool *pool)
{
	if (!pool)
		return;
	pthread_mutex_destroy(&pool->mutex);
	munmap(pool->region, pool->buf_size * pool->count);
	free(pool);
}

size_t bufpool_buf_size(const struct bufpool *pool)
{
	return pool->buf_size;
}

unsigned int bufpool_count(const struct bufpool *pool)
{
	return pool->count;
}

static void *take(struct bufpool *pool)
{
	if (pool->nr_free)
		return pool->free[--pool->nr_free];
	if (pool->nr_fresh)
		return pool->region + pool->buf_size * (pool->count - pool->nr_fresh--);
	return NULL;
}

void *bufpool_try_get(struct bufpool *pool)
{
	void *buf;

	pthread_mutex_lock(&pool->mutex);
	buf = take(pool);
	pthread_mutex_unlock(&pool->mutex);
	return buf;
}

void *bufpool_co_get(struct bufpool *pool)
{
	struct buf_waiter waiter = { .co = co_self() };

	pthread_mutex_lock(&pool->mutex);
	waiter.buf = take(pool);
	if (waiter.buf) {
		pthread_mutex_unlock(&pool->mutex);
		return waiter.buf;
	}
	cds_list_add_tail(&waiter.link, &pool->waiters);
	pthread_mutex_unlock(&pool->mutex);
	co_park();
	return waiter.buf;
}

void bufpool_put(struct bufpool *pool, void *buf)
{
	struct buf_waiter *waiter;

	pthread_mutex_lock(&pool->mutex);
	if (cds_list_empty(&pool->waiters)) {
		pool->free[pool->nr_free++] = buf;
	} else {
		/* Handed over, not freed: a later caller cannot take it first. */
		waiter = cds_list_first_entry(&pool->waiters, struct buf_waiter, link);
		cds_list_del(&waiter->link);
		waiter->buf = buf;
		co_wake(waiter->co);
	}
	pthread_mutex_unlock(&pool->mutex);
}
