/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The block layer for callers that are threads and not coroutines: event loops
 * on threads of their own, to which calls are handed over and waited for.
 */
#ifndef QEDBLK_TOOLS_NBDKIT_ENGINE_H
#define QEDBLK_TOOLS_NBDKIT_ENGINE_H

#include <semaphore.h>

#include "aio/loop.h"
#include "block/io.h"
#include "device/options.h"

/* A call, on the stack of the thread that waits for it. */
struct engine_call {
	/* Runs as a coroutine on one of the engine's loops; its result is engine_call()'s. */
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
 * Look at the image as @options have it, in a child process: make it if it is to
 * be made, and see that it can be opened.  Before there are threads, in the
 * directory that names are relative to.
 */
int engine_check(const struct device_options *options, struct error *err);

/*
 * Open the image and start the loops, unless another connection did.  Any
 * thread, as those below.
 */
int engine_open(const struct device_options *options, bool read_only, struct error *err);

/* Close the image and end the loops, if they run; all calls are over. */
int engine_close(struct error *err);

/* Have @call->co_fn called on a loop and wait for it. */
int engine_call(struct engine_call *call);

/* The open image. */
struct blk_node *engine_node(void);

#endif
