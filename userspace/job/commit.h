/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Committing: copy the content of an image, and of the images between it and a base of
 * its backing chain, down into the base.
 *
 * The image reads the same at any moment, and after a crash at any moment. The images
 * between it and the base may read differently afterwards.
 */
#ifndef QEDBLK_JOB_COMMIT_H
#define QEDBLK_JOB_COMMIT_H

#include "block/node.h"
#include "job/pieces.h"

struct commit_opts {
	struct blk_node *top;
	/* In @top's backing chain; writable; grown to the size of @top if it is shorter. */
	struct blk_node *base;
	/* Empty @top afterwards. It must be writable, and @base its direct backing file. */
	bool empty;
	bool fua; /* each write is durable when it ends */
	uint64_t speed; /* bytes a second, 0: no limit */
	pieces_progress_fn *progress; /* or NULL */
};

/*
 * Commit @opts->top into @opts->base. Coroutine; yields. No other request may be in
 * flight on the chain. Returns 0 when everything is durable, or a negative errno with
 * an error line that names the file.
 */
int commit_co_run(const struct commit_opts *opts, struct error *err);

#endif
