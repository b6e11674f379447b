/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rebasing: an image gets another backing file and goes on reading as it did.
 */
#ifndef QEDBLK_JOB_REBASE_H
#define QEDBLK_JOB_REBASE_H

#include "block/node.h"
#include "job/pieces.h"

/*
 * Write to @top, which is writable, what its backing file shows in it and @base, a
 * chain of its own (NULL: none), would not.  A reader notices nothing, and the image
 * reads alike over both afterwards: blk_co_change_backing(), which makes all of
 * that durable first, may follow.  No request may be in flight.  Coroutine.  The
 * error line names the file.
 */
int rebase_co_copy(struct blk_node *top, struct blk_node *base, pieces_progress_fn *progress,
		   struct error *err);

#endif
