/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A new overlay on top of an image that is in use, which becomes its backing file, and back again
 * while nothing has been written to the overlay.  The image is not opened again.
 *
 * The caller, in this order: blk_co_open_over() while requests go to the image; with no request in
 * flight, blk_co_end_writes() of the image, and blk_begin_rescue() of the overlay; requests go to
 * the overlay; blk_co_settle_backing() of the image.
 */
#ifndef QEDBLK_BLOCK_OVERLAY_H
#define QEDBLK_BLOCK_OVERLAY_H

#include "block/node.h"

/*
 * Open the image @filename as an overlay of @backing, an open node with a chain of its own, which
 * must be what the image calls its backing file.  With @opts->rescue, which must have @later set,
 * its changes are recorded from blk_begin_rescue() on.  Returns 0 or a negative errno with an error
 * line.  Coroutine; yields.
 */
int blk_co_open_over(struct blk_node **node, const char *filename, const struct blk_open_opts *opts,
		     struct blk_node *backing, struct error *err);

/* Close @node without its backing node, which stays open.  Coroutine; yields. */
void blk_co_close_over(struct blk_node *node);

/* Are there as many images in the chain of @node as are allowed? */
bool blk_chain_is_full(const struct blk_node *node);

/*
 * End the writes to @node, which is open for writing, for good or until blk_begin_writes(): all of
 * them are durable, the rescue area has nothing of it, and it is read as a backing file is.  No
 * request may be in flight, and no job may run.  After an error nothing has changed.  Coroutine;
 * yields for a flush.
 */
int blk_co_end_writes(struct blk_node *node, struct error *err);

/* Undo blk_co_end_writes().  No request may be in flight. */
void blk_begin_writes(struct blk_node *node);

/* Record the changes of @node, opened with a rescue area for later, from now on. */
void blk_begin_rescue(struct blk_node *node);

/*
 * After blk_co_end_writes(), for good: leave the image on disk as one that was closed, and let
 * other programs use it as a backing file, too.  Reads may be in flight.  Errors are logged: they
 * leave nothing worse than leaks.  Coroutine; yields.
 */
void blk_co_settle_backing(struct blk_node *node);

#endif
