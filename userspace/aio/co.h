/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coroutines: straight-line code that parks instead of blocking its thread.
 *
 * A coroutine belongs to the loop (aio/loop.h) of the thread that started it,
 * runs only there, and ends there.  Functions named *_co_* may park and are
 * called from coroutines only.  A coroutine's stack is CO_STACK_SIZE bytes of
 * address space with a guard page; stacks are pooled per loop, so that nothing
 * is allocated once a loop is warm.
 */
#ifndef QEDBLK_AIO_CO_H
#define QEDBLK_AIO_CO_H

#include <stdbool.h>

#define CO_STACK_SIZE (256 * 1024)

struct co;
struct aio_loop;

typedef void co_fn(void *arg);

/*
 * Start a coroutine on the current thread's loop and run it until it first
 * parks or ends.  May be called from a coroutine or from plain loop code.
 * Returns 0 or -ENOMEM (then @fn was not called).
 */
int co_start(co_fn *fn, void *arg);

/* The running coroutine, or NULL in plain loop code. */
struct co *co_self(void);

/*
 * Park the running coroutine until somebody calls co_wake() on it.  Every
 * co_wake() must be matched by exactly one co_park(), in either order of time:
 * a coroutine announces itself (under a lock of the caller's), then parks; a
 * waker on another thread may come in between and nothing is lost, since the
 * wake is carried out by the coroutine's own loop after it parked.
 */
void co_park(void);

/*
 * Make a parked (or about to park) coroutine runnable on its own loop.  Any
 * thread.  Never runs it directly, never blocks, allocates nothing.
 */
void co_wake(struct co *co);

#endif
