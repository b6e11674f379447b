/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The block layer for callers that are threads, not coroutines: event loops on threads
 * of their own execute the calls while the callers wait.
 */
#ifndef QEDBLK_TOOLS_NBDKIT_ENGINE_H
#define QEDBLK_TOOLS_NBDKIT_ENGINE_H

#include <semaphore.h>

#include "aio/loop.h"
#include "device/options.h"

/* A call; on the stack of the thread that waits for it. */
struct engine_call {
	/* Runs as a coroutine on one of the engine's loops; engine_call() returns its result. */
	int (*co_fn)(struct engine_call *call);
	struct blk_node *node;

	uint64_t offset, bytes;
	void *buf;
	unsigned int flags; /* BLK_REQ_* */
	struct extent *extents;
	unsigned int nr_extents;
	void *opaque;

	struct aio_post post;
	sem_t done;
	int ret;
};

/*
 * Check in a child process that the image can be opened with @options, and whether it can be
 * written to; create it first if they request that. Call before threads start, in the directory
 * that names are relative to. Returns 0 or a negative errno with an error line.
 */
int engine_check(const struct device_options *options, struct error *err);

/*
 * Open the image and start the loops, unless another connection did: for reading if @read_only,
 * or if engine_check() found that it cannot be written to. Blocks. Any thread, as the functions
 * below. Returns 0 or a negative errno with an error line.
 */
int engine_open(const struct device_options *options, bool read_only, struct error *err);

/*
 * Close the image and end the loops, if they run. No call may be running. Returns 0 or
 * a negative errno with an error line.
 */
int engine_close(struct error *err);

/* Run @call->co_fn on a loop, wait for it and return its result. */
int engine_call(struct engine_call *call);

/* Return the open image. */
struct blk_node *engine_node(void);

#endif
