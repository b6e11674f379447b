// SPDX-License-Identifier: GPL-2.0
/*
 * Range locks: exclusion across threads, order of arrival, no lost wake-up.
 */
#include "test_aio_common.h"

#include "file/range_lock.h"

static struct range_lock lock;

/* ---- exclusion, across threads ---- */

#define UNITS	      64
#define THREADS	      3
#define CO_PER_THREAD 6
#define TURNS	      (SANITIZED ? 400 : 4000)

static int owners[UNITS]; /* changed only with the lock held exclusively, so not atomic */
static _Atomic int readers[UNITS];

static void hold_and_check(uint64_t *seed)
{
	uint64_t start = test_random(seed) % UNITS;
	uint64_t len = 1 + test_random(seed) % (UNITS - start);
	bool exclusive = test_random(seed) % 3 == 0;
	struct range_hold hold;
	uint64_t i;

	if (len > 8)
		len = 8;
	range_lock_co_acquire(&lock, &hold, start, len, exclusive);
	for (i = start; i < start + len; i++) {
		CHECK(owners[i] == 0);
		if (exclusive) {
			CHECK(atomic_load(&readers[i]) == 0);
			owners[i] = 1;
		} else {
			atomic_fetch_add(&readers[i], 1);
		}
	}
	if (test_random(seed) % 4 == 0)
		co_yield_turn();
	for (i = start; i < start + len; i++) {
		if (exclusive)
			owners[i] = 0;
		else
			atomic_fetch_sub(&readers[i], 1);
	}
	range_lock_release(&lock, &hold);
}

struct holder {
	struct group *group;
	uint64_t seed;
};

static void holder(void *arg)
{
	struct holder *self = arg;

	for (unsigned int i = 0; i < TURNS; i++)
		hold_and_check(&self->seed);
	group_done(self->group);
}

static void holders(void *arg)
{
	struct group group = { .left = CO_PER_THREAD };
	struct holder args[CO_PER_THREAD];
	uint64_t seed = *(uint64_t *)arg;

	for (unsigned int i = 0; i < CO_PER_THREAD; i++) {
		args[i] = (struct holder){ &group, test_random(&seed) };
		CHECK(co_start(holder, &args[i]) == 0);
	}
	group_wait(&group);
}

static void test_exclusion(void **state)
{
	uint64_t seeds[THREADS];

	(void)state;
	seeds[0] = test_seed();
	for (unsigned int i = 1; i < THREADS; i++)
		seeds[i] = seeds[i - 1] * 3 + 2 * i;
	range_lock_init(&lock);
	run_on_loops(THREADS, holders, seeds, sizeof(seeds[0]));
	assert_true(cds_list_empty(&lock.holds));
	assert_int_equal(lock.exclusive, 0);
	range_lock_destroy(&lock);
}

/* ---- order ---- */

struct script {
	char name;
	uint64_t start, len;
	bool exclusive;
	struct range_hold hold;
	struct co *co; /* yields while it holds the lock */
	bool granted;
};

static char grants[32];

static void scripted(void *arg)
{
	struct script *s = arg;

	range_lock_co_acquire(&lock, &s->hold, s->start, s->len, s->exclusive);
	s->granted = true;
	strncat(grants, &s->name, 1);
	s->co = co_self();
	co_park();
	range_lock_release(&lock, &s->hold);
}

static void let_go(struct script *s)
{
	CHECK(s->granted);
	co_wake(s->co);
	for (int i = 0; i < 4; i++)
		co_yield_turn();
}

static void order_of_arrival(void *arg)
{
	struct script s[] = {
		{ .name = 'A', .start = 0, .len = 10, .exclusive = false },
		{ .name = 'B', .start = 5, .len = 10, .exclusive = true }, /* behind A */
		{ .name = 'C', .start = 0, .len = 20, .exclusive = false }, /* behind B */
		{ .name = 'D', .start = 30, .len = 5, .exclusive = true }, /* free */
		{ .name = 'E', .start = 0, .len = 5, .exclusive = false }, /* free */
		{ .name = 'F', .start = 15, .len = 16, .exclusive = true }, /* behind C and D */
		{ .name = 'G', .start = 12, .len = 2, .exclusive = false }, /* behind B only */
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(s); i++)
		CHECK(co_start(scripted, &s[i]) == 0);
	CHECK(!strcmp(grants, "ADE"));
	let_go(&s[0]);
	CHECK(!strcmp(grants, "ADEB"));
	let_go(&s[3]);
	CHECK(!strcmp(grants, "ADEB")); /* F still waits for C */
	let_go(&s[1]);
	CHECK(!strcmp(grants, "ADEBCG") || !strcmp(grants, "ADEBGC"));
	let_go(&s[2]);
	CHECK(grants[6] == 'F');
	let_go(&s[4]);
	let_go(&s[5]);
	let_go(&s[6]);
	CHECK(cds_list_empty(&lock.holds));
}

static void test_order(void **state)
{
	(void)state;
	range_lock_init(&lock);
	run_co(32, order_of_arrival, NULL);
	range_lock_destroy(&lock);
}

static void to_the_end_of_all(void *arg)
{
	struct range_hold a, b;

	(void)arg;
	/* A length that would wrap around means "everything from here on". */
	range_lock_co_acquire(&lock, &a, 4096, UINT64_MAX, true);
	CHECK(a.end == UINT64_MAX);
	range_lock_co_acquire(&lock, &b, 0, 4096, true);
	range_lock_release(&lock, &a);
	range_lock_release(&lock, &b);
}

static void test_to_the_end(void **state)
{
	(void)state;
	range_lock_init(&lock);
	run_co(32, to_the_end_of_all, NULL);
	range_lock_destroy(&lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exclusion),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_to_the_end),
	};

	return cmocka_run_group_tests_name("block_range_lock", tests, NULL, NULL);
}
