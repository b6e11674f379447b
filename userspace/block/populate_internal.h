/* SPDX-License-Identifier: GPL-2.0 */
/* What populate*.c share. */
#ifndef QEDBLK_BLOCK_POPULATE_INTERNAL_H
#define QEDBLK_BLOCK_POPULATE_INTERNAL_H

#include "block/background.h"
#include "block/node.h"
#include "block/pending.h"
#include "block/populate.h"
#include "block/source.h"

/*
 * Of the pool's buffers, so many, and no more than half, may hold what readers
 * handed over: a worker may wait for a buffer while those wait for a worker.
 */
#define POPULATE_HANDED 16

/* Whole clusters with their bytes, in a buffer of node->populate_pool. */
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
	struct blk_node *node;
	struct background bg;

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

/*
 * Keep whole clusters (the image's last may be short) whose bytes are @buf.
 * Returns the first error; goes on with the next run after one.  The caller is in
 * node->inflight and holds the range in node->populating.  Parks.
 */
int populate_clusters(struct blk_node *node, uint64_t offset, uint64_t bytes, const char *buf,
		      struct blk_populated *populated);

#endif
