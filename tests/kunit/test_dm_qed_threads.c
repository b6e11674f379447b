// SPDX-License-Identifier: GPL-2.0
/*
 * The known-zero map under many threads: writes, write-zeroes and reads that overlap in every
 * order.  When all of them have completed, what the map calls zero must be zero. ThreadSanitizer
 * checks that the map's locks suffice.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "zero-map.h"

#define THREADS 4
#define ROUNDS	4000
#define OPS	6
#define GRANULE 4096u
/* Few granules, so that threads collide; the end of one region and the start of the next. */
#define FIRST	 61
#define GRANULES 6

static struct qed_zero_map map;
/* The device: whether a granule holds data. */
static int content[GRANULES];
static pthread_barrier_t barrier;
static u64 false_zeroes, true_zeroes;

struct worker {
	pthread_t thread;
	u32 random;
	bool leads; /* checks between rounds */
};

static u32 next_random(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Sometimes give other threads a turn. */
static void pause_maybe(struct worker *w)
{
	u32 n = next_random(&w->random) % 8;

	if (n == 0)
		sched_yield();
	else
		for (volatile u32 i = 0; i < n * 16; i++)
			;
}

static void fill(struct worker *w, int first, int count, int value)
{
	for (int i = first; i < first + count; i++) {
		pause_maybe(w);
		__atomic_store_n(&content[i], value, __ATOMIC_RELAXED);
	}
}

static void one_op(struct worker *w)
{
	int first = next_random(&w->random) % GRANULES;
	int count = next_random(&w->random) % (GRANULES - first) + 1;
	u64 offset = (u64)(FIRST + first) * GRANULE, bytes = (u64)count * GRANULE, ticket;

	switch (next_random(&w->random) % 4) {
	case 0:
		qed_zero_map_write_begin(&map, offset, bytes);
		fill(w, first, count, 1);
		pause_maybe(w);
		qed_zero_map_write_end(&map, offset, bytes);
		break;
	case 1:
	case 2:
		ticket = qed_zero_map_zero_begin(&map);
		fill(w, first, count, 0);
		pause_maybe(w);
		qed_zero_map_zero_end(&map, offset, bytes, ticket);
		break;
	default:
		qed_zero_map_is_zero(&map, offset, bytes);
		if (next_random(&w->random) % 64 == 0)
			qed_zero_map_forget(&map);
	}
}

/* Called with no request in flight. */
static void judge(void)
{
	for (int i = 0; i < GRANULES; i++) {
		if (!qed_zero_map_is_zero(&map, (u64)(FIRST + i) * GRANULE, GRANULE))
			continue;
		if (content[i])
			false_zeroes++;
		else
			true_zeroes++;
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < OPS; i++)
			one_op(w);
		pthread_barrier_wait(&barrier);
		if (w->leads)
			judge();
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void what_is_known_is_zero(void **state)
{
	const char *text = getenv("SEED");
	u32 seed = text ? strtoul(text, NULL, 0) : (u32)time(NULL) | 1;
	struct worker workers[THREADS] = { 0 };

	(void)state;
	print_message("# seed %u\n", seed);
	assert_int_equal(qed_zero_map_init(&map, 128 * GRANULE, 12), 0);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		workers[i].random = seed * (2 * i + 1) | 1;
		workers[i].leads = !i;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	print_message("# %llu granules known to be zero, %llu of them wrongly\n",
		      true_zeroes + false_zeroes, false_zeroes);
	assert_int_equal(false_zeroes, 0);
	/* A map that never knows anything would also pass. */
	assert_true(true_zeroes > ROUNDS / 10);
	assert_true(qed_zero_map_known(&map) <= GRANULES);
	qed_zero_map_exit(&map);
	pthread_barrier_destroy(&barrier);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_known_is_zero) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
