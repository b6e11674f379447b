/* SPDX-License-Identifier: GPL-2.0 */
/* The state that is attached to a node.  For the files of this folder only. */
#ifndef QEDBLK_POPULATE_INTERNAL_H
#define QEDBLK_POPULATE_INTERNAL_H

#include <urcu/list.h>

#include "aio/bufpool.h"
#include "block/filter.h"
#include "file/range_lock.h"
#include "populate/background.h"
#include "populate/pending.h"
#include "populate/populate.h"
#include "populate/source.h"

/*
 * The most buffers of the pool, and at most half of them, that may hold clusters from
 * readers: those wait for a worker, and a worker may have to wait for a buffer.
 */
#define POPULATE_HANDED 16

/* Whole clusters that a reader handed over, in a buffer of the pool. */
struct handed {
	struct cds_list_head link; /* in populate->handed or ->spare */
	uint64_t offset, bytes;
	char *buf;
};

/*
 * Access by threads:
 *
 * - @pending and @set are changed by any thread, without a lock.
 * - The fields after @mutex are changed by any thread that holds it, for a few
 *   instructions.
 * - @busy, @cache and taking out of @set belong to the background thread, whose
 *   coroutines do not yield between a check and its use.
 *
 * Why no wake-up is lost: a reader adds to the set, then checks @asleep.
 * The main worker sets @asleep, then checks the set.  All four operations are
 * sequentially consistent, so at least one of the two sees the other.
 */
struct populate {
	struct blk_filter filter; /* node->filter */
	struct blk_node *node;
	_Atomic(struct trace *) trace; /* of first reads (trace.h), or NULL */
	/* See populate_on_source_error(); constant while there are requests. */
	void (*on_source_error)(void *arg);
	void *on_source_error_arg;

	/* For a writable node that had a backing file; otherwise @pool is NULL. */
	struct background bg;
	/*
	 * A worker holds a buffer while it writes to the driver, so in the lock order the pool
	 * comes before the driver's locks and node->copy_pool.
	 */
	struct bufpool *pool;
	struct range_lock ranges; /* bytes: clusters that are being populated */

	_Atomic uint64_t pending; /* number of clusters that are to be kept and not finished */
	struct pending_set set; /* those of them that no worker has taken and no buffer holds */
	_Atomic bool asleep; /* the main worker waits for work */
	_Atomic bool stop;

	pthread_mutex_t mutex; /* protects the rest of this part */
	struct co_queue wakeup; /* the main worker */
	struct co_queue idle; /* callers that wait until @pending or @active is 0 */
	struct cds_list_head handed; /* struct handed, for the workers, in order */
	struct cds_list_head spare; /* struct handed */
	unsigned int active; /* number of workers */
	struct handed slots[POPULATE_HANDED];

	uint64_t busy; /* number of clusters that workers have taken and not finished */
	struct source_cache cache;
};

/* blk_co_pread_backing(), and the call after an error.  Yields. */
int populate_co_read_source(struct populate *p, uint64_t offset, uint64_t bytes, void *buf);

/* Return the state attached to @node, or NULL. */
struct populate *populate_of(const struct blk_node *node);

/* copy_on_read.c: serve a read, and queue what is to be kept.  blk_filter_ops::co_read. */
int populate_co_read(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);

/*
 * Queue the clusters of [offset, offset + bytes), whose bytes a reader has just read
 * from the backing file to @buf, to be kept.  Any thread; never yields, allocates
 * nothing.  The background thread must be running.
 */
void populate_later(struct populate *p, uint64_t offset, uint64_t bytes, const void *buf);

/* queue.c: the main worker, the first coroutine of the background thread. */
void populate_main_worker(void *arg);
/* End populating and its thread.  Coroutine; yields. */
void populate_co_stop(struct populate *p);
/* Free the buffers that no worker will take any more. */
void populate_drop_handed(struct populate *p);

/* trace.c: blk_filter_ops::seen; and free a trace that was not stopped, if there is one. */
void trace_seen(struct blk_node *node, uint64_t offset, uint64_t bytes);
void trace_abandon(struct populate *p);

/*
 * Return how many of the @bytes from @offset on are inside the node, which may have become shorter.
 * The caller is in node->inflight: it stays so while the caller populates them.
 */
uint64_t populate_inside(const struct blk_node *node, uint64_t offset, uint64_t bytes);

/*
 * Keep whole clusters (the image's last may be short) whose bytes are in @buf.  After an
 * error it continues with the next run; returns the first one.  The caller is in
 * node->inflight and holds the range in populate->ranges.  Yields.
 */
int populate_clusters(struct blk_node *node, uint64_t offset, uint64_t bytes, const char *buf,
		      struct populated *populated);

#endif
