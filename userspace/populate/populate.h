/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Populating: keeping in a node what its backing file has, after it was read
 * (copy-on-read) or without that (streaming).
 *
 * It is a filter of a node's reads (block/filter.h).  Readers only note what is to be kept.  All
 * else is done on a thread that the node has for it (background.h).
 *
 * What the floors above may use: this header and trace.h.
 */
#ifndef QEDBLK_POPULATE_POPULATE_H
#define QEDBLK_POPULATE_POPULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct aio_loop;
struct blk_node;

/*
 * Attach to @node, which no request has used yet and which has no filter; blk_co_close() takes it
 * off again, on an error as well.  A node that is writable and has a backing file can then be
 * populated, and with @keep_reads each of its reads keeps what it read; any node can have its reads
 * traced.  Returns 0, or a negative errno with a line that names the image.  Coroutine; yields.
 */
int populate_co_attach(struct blk_node *node, bool keep_reads, struct error *err);

/* Can @node be populated? */
bool populate_can(const struct blk_node *node);

/* Was @node attached to with @keep_reads, and can be populated? */
bool populate_keeps_reads(const struct blk_node *node);

/*
 * Have the background thread run.  Returns 0 or a negative errno with a line;
 * -ENOTSUP for a node that has nothing to populate.  Coroutine; yields.
 */
int populate_co_start_background(struct blk_node *node, struct error *err);
/* Its loop, for jobs to run on; NULL where it was not started. */
struct aio_loop *populate_background_loop(struct blk_node *node);

/* Clusters that were read, and are neither kept nor given up yet.  Any thread. */
uint64_t populate_pending(const struct blk_node *node);
/* Wait until there were none for a moment.  Coroutine; yields. */
void populate_co_drain(struct blk_node *node);

/* What populating a range came to. */
struct populated {
	uint64_t data, zero; /* clusters that are kept now */
	uint64_t source_bytes; /* read from the backing file */
};

/* How much one call of populate_co_range() may cover at most, in bytes: whole clusters. */
uint64_t populate_window(const struct blk_node *node);

/*
 * Keep [offset, offset + bytes), whole clusters (but for the image's end), as
 * far as it shows the backing file; what comes from @base or below is left out
 * (NULL: nothing is).  @populated is added to.  Returns 0 or the first error; what could not be
 * kept is as it was.  On the background thread, in a coroutine; yields.
 */
int populate_co_range(struct blk_node *node, const struct blk_node *base, uint64_t offset,
		      uint64_t bytes, struct populated *populated);

/* Is a request to @node in flight that another thread serves?  On the background thread. */
bool populate_foreground_is_busy(struct blk_node *node);

#endif
