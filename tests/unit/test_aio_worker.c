// SPDX-License-Identifier: GPL-2.0
/*
 * The pool of worker threads: results, saturation, and the end of workers.
 *
 * threads: yes
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
static atomic_uint ticks;

static int slow_negate(void *arg)
{
	CHECK(!pthread_equal(pthread_self(), loop_thread));
	/* The loop must run meanwhile, otherwise this never ends. */
	while (ticks < 5)
		usleep(1000);
	return -*(int *)arg;
}

static void ticker(void *arg)
{
	bool *stop = arg;

	while (!*stop) {
		ticks++;
		aio_co_sleep(MSEC);
	}
}

static void call_once(void *arg)
{
	bool stop = false;
	int value = 17;

	(void)arg;
	loop_thread = pthread_self();
	ticks = 0;
	CHECK(co_start(ticker, &stop) == 0);
	CHECK(aio_co_call(slow_negate, &value) == -17);
	stop = true;
	aio_co_sleep(5 * MSEC);
}

static void test_result(void **state)
{
	(void)state;
	run_co(8, call_once, NULL);
}

/* ---- calls that need each other, one more each time than there are idle workers ---- */

static atomic_uint arrived, expected;

static int meet(void *arg)
{
	unsigned int tries;

	(void)arg;
	arrived++;
	for (tries = 0; arrived < expected; tries++) {
		CHECK(tries < 10000);
		usleep(1000);
	}
	return 0;
}

static void call_meet(void *arg)
{
	CHECK(aio_co_call(meet, NULL) == 0);
	group_done(arg);
}

static void meetings(void *arg)
{
	struct group group;
	unsigned int n, i;

	(void)arg;
	for (n = 1; n <= AIO_MAX_WORKERS; n++) {
		group = (struct group){ .left = n };
		arrived = 0;
		expected = n;
		for (i = 0; i < n; i++)
			CHECK(co_start(call_meet, &group) == 0);
		group_wait(&group);
	}
}

static void test_as_many_workers_as_calls(void **state)
{
	(void)state;
	run_co(8, meetings, NULL);
}

/* ---- more calls than workers, from several loops ---- */

#define THREADS 3
#define CALLS	20

static atomic_uint running, most_running, finished;

static int count_running(void *arg)
{
	unsigned int now = atomic_fetch_add(&running, 1) + 1, most = atomic_load(&most_running);
	unsigned int tries;

	while (now > most && !atomic_compare_exchange_weak(&most_running, &most, now))
		;
	/*
	 * The first calls wait for each other until the limit is reached; then give one too many
	 * time to start.
	 */
	for (tries = 0; tries < 5000 && most_running < AIO_MAX_WORKERS; tries++)
		usleep(1000);
	usleep(2000);
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

/* ---- idle workers end, and new ones start when needed ---- */

static unsigned int threads_without_workers;

static void test_idle_workers_end(void **state)
{
	unsigned int tries;

	(void)state;
	aio_worker_idle_ms = 20;
	run_on_loops(THREADS, saturate, NULL, 0);
	/* Workers of earlier tests wait for five seconds. */
	for (tries = 0; tries < 2000 && nr_threads() > threads_without_workers; tries++)
		usleep(10000);
	assert_int_equal(nr_threads(), threads_without_workers);

	aio_worker_idle_ms = 1;
	for (tries = 0; tries < 20; tries++)
		run_co(8, call_once, NULL);
	aio_worker_idle_ms = 5000;
	run_on_loops(THREADS, saturate, NULL, 0);
	assert_int_equal(finished, THREADS * CALLS * 3);
	/* The process exits with eight of them waiting: no leak, no race. */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_as_many_workers_as_calls),
		cmocka_unit_test(test_saturation),
		cmocka_unit_test(test_idle_workers_end),
	};

	/* The first loop starts liburcu's thread. */
	aio_loop_destroy(new_loop(8));
	threads_without_workers = nr_threads();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
