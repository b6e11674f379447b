/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters of a node.  Each loop counts in a slot of its own with relaxed
 * atomics; a reader adds the slots up.
 */
#ifndef QEDBLK_BLOCK_STATS_H
#define QEDBLK_BLOCK_STATS_H

#include <stdatomic.h>
#include <stdint.h>

/* NAME and description. */
#define BLK_STATS(X)                                                                \
	X(read_ops, "read requests")                                                \
	X(read_bytes, "bytes read")                                                 \
	X(write_ops, "write requests")                                              \
	X(write_bytes, "bytes written")                                             \
	X(zero_ops, "write-zeroes requests")                                        \
	X(zero_bytes, "bytes of write-zeroes")                                      \
	X(discard_ops, "discard requests")                                          \
	X(discard_bytes, "bytes discarded")                                         \
	X(flush_ops, "flush requests")                                              \
	X(errors, "requests that failed")                                           \
	X(scanned_ops, "write requests that were scanned for zeroes")               \
	X(detected_zero_ops, "runs of zeroes found in them")                        \
	X(detected_zero_bytes, "bytes of these runs")                               \
	X(direct_ops, "requests served without a coroutine")                        \
	X(backing_read_bytes, "bytes read from the backing file")                   \
	X(populated_clusters, "clusters populated from the backing file with data") \
	X(populated_zero_clusters, "clusters populated as zero clusters")           \
	X(populate_errors, "populate runs that failed")                             \
	X(allocated_clusters, "clusters allocated")                                 \
	X(zero_clusters, "clusters that became zero clusters")                      \
	X(freed_clusters, "clusters freed")                                         \
	X(reused_clusters, "allocations served from freed clusters")                \
	X(commits, "metadata commits")                                              \
	X(commit_rounds, "commits, with metadata or without")                       \
	X(commit_requests, "flushes and FUA writes that they were made for")        \
	X(commit_waiters, "flushes that shared a commit")                           \
	X(shared_fills, "small writes that shared the copying of their cluster")    \
	X(l2_hits, "L2 cache hits")                                                 \
	X(l2_misses, "L2 cache misses")                                             \
	X(l2_evictions, "L2 cache evictions")

/* Values that go up and down; a driver provides those that it has. */
#define BLK_GAUGES(X)                                                                 \
	X(free_clusters, "freed clusters that are ready for use")                     \
	X(pending_clusters, "freed clusters that are not durable, or not unused yet") \
	X(dirty_slices, "L2 slices that a commit would write")                        \
	X(cached_slices, "L2 slices in memory")                                       \
	X(largest_group, "most requests that one commit was made for")

enum blk_gauge {
#define X(name, text) BLK_GAUGE_##name,
	BLK_GAUGES(X)
#undef X
		BLK_GAUGE_COUNT
};

enum blk_stat {
#define X(name, text) BLK_STAT_##name,
	BLK_STATS(X)
#undef X
		BLK_STAT_COUNT
};

struct blk_stats_slot {
	_Atomic uint64_t value[BLK_STAT_COUNT];
} __attribute__((aligned(64)));

struct blk_stats {
	/* One per loop, and one for threads without a loop; pages are allocated at first use. */
	struct blk_stats_slot *slots;
};

/* Set all counters to 0.  Returns 0 or -ENOMEM. */
int blk_stats_init(struct blk_stats *stats);
void blk_stats_destroy(struct blk_stats *stats);
/* Add @n on the current loop's slot.  Any thread. */
void blk_stats_add(struct blk_stats *stats, enum blk_stat stat, uint64_t n);
/* Add all counts of @from to those of @to, on the current loop's slot. */
void blk_stats_add_all(struct blk_stats *to, const struct blk_stats *from);
/* The sum over all loops.  Any thread. */
uint64_t blk_stats_get(const struct blk_stats *stats, enum blk_stat stat);
/* Return the name and the description: "read_ops" and "read requests". */
const char *blk_stat_name(enum blk_stat stat);
const char *blk_stat_text(enum blk_stat stat);
const char *blk_gauge_name(enum blk_gauge gauge);
const char *blk_gauge_text(enum blk_gauge gauge);

#endif
