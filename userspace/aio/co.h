/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coroutines: straight-line code that yields instead of blocking its thread.
 *
 * A coroutine belongs to the loop (aio/loop.h) of the thread that started it,
 * runs only there, and ends there.  Functions named *_co_* may yield and are
 * called from coroutines only.  A coroutine's stack is CO_STACK_SIZE bytes of
 * address space with a guard page; stacks are pooled per loop, so that nothing
 * is allocated once a loop is warm.
 */
#ifndef QEDBLK_AIO_CO_H
#define QEDBLK_AIO_CO_H

#define CO_STACK_SIZE (256 * 1024) /* bytes */

struct co;
struct aio_loop;

typedef void co_fn(void *arg);

/*
 * Start a coroutine on the current thread's loop and run it until it first
 * yields or ends.  May be called from a coroutine or from plain loop code.
 * Returns 0 or -ENOMEM (then @fn was not called).
 */
int co_start(co_fn *fn, void *arg);

/* Return the running coroutine, or NULL in plain loop code. */
struct co *co_self(void);

/*
 * Yield until co_wake() is called for the running coroutine.  Every co_wake()
 * must be matched by exactly one co_park(), in either order of time: a coroutine
 * registers itself as a waiter (under a lock of the caller's), then yields;
 * another thread may call co_wake() in between and no wake-up is lost, since the
 * coroutine's own loop executes it after the coroutine has yielded.
 */
void co_park(void);

/*
 * Make a coroutine that has yielded, or is about to, runnable on its own loop.
 * Any thread.  Never runs it directly, never blocks, allocates nothing.
 */
void co_wake(struct co *co);

#endif
