/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Populating: copy data of a node's backing file to the node and keep it, when it
 * is read (copy-on-read) or without a read (streaming).
 *
 * It is a filter of a node's reads (block/filter.h).  Readers only queue what is to be kept.  All
 * other work is done on the node's background thread (background.h).
 *
 * The interface for the layers above is this header and trace.h.
 */
#ifndef QEDBLK_POPULATE_POPULATE_H
#define QEDBLK_POPULATE_POPULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct aio_loop;
struct blk_node;

/*
 * Attach to @node, which no request has used yet and which has no filter.  blk_co_close() detaches,
 * also after an error here.  A node that is writable and has a backing file can then be populated,
 * and with @keep_reads the data of each of its reads is kept; the reads of any node can be traced.
 * Returns 0, or a negative errno with a line that names the image.  Coroutine; yields.
 */
int populate_co_attach(struct blk_node *node, bool keep_reads, struct error *err);

/*
 * End populating, and its thread, until populate_co_resume(): what was read and is not kept yet
 * waits or is forgotten, and reads are served without being kept.  No job may use the thread.
 * Requests may be in flight.  Coroutine; yields until the clusters that are being kept are done.
 */
void populate_co_pause(struct blk_node *node);
void populate_co_resume(struct blk_node *node);

/* Undo populate_co_attach().  No request may be in flight.  Coroutine; yields. */
void populate_co_detach(struct blk_node *node);

/*
 * Have @fn(@arg) called, on any thread, when a read of the backing file has failed in here.  @fn
 * must not block.  Call this before the first request.
 */
void populate_on_source_error(struct blk_node *node, void (*fn)(void *arg), void *arg);

/* Can @node be populated? */
bool populate_can(const struct blk_node *node);

/*
 * Keep the data of reads from now on, or not any more: reads that were begun are treated the old
 * way, and what they have queued is kept. Returns 0, or a negative errno with an error line;
 * -ENOTSUP, with @keep, for a node that cannot be populated. Coroutine; yields.
 */
int populate_co_keep_reads(struct blk_node *node, bool keep, struct error *err);

/* Is the data of reads kept? */
bool populate_keeps_reads(const struct blk_node *node);

/*
 * Start the background thread, unless it runs already.  Returns 0 or a negative errno
 * with an error line; -ENOTSUP for a node that cannot be populated.  Coroutine; yields.
 */
int populate_co_start_background(struct blk_node *node, struct error *err);
/* Return the background thread's loop, for jobs to run on; NULL if it was not started. */
struct aio_loop *populate_background_loop(struct blk_node *node);

/* Return the number of clusters that were read and are neither kept nor given up.  Any thread. */
uint64_t populate_pending(const struct blk_node *node);
/* Wait until that number was 0 at one moment.  Coroutine; yields. */
void populate_co_drain(struct blk_node *node);

/* The result of populating a range. */
struct populated {
	uint64_t data, zero; /* clusters that are kept now */
	uint64_t source_bytes; /* bytes read from the backing file */
};

/* Return the most bytes that one call of populate_co_range() may cover: whole clusters. */
uint64_t populate_window(const struct blk_node *node);

/*
 * Keep the parts of [offset, offset + bytes), whole clusters (but for the image's end),
 * that show the backing file.  Data from @base or below is skipped (NULL: nothing is).
 * Adds to @populated.  Returns 0 or the first error; clusters that cannot be kept do not
 * change.  On the background thread, in a coroutine; yields.
 */
int populate_co_range(struct blk_node *node, const struct blk_node *base, uint64_t offset,
		      uint64_t bytes, struct populated *populated);

/* Is a request to @node in flight on another thread?  For the background thread. */
bool populate_foreground_is_busy(struct blk_node *node);

#endif
