/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The event loop: one io_uring per thread, its completions, runnable coroutines,
 * and timers.
 *
 * Where io_uring cannot be used, an engine of threads and epoll (threads.c) carries
 * out the same SQEs, as far as it knows their opcodes: IORING_OP_NOP, READV, WRITEV,
 * READ, WRITE, FSYNC, FALLOCATE, POLL_ADD, POLL_REMOVE and ACCEPT, without flags.  Both
 * engines take the offset -1 for a socket or pipe, which is waited for.
 *
 * A loop is created, run and destroyed by one thread, which is also the only
 * one to submit to its ring (IORING_SETUP_SINGLE_ISSUER, DEFER_TASKRUN where
 * the kernel supports them).  Other threads use only aio_loop_post(), co_wake()
 * and aio_loop_stop().  The steps of a turn: posts of other threads, expired
 * timers, runnable coroutines, a quiescent state (aio/rcu.h), submit and wait,
 * completions.  Each step processes what is there when it begins, so that none
 * can starve the others.
 */
#ifndef QEDBLK_AIO_LOOP_H
#define QEDBLK_AIO_LOOP_H

#include <liburing.h>
#include <stdint.h>

#include "aio/co.h"
#include "util/error.h"

/* The most loops of a process at once; each has a number below this. */
#define AIO_MAX_LOOPS 256

struct aio_loop;

/*
 * An operation in flight.  Embedded in an object of the caller; must
 * live until @done is called, in plain loop code on the loop's thread, with
 * the completion's result (>= 0, or a negative errno) and its CQE flags
 * (IORING_CQE_F_MORE means that more completions of this operation follow).
 */
struct aio_op {
	void (*done)(struct aio_op *op, int res, uint32_t cqe_flags);
};

/* Work for a loop, posted by any thread.  Embedded in an object of the caller. */
struct aio_post {
	struct aio_post *next;
	void (*fn)(struct aio_post *post);
};

/*
 * Create the current thread's loop with a ring of @entries SQEs (rounded up to
 * a power of two), or with threads where there can be no ring.  QEDBLK_AIO=io_uring
 * or =threads in the environment decides for tests.  Fails with -EBUSY if the thread
 * has a loop already, with -ENFILE if there are AIO_MAX_LOOPS, or with an errno of
 * the engine.
 */
int aio_loop_create(struct aio_loop **loop, unsigned int entries, struct error *err);

/*
 * Create a loop like aio_loop_create(), with io_uring or not at all: for what only it
 * can do.  On an error, @err says what denies io_uring.
 */
int aio_loop_create_uring(struct aio_loop **loop, unsigned int entries, struct error *err);

/*
 * Set @err to why io_uring could not be set up, which returned @ret, and what would
 * allow it.  Returns @ret.
 */
int aio_explain_uring(int ret, struct error *err);

/* No coroutine, operation or timer may be left on @loop.  Called by its thread. */
void aio_loop_destroy(struct aio_loop *loop);

/* Return the current thread's loop, or NULL. */
struct aio_loop *aio_loop_current(void);

/* Return the loop's number, 0 .. AIO_MAX_LOOPS - 1, constant while it exists. */
unsigned int aio_loop_index(const struct aio_loop *loop);

/*
 * Run turns until aio_loop_stop().  Returns 0, or a negative errno when the
 * engine itself failed.
 */
int aio_loop_run(struct aio_loop *loop);

/* Make aio_loop_run() return after the current turn.  Any thread. */
void aio_loop_stop(struct aio_loop *loop);

/*
 * Start @fn as a coroutine and run turns until it has ended.  For programs and
 * tests with a sequential main thread.
 */
int aio_loop_run_co(struct aio_loop *loop, co_fn *fn, void *arg);

/* Call @post->fn later on @loop's thread; @post must live until then.  Any thread, never blocks. */
void aio_loop_post(struct aio_loop *loop, struct aio_post *post);

/*
 * Get an SQE of the current thread's loop, zeroed.  A full submission queue is
 * submitted first; while the kernel refuses it for lack of memory, this waits for
 * operations in flight to complete (their @done is called later, in the usual
 * place), so the result is never NULL.  The SQE goes to the kernel at the end of
 * the turn, or with the next call when the queue is full: fill it before getting
 * another one, and before yielding.  The completion of an SQE without an aio_op
 * is ignored.  Set fields by hand or with io_uring_prep_*() *before* calling
 * aio_sqe_set_op() - liburing's prep functions clear the user data in some
 * versions - hence the two steps:
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

/*
 * Return the ring itself, for registering files and buffers.  The loop's thread only, and
 * only of a loop of aio_loop_create_uring().
 */
struct io_uring *aio_loop_ring(struct aio_loop *loop);

#endif
