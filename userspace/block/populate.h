/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Populating: keeping in a node what its backing file has, behind the readers'
 * backs (copy-on-read) or of one's own accord (streaming).
 *
 * Readers only note what is to be kept.  All else is done on the node's
 * background thread (background.h).
 */
#ifndef QEDBLK_BLOCK_POPULATE_H
#define QEDBLK_BLOCK_POPULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct aio_loop;
struct blk_node;

/* Made for every writable node that has a backing file. */
int populate_create(struct blk_node *node);
void populate_destroy(struct blk_node *node);

/*
 * Have the background thread run.  Returns 0 or a negative errno with a line;
 * -ENOTSUP for a node that has nothing to populate.  Coroutine; parks.
 */
int blk_co_background_start(struct blk_node *node, struct error *err);
/* Its loop, for jobs to run on; NULL where it was not started. */
struct aio_loop *blk_background_loop(struct blk_node *node);

/*
 * The clusters of [offset, offset + bytes), which a reader just had from the
 * backing file in @buf, are to be kept.  Never parks, allocates nothing.  The
 * background thread runs.
 */
void populate_later(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf);

/* Clusters that were read, and are neither kept nor given up yet.  Any thread. */
uint64_t blk_populate_pending(const struct blk_node *node);
/* Park until there were none for a moment. */
void blk_co_populate_drain(struct blk_node *node);
/* Let go of what is pending; populating has ended, and its thread, when this returns. */
void populate_co_stop(struct blk_node *node);

/* What populating a range came to. */
struct blk_populated {
	uint64_t data, zero; /* clusters that are kept now */
	uint64_t source_bytes; /* read from the backing file */
};

/* How much one call of blk_co_populate() may cover at most, in bytes: whole clusters. */
uint64_t blk_populate_window(const struct blk_node *node);

/*
 * Keep [offset, offset + bytes), whole clusters (but for the image's end), as
 * far as it shows the backing file; what comes from @base or below is left out
 * (NULL: nothing is).  @populated is added to.  Returns 0 or the first error; what could not be
 * kept is as it was.  On the background thread, in a coroutine; parks.
 */
int blk_co_populate(struct blk_node *node, const struct blk_node *base, uint64_t offset,
		    uint64_t bytes, struct blk_populated *populated);

/* Does somebody wait for a request to @node now?  On the background thread. */
bool blk_foreground_is_busy(struct blk_node *node);

#endif
