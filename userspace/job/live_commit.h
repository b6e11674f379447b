/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Committing images of the backing chain of a node that serves requests: an image below the node,
 * and those between it and a base, go down into the base and leave the chain.
 *
 * The node reads the same at any moment, and after a crash at any moment. The image above shows
 * the base once everything that it needs of it is durable there. Nothing but the chain itself
 * records progress: a commit that is started again, by any process, begins anew.
 */
#ifndef QEDBLK_JOB_LIVE_COMMIT_H
#define QEDBLK_JOB_LIVE_COMMIT_H

#include "job/commit.h"

struct live_commit_opts {
	/* In the backing chain of the node; @base in that of @top. */
	struct blk_node *top, *base;
	uint64_t speed; /* bytes of data a second, 0: no limit */
	uint64_t back_off; /* ns: before the first retry, 0: the default */
	bool paused; /* start in the paused state */
	struct blk_open_opts open; /* backing_dir, l2_cache_size: as the chain was opened with */
};

struct live_commit {
	struct job job;
	struct commit_copy copy;
	struct live_commit_opts opts;
	struct blk_node *overlay; /* the image directly above opts.top */
	struct blk_node *over_overlay; /* the image above that, or NULL: it is the node */
	struct blk_node *removed; /* when done: the images removed from the chain, to be closed */
	_Atomic uint64_t started; /* ns, monotonic */
};

struct live_commit_status {
	enum job_state state;
	uint64_t done, total; /* bytes of the disk */
	uint64_t written; /* bytes of data that the base got */
	uint64_t speed; /* the limit, bytes a second; 0: none */
	uint64_t elapsed; /* ns since it started */
	uint64_t errors;
	char error[256]; /* empty: no error */
};

/*
 * Start committing below @node. The base is opened for writing: -EBUSY where another process uses
 * it. Coroutine of the loop that opened the node; yields. Returns 0 or a negative errno with an
 * error line. The caller ensures that the node has no other job, including one that is starting,
 * and that no other coroutine uses nodes of its chain across a yield, but for requests to @node.
 */
int live_commit_co_start(struct live_commit **commit, struct blk_node *node,
			 const struct live_commit_opts *opts, struct error *err);
/* Fill @status. Any thread. */
void live_commit_get_status(struct live_commit *commit, struct live_commit_status *status);
/*
 * Open the chain for reading only again, close the images removed from it, and free @commit, whose
 * job has ended. The same conditions as for live_commit_co_start(); yields.
 */
void live_commit_co_free(struct live_commit *commit);

#endif
