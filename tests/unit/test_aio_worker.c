// SPDX-License-Identifier: GPL-2.0
/*
 * The pool of worker threads: results, saturation, and its end.
 */
#include <dirent.h>

#include "aio/loop_internal.h"
#include "test_aio_common.h"

static unsigned int nr_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned int n = 0;

	CHECK(dir);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* ---- results, and other coroutines meanwhile ---- */

static pthread_t loop_thread;

static int slow_negate(void *arg)
{
	CHECK(!pthread_equal(pthread_self(), loop_thread));
	usleep(20000);
	return -*(int *)arg;
}

static void ticker(void *arg)
{
	unsigned int *ticks = arg;

	while (*ticks != UINT32_MAX) {
		++*ticks;
		aio_co_sleep(MSEC);
	}
}

static void call_once(void *arg)
{
	unsigned int ticks = 0;
	int value = 17;

	(void)arg;
	loop_thread = pthread_self();
	CHECK(co_start(ticker, &ticks) == 0);
	CHECK(aio_co_call(slow_negate, &value) == -17);
	CHECK(ticks > 2);
	ticks = UINT32_MAX;
	aio_co_sleep(5 * MSEC);
}

static void test_result(void **state)
{
	(void)state;
	run_co(8, call_once, NULL);
}

/* ---- more calls than workers, from several loops ---- */

#define THREADS 3
#define CALLS	20

static atomic_uint running, most_running, finished;

static int count_running(void *arg)
{
	unsigned int now = atomic_fetch_add(&running, 1) + 1, most = atomic_load(&most_running);

	while (now > most && !atomic_compare_exchange_weak(&most_running, &most, now))
		;
	usleep(5000);
	atomic_fetch_sub(&running, 1);
	atomic_fetch_add(&finished, 1);
	return *(int *)arg;
}

struct caller {
	struct group *group;
	int value;
};

static void call_and_check(void *arg)
{
	struct caller *caller = arg;

	CHECK(aio_co_call(count_running, &caller->value) == caller->value);
	group_done(caller->group);
}

static void saturate(void *arg)
{
	struct group group = { .left = CALLS };
	struct caller callers[CALLS];
	int i;

	(void)arg;
	for (i = 0; i < CALLS; i++) {
		callers[i] = (struct caller){ &group, i * 3 };
		CHECK(co_start(call_and_check, &callers[i]) == 0);
	}
	group_wait(&group);
}

static void test_saturation(void **state)
{
	(void)state;
	run_on_loops(THREADS, saturate, NULL, 0);
	assert_int_equal(finished, THREADS * CALLS);
	assert_int_equal(most_running, AIO_MAX_WORKERS);
}

/* ---- idle workers end, and others come when needed ---- */

static void test_idle_workers_end(void **state)
{
	unsigned int before, tries;

	(void)state;
	/* Those of the tests before wait for longer; these calls make them look at the clock anew. */
	aio_worker_idle_ms = 20;
	run_on_loops(THREADS, saturate, NULL, 0);
	before = nr_threads();
	for (tries = 0; tries < 500 && nr_threads() > before - AIO_MAX_WORKERS; tries++)
		usleep(10000);
	assert_int_equal(nr_threads(), before - AIO_MAX_WORKERS);

	aio_worker_idle_ms = 1;
	for (tries = 0; tries < 20; tries++)
		run_co(8, call_once, NULL);
	aio_worker_idle_ms = 5000;
	run_on_loops(THREADS, saturate, NULL, 0);
	assert_int_equal(finished, THREADS * CALLS * 3);
	/* And now the process ends with eight of them waiting: no leak, no race. */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_saturation),
		cmocka_unit_test(test_idle_workers_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
