/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of this folder share: what is attached to a node. */
#ifndef QEDBLK_POPULATE_INTERNAL_H
#define QEDBLK_POPULATE_INTERNAL_H

#include "aio/bufpool.h"
#include "block/filter.h"
#include "file/range_lock.h"
#include "populate/background.h"
#include "populate/pending.h"
#include "populate/populate.h"
#include "populate/source.h"

/*
 * Of the pool's buffers, so many, and no more than half, may hold what readers
 * handed over: a worker may wait for a buffer while those wait for a worker.
 */
#define POPULATE_HANDED 16

/* Whole clusters with their bytes, in a buffer of the pool. */
struct handed {
	struct handed *next;
	uint64_t offset, bytes;
	char *buf;
};

/*
 * Who may touch what:
 *
 * - @pending and @set are changed by any thread, without a lock.
 * - What is behind @mutex is changed by any thread that holds it, for a few
 *   instructions.
 * - @busy, @cache and taking out of @set belong to the background thread, whose
 *   coroutines do not park between a look and its use.
 *
 * How no wake-up gets lost: a reader adds to the set, then looks at @asleep.
 * The main worker sets @asleep, then looks at the set.  All four are
 * sequentially consistent, so one of the two sees the other.
 */
struct populate {
	struct blk_filter filter; /* node->filter */
	struct blk_node *node;
	_Atomic(struct trace *) trace; /* of first reads (trace.h), or NULL */

	/* What follows exists where the node is writable and had a backing file: @pool says so. */
	struct background bg;
	/*
	 * A worker holds a buffer while it writes to the driver, so the pool ranks above the
	 * driver's locks and node->copy_pool.
	 */
	struct bufpool *pool;
	struct range_lock ranges; /* bytes: clusters that are being populated */

	_Atomic uint64_t pending; /* clusters wanted, and not done with */
	struct pending_set set; /* those of them that no one works on and that no buffer has */
	_Atomic bool asleep; /* the main worker waits for something to do */
	_Atomic bool stop;

	pthread_mutex_t mutex; /* protects the rest of this part */
	struct co_queue wakeup; /* the main worker */
	struct co_queue idle; /* who waits for @pending or @active to be 0 */
	struct handed *handed, **handed_tail; /* to be worked on, in order */
	struct handed *spare;
	unsigned int active; /* workers */
	struct handed slots[POPULATE_HANDED];

	uint64_t busy; /* clusters that workers have taken and are not done with */
	struct source_cache cache;
};

/* What is attached to @node, or NULL. */
struct populate *populate_of(const struct blk_node *node);

/* copy_on_read.c: serve a read, and note what of it is to be kept.  blk_filter_ops::co_read. */
int populate_co_read(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);

/*
 * The clusters of [offset, offset + bytes), which a reader just had from the
 * backing file in @buf, are to be kept.  Never yields, allocates nothing.  The
 * background thread runs.
 */
void populate_later(struct populate *p, uint64_t offset, uint64_t bytes, const void *buf);

/* queue.c: the main worker, the first coroutine of the background thread. */
void populate_main_worker(void *arg);
/* Drop what is pending; populating has ended, and its thread, when this returns. */
void populate_co_stop(struct populate *p);

/* trace.c: blk_filter_ops::seen; and what becomes of a trace that nothing has ended. */
void trace_seen(struct blk_node *node, uint64_t offset, uint64_t bytes);
void trace_abandon(struct populate *p);

/*
 * Keep whole clusters (the image's last may be short) whose bytes are @buf.
 * Returns the first error; goes on with the next run after one.  The caller is in
 * node->inflight and holds the range in @p->ranges.  Yields.
 */
int populate_clusters(struct blk_node *node, uint64_t offset, uint64_t bytes, const char *buf,
		      struct populated *populated);

#endif
