/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Streaming: populating a node with what its backing file has, until it needs
 * no backing file any more, or none above the base.
 *
 * What is done is in the image; there is no other record.  Started again, by
 * whomever, it goes on with what is left.
 */
#ifndef QEDBLK_JOB_STREAM_H
#define QEDBLK_JOB_STREAM_H

#include <stdatomic.h>

#include "job/job.h"

/* A piece of the disk, in bytes. */
struct stream_range {
	uint64_t offset, bytes;
};

struct stream_opts {
	struct blk_node *base; /* of the backing chain: stays, NULL: none does */
	uint64_t speed; /* bytes a second from the source, 0: no limit */
	/* To be fetched first, in this order; taken over (heap). */
	struct stream_range *first;
	size_t nr_first;
	uint64_t back_off; /* ns: before the first new try, 0: the default */
	bool paused; /* it begins so */
	bool only_first; /* a prefetch: nothing else, and the backing file stays */
};

/* Parts of the disk whose clusters are counted by themselves. */
#define STREAM_SEGMENTS 1024

struct stream {
	struct job job;
	struct stream_opts opts;
	uint64_t end; /* bytes: what is behind it needs no populating */
	struct blk_node *removed; /* when done: what was taken out of the chain, to be closed */

	/* The background thread's own. */
	uint64_t cursor; /* bytes: all below it was given to a worker */
	uint64_t window; /* bytes at a time */
	size_t next_first;
	struct co_mutex handing; /* one worker at a time looks for its next piece */
	unsigned int workers;
	struct co *main; /* waits for them */
	int error; /* what ended a worker */

	/* For whoever asks; written by the background thread. */
	uint64_t segment_clusters;
	_Atomic uint64_t left[STREAM_SEGMENTS]; /* clusters that show the backing file */
	_Atomic uint64_t total, zero, source_bytes;
	_Atomic bool counted; /* the figures above mean something */
	_Atomic uint64_t started; /* ns, monotonic */
};

struct stream_status {
	enum job_state state;
	uint64_t total, populated, zero, left; /* clusters; @total 0: not counted yet */
	uint64_t source_bytes; /* read from the backing file */
	uint64_t speed; /* the limit, bytes a second; 0: none */
	uint64_t elapsed; /* ns since it started */
	uint64_t errors;
	bool prefetch;
	char error[256]; /* empty: all is well */
};

/*
 * Start streaming into @node.  Takes @opts->first over in any case.  Returns 0 or
 * a negative errno with a line.  Coroutine.  The caller sees to it that a node has one
 * stream at a time, be it that one is only starting.
 */
int stream_co_start(struct stream **stream, struct blk_node *node, const struct stream_opts *opts,
		    struct error *err);
/* Any thread. */
void stream_get_status(struct stream *stream, struct stream_status *status);
/*
 * It has ended.  Closes what was taken out of the chain.  Coroutine of the loop
 * that opened the node.
 */
void stream_co_free(struct stream *stream);

#endif
