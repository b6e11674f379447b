/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Streaming: populate a node from its backing file, until it needs no backing file, or
 * none above the base.
 *
 * The image is the only record of progress: a stream that is started again, by any
 * process, continues with the clusters that are left.
 */
#ifndef QEDBLK_JOB_STREAM_H
#define QEDBLK_JOB_STREAM_H

#include <stdatomic.h>

#include "job/pieces.h"

/* A piece of the disk, in bytes. */
struct stream_range {
	uint64_t offset, bytes;
};

struct stream_opts {
	/* In the backing chain; it and the images below it stay. NULL: none stays. */
	struct blk_node *base;
	uint64_t speed; /* bytes a second from the source, 0: no limit */
	/* Ranges to populate first, in this order. Heap; the stream takes ownership. */
	struct stream_range *first;
	size_t nr_first;
	uint64_t back_off; /* ns: before the first retry, 0: the default */
	bool paused; /* start in the paused state */
	bool only_first; /* a prefetch: populate @first alone, and keep the backing file */
};

/* Segments of the disk whose clusters are counted separately. */
#define STREAM_SEGMENTS 1024

struct stream {
	struct job job;
	struct pieces pieces;
	struct stream_opts opts;
	uint64_t end; /* bytes: nothing at or after this offset needs populating */
	struct blk_node *removed; /* when done: the images removed from the chain, to be closed */

	/* Background thread only. */
	uint64_t cursor; /* bytes: everything below it was cut into pieces */
	uint64_t settled; /* all segments below this one are populated */
	size_t next_first;

	/* For stream_get_status(); written by the background thread. */
	uint64_t segment_clusters;
	_Atomic uint64_t left[STREAM_SEGMENTS]; /* clusters that show the backing file */
	_Atomic uint64_t total, zero, source_bytes;
	_Atomic bool counted; /* the figures above are valid */
	_Atomic uint64_t started; /* ns, monotonic */
};

struct stream_status {
	enum job_state state;
	uint64_t total, populated, zero, left; /* in clusters; @total is 0 until they are counted */
	uint64_t source_bytes; /* read from the backing file */
	uint64_t speed; /* the limit, bytes a second; 0: none */
	uint64_t elapsed; /* ns since it started */
	uint64_t errors;
	bool prefetch;
	char error[256]; /* empty: no error */
};

/*
 * Start streaming into @node. Takes ownership of @opts->first, also on an error.
 * Coroutine; yields. Returns 0 or a negative errno with an error line. The caller
 * ensures that a node has at most one stream, including one that is still starting.
 */
int stream_co_start(struct stream **stream, struct blk_node *node, const struct stream_opts *opts,
		    struct error *err);
/* Fill @status. Any thread. */
void stream_get_status(struct stream *stream, struct stream_status *status);
/*
 * Close the images removed from the chain and free @stream, whose job has ended.
 * Coroutine of the loop that opened the node; yields.
 */
void stream_co_free(struct stream *stream);

#endif
