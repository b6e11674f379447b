/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common code of the tests of aio/: checks that work on any thread and stack, threads
 * with a loop each, and reproducible random numbers.
 */
#ifndef QEDBLK_TEST_AIO_COMMON_H
#define QEDBLK_TEST_AIO_COMMON_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "aio/co.h"
#include "aio/co_switch.h"
#include "aio/sys.h"
#include "aio/loop.h"
#include "aio/timer.h"
#include "shared/check.h"
#include "util/units.h"

#define MSEC 1000000ULL

#if defined(CO_ASAN) || defined(AIO_TSAN)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define MAX_TEST_THREADS 8

static inline struct aio_loop *new_loop(unsigned int entries)
{
	struct error err = ERROR_INIT;
	struct aio_loop *loop;

	if (aio_loop_create(&loop, entries, &err) < 0) {
		fprintf(stderr, "no event loop: %s\n", error_text(&err));
		abort();
	}
	return loop;
}

struct loop_thread {
	pthread_t thread;
	co_fn *fn;
	void *arg;
};

static inline void *loop_thread_main(void *opaque)
{
	struct loop_thread *self = opaque;
	struct aio_loop *loop = new_loop(32);

	CHECK(aio_loop_run_co(loop, self->fn, self->arg) == 0);
	aio_loop_destroy(loop);
	return NULL;
}

/*
 * Run @fn as a coroutine on each of @n threads, with element i of @args on the i-th,
 * and wait for their end.
 */
static inline void run_on_loops(unsigned int n, co_fn *fn, void *args, size_t arg_size)
{
	struct loop_thread threads[MAX_TEST_THREADS];
	unsigned int i;

	CHECK(n <= MAX_TEST_THREADS);
	for (i = 0; i < n; i++) {
		threads[i].fn = fn;
		threads[i].arg = (char *)args + i * arg_size;
		CHECK(!pthread_create(&threads[i].thread, NULL, loop_thread_main, &threads[i]));
	}
	for (i = 0; i < n; i++)
		CHECK(!pthread_join(threads[i].thread, NULL));
}

/* Run @fn as a coroutine on a loop of its own, on this thread. */
static inline void run_co(unsigned int entries, co_fn *fn, void *arg)
{
	struct aio_loop *loop = new_loop(entries);

	CHECK(aio_loop_run_co(loop, fn, arg) == 0);
	aio_loop_destroy(loop);
}

static inline void run_co_test(void **state)
{
	co_fn **fn = *state;

	run_co(32, *fn, NULL);
}

/* The cmocka entry of a test that is a coroutine without an argument; @run gets its address. */
/* clang-format off */
#define CO_TEST_BY(run, fn) { "test_" #fn, run, NULL, NULL, &(co_fn *){ fn } }
#define CO_TEST(fn) CO_TEST_BY(run_co_test, fn)
/* clang-format on */

/* Let all other runnable coroutines run. */
static inline void co_yield_turn(void)
{
	co_wake(co_self());
	co_park();
}

/* Waits until @n children called group_done(). */
struct group {
	struct co *waiter;
	unsigned int left;
};

static inline void group_done(struct group *group)
{
	if (--group->left == 0 && group->waiter)
		co_wake(group->waiter);
}

static inline void group_wait(struct group *group)
{
	if (!group->left)
		return;
	group->waiter = co_self();
	co_park();
}

/* Run only the test cases that match QEDBLK_CASE, which may have wildcards. */
__attribute__((constructor)) static inline void choose_cases(void)
{
	const char *pattern = getenv("QEDBLK_CASE");

	if (pattern)
		cmocka_set_test_filter(pattern);
}

/* Return SEED from the environment, or a new seed, and print it. */
static inline uint64_t test_seed(void)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (aio_now() ^ (uint64_t)getpid() << 40);

	printf("SEED=%llu\n", (unsigned long long)seed);
	return seed | 1;
}

static inline uint64_t test_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
