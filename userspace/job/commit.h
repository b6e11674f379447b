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

#include <stdatomic.h>

#include "block/node.h"
#include "job/pieces.h"

struct commit_opts {
	struct blk_node *top;
	/* In @top's backing chain; writable; grown to the size of @top if it is shorter. */
	struct blk_node *base;
	/*
	 * The image directly above @top, which is to show @base in its place, or NULL. Where it
	 * reaches beyond the end of @top it shows zeroes: @base gets them, too.
	 */
	const struct blk_node *overlay;
	/* Empty @top afterwards. It must be writable, and @base its direct backing file. */
	bool empty;
	bool fua; /* each write is durable when it ends */
	/* Whose control the work obeys, and which retries what fails; NULL: @speed, no retries. */
	struct job *job;
	uint64_t speed; /* without @job: bytes a second, 0: no limit */
	pieces_progress_fn *progress; /* or NULL */
};

/* A commit in work. */
struct commit_copy {
	struct commit_opts opts;
	struct pieces pieces; /* pieces.done of pieces.end bytes are done */
	_Atomic uint64_t written; /* bytes of data that the base got */
	/* Private to commit.c. */
	uint64_t zero_from; /* bytes: from here on the base reads as zeroes */
	uint64_t unit; /* granularity of zero detection in data, bytes */
	/* The chain's last answer: the range [start, end) is of @kind. */
	int kind;
	uint64_t start, end;
};

/*
 * Commit @opts->top into @opts->base. Coroutine; yields. No other request may be in
 * flight on the chain. Returns 0 when everything is durable, or a negative errno with
 * an error line that names the file.
 */
int commit_co_run(const struct commit_opts *opts, struct error *err);

/*
 * The same in two steps, without opts->empty, while requests change images above opts->top.
 * commit_copy_init() sets all of @copy.
 */
void commit_copy_init(struct commit_copy *copy, const struct commit_opts *opts);
int commit_co_copy(struct commit_copy *copy, struct error *err);

#endif
