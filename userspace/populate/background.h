/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A node's background thread: populating and jobs run there, so that they take
 * no time from the threads that serve requests, and end with the node.
 *
 * The thread is created when it is first needed.
 */
#ifndef QEDBLK_BLOCK_BACKGROUND_H
#define QEDBLK_BLOCK_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>

#include "aio/lock.h"
#include "aio/loop.h"
#include "util/error.h"

struct background {
	struct co_mutex starting; /* one starter at a time */
	bool barred; /* no thread may be started; protected by @starting */
	_Atomic(struct aio_loop *) loop; /* NULL: there is no thread */
	pthread_t thread;
};

void background_init(struct background *bg);
void background_destroy(struct background *bg);

/*
 * Start the thread, with @fn(@arg) as its first coroutine, unless it runs already.  Any number
 * of callers may race; one of them starts it.  Returns 0 or a negative errno with an error line;
 * -ESHUTDOWN while that is barred.
 * Coroutine; yields.
 */
int background_co_start(struct background *bg, co_fn *fn, void *arg, struct error *err);

/* Return the thread's loop, to post to, or NULL while there is no thread.  Any thread. */
static inline struct aio_loop *background_loop(struct background *bg)
{
	return atomic_load_explicit(&bg->loop, memory_order_acquire);
}

/* Let no thread start any more, or again.  Coroutine; yields. */
void background_co_bar(struct background *bg, bool barred);

/* End the thread, if there is one.  No coroutine may be left on its loop.  Coroutine; yields. */
void background_co_stop(struct background *bg);

#endif
