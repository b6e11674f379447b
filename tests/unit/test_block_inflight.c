// SPDX-License-Identifier: GPL-2.0
/*
 * Requests in flight: a ticket passes when, and only when, the requests that began
 * before it have ended.
 */
#include "test_aio_common.h"

#include "block/inflight.h"
#include "block/stats.h"

static struct inflight inf;

/* Looks at the counts, since taking a ticket and asking for it changes the epoch. */
static bool is_idle(void)
{
	for (int i = 0; i < AIO_MAX_LOOPS; i++)
		if (inf.slots[i].count[0] || inf.slots[i].count[1])
			return false;
	return true;
}

static void one_at_a_time(void *arg)
{
	unsigned int first, second;
	uint64_t ticket, later;

	(void)arg;
	CHECK(is_idle());
	ticket = inflight_ticket(&inf);
	CHECK(inflight_passed(&inf, ticket));

	first = inflight_begin(&inf);
	CHECK(!is_idle());
	ticket = inflight_ticket(&inf);
	for (int i = 0; i < 5; i++)
		CHECK(!inflight_passed(&inf, ticket));

	/* A request that began after the ticket does not delay it. */
	second = inflight_begin(&inf);
	later = inflight_ticket(&inf);
	inflight_end(&inf, first);
	CHECK(inflight_passed(&inf, ticket));
	CHECK(!inflight_passed(&inf, later));
	inflight_end(&inf, second);
	CHECK(inflight_passed(&inf, later));
	CHECK(is_idle());
}

static void test_one_at_a_time(void **state)
{
	(void)state;
	inflight_init(&inf);
	run_co(32, one_at_a_time, NULL);
}

/*
 * Its purpose: an object is replaced, and freed once its ticket has passed; requests
 * look it up and use it across yields.
 */

#define REQUEST_THREADS 3
#define CO_PER_THREAD	4
#define REQUESTS	(SANITIZED ? 500 : 5000)

struct object {
	_Atomic bool freed;
};

static struct object objects[2];
static _Atomic unsigned int current;
static _Atomic unsigned int busy_threads;
static unsigned long replaced;

static void requests(void *arg)
{
	uint64_t seed = aio_now() | 1;

	for (unsigned int i = 0; i < REQUESTS; i++) {
		unsigned int token = inflight_begin(&inf);
		struct object *object = &objects[atomic_load(&current)];

		for (uint64_t turns = test_random(&seed) % 3; turns; turns--) {
			CHECK(!atomic_load(&object->freed));
			co_yield_turn();
		}
		CHECK(!atomic_load(&object->freed));
		inflight_end(&inf, token);
	}
	group_done(arg);
}

static void requesting_thread(void *arg)
{
	struct group group = { .left = CO_PER_THREAD };

	(void)arg;
	for (unsigned int i = 0; i < CO_PER_THREAD; i++)
		CHECK(co_start(requests, &group) == 0);
	group_wait(&group);
	atomic_fetch_sub(&busy_threads, 1);
}

static void *replacing_thread(void *arg)
{
	(void)arg;
	while (atomic_load(&busy_threads)) {
		unsigned int old = atomic_load(&current);
		uint64_t ticket;

		atomic_store(&current, !old);
		ticket = inflight_ticket(&inf);
		while (!inflight_passed(&inf, ticket))
			;
		atomic_store(&objects[old].freed, true);
		replaced++;
		atomic_store(&objects[old].freed, false);
	}
	return NULL;
}

static void test_nothing_freed_under_a_request(void **state)
{
	pthread_t thread;

	(void)state;
	inflight_init(&inf);
	atomic_store(&busy_threads, REQUEST_THREADS);
	assert_int_equal(pthread_create(&thread, NULL, replacing_thread, NULL), 0);
	run_on_loops(REQUEST_THREADS, requesting_thread, NULL, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(is_idle());
	assert_true(replaced > 0);
}

/* ---- counters ---- */

static struct blk_stats stats;

static void counting(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		blk_stats_add(&stats, BLK_STAT_read_bytes, 3);
}

static void test_stats(void **state)
{
	(void)state;
	assert_int_equal(blk_stats_init(&stats), 0);
	run_on_loops(4, counting, NULL, 0);
	counting(NULL); /* a thread without a loop counts as well */
	assert_int_equal(blk_stats_get(&stats, BLK_STAT_read_bytes), 15000);
	assert_int_equal(blk_stats_get(&stats, BLK_STAT_read_ops), 0);
	assert_string_equal(blk_stat_name(BLK_STAT_l2_evictions), "l2_evictions");
	assert_string_equal(blk_stat_text(BLK_STAT_read_ops), "read requests");
	blk_stats_destroy(&stats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_nothing_freed_under_a_request),
		cmocka_unit_test(test_stats),
	};

	return cmocka_run_group_tests_name("block_inflight", tests, NULL, NULL);
}
