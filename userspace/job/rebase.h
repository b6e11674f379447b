/* SPDX-License-Identifier: GPL-2.0 */
/* Rebasing: give an image another backing file without changing what it reads as. */
#ifndef QEDBLK_JOB_REBASE_H
#define QEDBLK_JOB_REBASE_H

#include "block/node.h"
#include "job/pieces.h"

/*
 * Write to @top, which is writable, the data of its backing file that @base, a
 * separately opened chain (NULL: none), does not have. @top reads the same meanwhile,
 * and the same over either of them afterwards: blk_co_change_backing(), which first
 * makes all of it durable, may follow. Zeroes become zero clusters; with @join, a single
 * one behind data becomes data, so that both are one extent, as with QEMU. No other request
 * may be in flight. Coroutine; yields. Returns 0, or a negative errno with an error line
 * that names the file.
 */
int rebase_co_copy(struct blk_node *top, struct blk_node *base, bool join,
		   pieces_progress_fn *progress, struct error *err);

#endif
