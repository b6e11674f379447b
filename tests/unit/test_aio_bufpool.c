// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer pool: bounds, order, and waiting for buffers across threads.
 */
#include "aio/bufpool.h"
#include "test_aio_common.h"

#define BUF_SIZE      8192
#define THREADS	      4
#define CO_PER_THREAD 6
#define GETS	      (SANITIZED ? 100 : 600)

static struct bufpool *pool;

static void test_bounds(void **state)
{
	void *bufs[3], *again;
	unsigned int i, j;

	(void)state;
	assert_int_equal(bufpool_create(&pool, BUF_SIZE, 0), -EINVAL);
	assert_int_equal(bufpool_create(&pool, 1000, 1), -EINVAL);
	assert_int_equal(bufpool_create(&pool, (size_t)1 << 62, 8), -EINVAL);
	assert_int_equal(bufpool_create(&pool, BUF_SIZE, 3), 0);
	assert_int_equal(bufpool_buf_size(pool), BUF_SIZE);
	for (i = 0; i < 3; i++) {
		bufs[i] = bufpool_try_get(pool);
		assert_non_null(bufs[i]);
		assert_int_equal((uintptr_t)bufs[i] % 4096, 0);
		memset(bufs[i], (int)i, BUF_SIZE);
	}
	for (i = 0; i < 3; i++)
		for (j = 0; j < BUF_SIZE; j++)
			assert_int_equal(((char *)bufs[i])[j], i);
	assert_null(bufpool_try_get(pool));
	/* Last in, first out: cache-warm buffers are reused. */
	bufpool_put(pool, bufs[0]);
	bufpool_put(pool, bufs[1]);
	again = bufpool_try_get(pool);
	assert_ptr_equal(again, bufs[1]);
	bufpool_put(pool, again);
	bufpool_put(pool, bufs[2]);
	bufpool_destroy(pool);
}

/* ---- first come, first served, and no barging ---- */

static char order[8];

struct getter {
	char name;
	void *buf;
	struct group *group;
};

static void get_and_note(void *arg)
{
	struct getter *getter = arg;

	getter->buf = bufpool_co_get(pool);
	order[strlen(order)] = getter->name;
	group_done(getter->group);
}

static void one_for_three(void *arg)
{
	struct group group = { .left = 3 };
	struct getter getters[3];
	void *buf = bufpool_co_get(pool);
	unsigned int i;

	(void)arg;
	for (i = 0; i < 3; i++) {
		getters[i] = (struct getter){ .name = (char)('a' + i), .group = &group };
		CHECK(co_start(get_and_note, &getters[i]) == 0);
	}
	bufpool_put(pool, buf);
	/* It belongs to a, which has not even run yet. */
	CHECK(!bufpool_try_get(pool));
	for (i = 0; i < 3; i++) {
		co_yield_turn();
		CHECK(strlen(order) == i + 1 && getters[i].buf == buf);
		bufpool_put(pool, buf);
	}
	group_wait(&group);
	CHECK(!strcmp(order, "abc"));
}

static void test_no_barging(void **state)
{
	(void)state;
	assert_int_equal(bufpool_create(&pool, BUF_SIZE, 1), 0);
	run_co(8, one_for_three, NULL);
	bufpool_destroy(pool);
}

/* ---- more users than buffers, on several threads ---- */

static void user(void *arg)
{
	uint64_t mark = (uint64_t)(uintptr_t)co_self();
	volatile uint64_t *buf;
	unsigned int i;

	for (i = 0; i < GETS; i++) {
		buf = bufpool_co_get(pool);
		CHECK(*buf == 0);
		*buf = mark;
		if (i % 3 == 0)
			co_yield_turn();
		if (i % 29 == 0)
			aio_co_sleep(10000);
		CHECK(*buf == mark);
		*buf = 0;
		bufpool_put(pool, (void *)buf);
	}
	group_done(arg);
}

static void user_thread(void *arg)
{
	struct group group = { .left = CO_PER_THREAD };
	unsigned int i;

	(void)arg;
	for (i = 0; i < CO_PER_THREAD; i++)
		CHECK(co_start(user, &group) == 0);
	group_wait(&group);
}

static void test_exhaustion_across_threads(void **state)
{
	unsigned int i;

	(void)state;
	assert_int_equal(bufpool_create(&pool, BUF_SIZE, 3), 0);
	run_on_loops(THREADS, user_thread, NULL, 0);
	/* All buffers were returned. */
	for (i = 0; i < 3; i++)
		assert_non_null(bufpool_try_get(pool));
	bufpool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_no_barging),
		cmocka_unit_test(test_exhaustion_across_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
