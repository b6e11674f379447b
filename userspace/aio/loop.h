/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The event loop: one io_uring a thread, its completions, coroutines that
 * became runnable, and timers.
 *
 * A loop is created, run and destroyed by one thread, which also is the only
 * one to submit to its ring (IORING_SETUP_SINGLE_ISSUER, DEFER_TASKRUN where
 * the kernel has them).  Other threads reach it through aio_loop_post(),
 * co_wake() and aio_loop_stop() alone.  A turn: what others posted, timers that
 * expired, coroutines that are runnable, a quiescent state (aio/rcu.h), submit
 * and wait, completions.  Each of these takes what is there when it begins, so
 * that none can starve the others.
 */
#ifndef QEDBLK_AIO_LOOP_H
#define QEDBLK_AIO_LOOP_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "aio/co.h"
#include "util/error.h"

/* Loops alive at once in a process; each has a small number below this. */
#define AIO_MAX_LOOPS 256

struct aio_loop;

/*
 * An operation in flight on the ring.  Embedded in what the caller owns; must
 * live until @done was called, in plain loop code on the loop's thread, with
 * the completion's result (>= 0, or a negative errno) and its CQE flags
 * (IORING_CQE_F_MORE means that more completions of this operation follow).
 */
struct aio_op {
	void (*done)(struct aio_op *op, int res, uint32_t cqe_flags);
};

/* Work handed to a loop by another thread.  Embedded in what the caller owns. */
struct aio_post {
	struct aio_post *next;
	void (*fn)(struct aio_post *post);
};

/*
 * Create the current thread's loop with a ring of @entries SQEs (rounded up to
 * a power of two).
 * Fails with -EBUSY where the thread has one already, or with io_uring's error.
 */
int aio_loop_create(struct aio_loop **loop, unsigned int entries, struct error *err);

/* No coroutine, operation or timer may be left on it.  Called by its thread. */
void aio_loop_destroy(struct aio_loop *loop);

/* The current thread's loop, or NULL. */
struct aio_loop *aio_loop_current(void);

/* The loop's number, 0 .. AIO_MAX_LOOPS - 1, stable while it lives. */
unsigned int aio_loop_index(const struct aio_loop *loop);

/*
 * Run turns until aio_loop_stop().  Returns 0, or a negative errno when the
 * ring itself failed.
 */
int aio_loop_run(struct aio_loop *loop);

/* Make aio_loop_run() return after the current turn.  Any thread. */
void aio_loop_stop(struct aio_loop *loop);

/*
 * Start @fn as a coroutine and run turns until it has ended.  For programs and
 * tests whose main thread does one thing after another.
 */
int aio_loop_run_co(struct aio_loop *loop, co_fn *fn, void *arg);

/* Have @post->fn called on @loop's thread.  Any thread, never blocks. */
void aio_loop_post(struct aio_loop *loop, struct aio_post *post);

/*
 * An SQE of the current thread's ring, zeroed.  When the submission queue is
 * full it is submitted first, and for as long as the kernel refuses it for want
 * of memory this waits for operations in flight to complete (their @done is
 * called later, in the usual place); so the result is never NULL.  It goes to
 * the kernel at the end of the turn, or with the next call when the queue is
 * full: fill it before getting another one, and before parking.  One that no
 * aio_op is set for completes unheard.  Set fields by hand or with
 * io_uring_prep_*() *before* calling aio_sqe_set_op() - liburing's prep
 * functions clear the user data in some versions - hence the two steps:
 *
 *	sqe = aio_get_sqe(loop);
 *	io_uring_prep_read(sqe, ...);
 *	aio_sqe_set_op(sqe, op);
 */
struct io_uring_sqe *aio_get_sqe(struct aio_loop *loop);

static inline void aio_sqe_set_op(struct io_uring_sqe *sqe, struct aio_op *op)
{
	io_uring_sqe_set_data(sqe, op);
}

/* The ring itself, for registering files and buffers.  Own thread only. */
struct io_uring *aio_loop_ring(struct aio_loop *loop);

#endif
