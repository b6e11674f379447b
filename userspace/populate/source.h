/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the backing chain of a node holds, for populating the node: data, or zeroes
 * that need not be read.
 */
#ifndef QEDBLK_BLOCK_SOURCE_H
#define QEDBLK_BLOCK_SOURCE_H

#include <stdint.h>

struct blk_node;

enum source_kind {
	SOURCE_DATA, /* to be read and scanned for zeroes */
	SOURCE_ZERO, /* known zeroes: holes of files, zero clusters */
	SOURCE_BELOW, /* from the base or below, which stays the backing file */
};

struct source_extent {
	uint64_t start, end; /* bytes; empty: none is known */
	enum source_kind kind;
};

#define SOURCE_REGION_BYTES (64ULL << 20)
#define SOURCE_EXTENTS	    256

/*
 * The last answers, one for each 64 MiB of the disk (the most that one query covers),
 * so that a run of clusters takes no query for each.  A backing chain does not
 * change, so answers stay valid.
 */
struct source_cache {
	const struct blk_node *base; /* the base of all answers */
	struct source_extent extents[SOURCE_EXTENTS];
};

/*
 * Return the kind of the first run of [offset, offset + bytes) of @node; *@run is its
 * length in bytes, whole clusters.  Clusters from @base, a node of the backing chain, or
 * from below it are BELOW (NULL: none is).  Clusters of unknown or mixed kind are DATA.
 * @cache belongs to the background thread.  Coroutine; yields.
 */
enum source_kind source_co_look(struct blk_node *node, const struct blk_node *base,
				struct source_cache *cache, uint64_t offset, uint64_t bytes,
				uint64_t *run);

#endif
