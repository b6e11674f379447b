/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the backing chain of a node holds, seen from who populates the node:
 * data, or zeroes that need no reading.
 */
#ifndef QEDBLK_BLOCK_SOURCE_H
#define QEDBLK_BLOCK_SOURCE_H

#include <stdint.h>

struct blk_node;

enum source_kind {
	SOURCE_DATA, /* to be read, and looked at */
	SOURCE_ZERO, /* zeroes, by the source's own word: holes of files, zero clusters */
	SOURCE_BELOW, /* the bytes of the base, which stays */
};

struct source_extent {
	uint64_t start, end; /* bytes; empty: none is known */
	enum source_kind kind;
};

#define SOURCE_REGION_BYTES (64ULL << 20)
#define SOURCE_EXTENTS	    256

/*
 * The last answers, one for each 64 MiB of the disk (that many at most are asked
 * about at once), so that a run of clusters does not ask for each.  A backing
 * chain does not change, so no answer grows old.
 */
struct source_cache {
	const struct blk_node *base; /* what the answers were for */
	struct source_extent extents[SOURCE_EXTENTS];
};

/*
 * What populating [offset, offset + bytes) of @node takes: whole clusters from
 * the start on that are alike, and their length in *@run.  What comes from
 * @base, a node of the backing chain, or from below it is BELOW (NULL: nothing is).
 * A source that cannot tell is DATA.  @cache is the background thread's.  Coroutine.
 */
enum source_kind source_co_look(struct blk_node *node, const struct blk_node *base,
				struct source_cache *cache, uint64_t offset, uint64_t bytes,
				uint64_t *run);

#endif
