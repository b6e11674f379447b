// SPDX-License-Identifier: GPL-2.0
/*
 * Counters of a node, one set per loop.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "aio/loop.h"
#include "block/stats.h"

/* The slot for threads that have no loop (workers) is the last. */
#define SLOT_COUNT (AIO_MAX_LOOPS + 1)

static const char *const stat_names[] = {
#define X(name, text) #name,
	BLK_STATS(X)
#undef X
};

static const char *const stat_texts[] = {
#define X(name, text) text,
	BLK_STATS(X)
#undef X
};

static const char *const gauge_names[] = {
#define X(name, text) #name,
	BLK_GAUGES(X)
#undef X
};

static const char *const gauge_texts[] = {
#define X(name, text) text,
	BLK_GAUGES(X)
#undef X
};

int blk_stats_init(struct blk_stats *stats)
{
	/* A mapping of its own, so that only the pages of loops that count are touched. */
	void *slots = mmap(NULL, SLOT_COUNT * sizeof(*stats->slots), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (slots == MAP_FAILED)
		return -errno;
	stats->slots = slots;
	return 0;
}

void blk_stats_destroy(struct blk_stats *stats)
{
	if (stats->slots)
		munmap(stats->slots, SLOT_COUNT * sizeof(*stats->slots));
	stats->slots = NULL;
}

void blk_stats_add(struct blk_stats *stats, enum blk_stat stat, uint64_t n)
{
	struct aio_loop *loop = aio_loop_current();
	_Atomic uint64_t *value;

	if (!loop) {
		value = &stats->slots[AIO_MAX_LOOPS].value[stat];
		atomic_fetch_add_explicit(value, n, memory_order_relaxed);
		return;
	}
	/* The slot has one writer, so a locked instruction is not needed. */
	value = &stats->slots[aio_loop_index(loop)].value[stat];
	atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

uint64_t blk_stats_get(const struct blk_stats *stats, enum blk_stat stat)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < SLOT_COUNT; i++)
		sum += atomic_load_explicit(&stats->slots[i].value[stat], memory_order_relaxed);
	return sum;
}

void blk_stats_add_all(struct blk_stats *to, const struct blk_stats *from)
{
	for (int i = 0; i < BLK_STAT_COUNT; i++)
		blk_stats_add(to, i, blk_stats_get(from, i));
}

const char *blk_stat_name(enum blk_stat stat)
{
	return stat_names[stat];
}

const char *blk_stat_text(enum blk_stat stat)
{
	return stat_texts[stat];
}

const char *blk_gauge_name(enum blk_gauge gauge)
{
	return gauge_names[gauge];
}

const char *blk_gauge_text(enum blk_gauge gauge)
{
	return gauge_texts[gauge];
}
