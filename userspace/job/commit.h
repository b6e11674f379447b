/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Committing: what an image and those between say goes down into a base of its
 * backing chain.
 *
 * A reader of the image reads the same at any moment, and after a crash at any
 * moment.  Images between it and the base do not keep what they read as.
 */
#ifndef QEDBLK_JOB_COMMIT_H
#define QEDBLK_JOB_COMMIT_H

#include "block/node.h"
#include "job/pieces.h"

struct commit_opts {
	struct blk_node *top;
	struct blk_node *base; /* of @top's backing chain, writable; made longer if it is shorter */
	/*
	 * Then have @top, which is writable, hold nothing any more; only where @base is its
	 * direct backing file.
	 */
	bool empty;
	bool fua; /* each write is durable when it ends */
	uint64_t speed; /* bytes a second, 0: no limit */
	pieces_progress_fn *progress; /* or NULL */
};

/*
 * No request may be in flight.  All of it is durable when 0 is returned.  Coroutine.
 * The error line names the file.
 */
int commit_co_run(const struct commit_opts *opts, struct error *err);

#endif
