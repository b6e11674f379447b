// SPDX-License-Identifier: GPL-2.0
/*
 * Coroutine locks and queues, within a loop and across threads.
 */
#include "aio/lock.h"
#include "test_aio_common.h"

#define THREADS 4

/* ---- exclusion and fairness of co_mutex ---- */

#define CO_PER_THREAD 4
#define LOCKS_PER_CO  (SANITIZED ? 300 : 2000)

static struct co_mutex contended;
static unsigned long plain_counter; /* not atomic: protected by the lock; TSan checks */
static struct co *holder;

static void contender(void *arg)
{
	unsigned int i;

	for (i = 0; i < LOCKS_PER_CO; i++) {
		co_mutex_lock(&contended);
		CHECK(!holder);
		holder = co_self();
		plain_counter++;
		/* Some hold it across a yield, some across I/O. */
		if (i % 7 == 0)
			co_yield_turn();
		else if (i % 31 == 0)
			aio_co_sleep(1000);
		CHECK(holder == co_self());
		holder = NULL;
		co_mutex_unlock(&contended);
	}
	group_done(arg);
}

static void contending_thread(void *arg)
{
	struct group group = { .left = CO_PER_THREAD };
	unsigned int i;

	(void)arg;
	for (i = 0; i < CO_PER_THREAD; i++)
		CHECK(co_start(contender, &group) == 0);
	group_wait(&group);
}

static void test_mutex_across_threads(void **state)
{
	(void)state;
	co_mutex_init(&contended);
	run_on_loops(THREADS, contending_thread, NULL, 0);
	co_mutex_destroy(&contended);
	assert_int_equal(plain_counter, THREADS * CO_PER_THREAD * LOCKS_PER_CO);
}

static char order[16];
static unsigned int order_len;

struct queuer {
	char name;
	struct group *group;
};

static void lock_and_note(void *arg)
{
	struct queuer *queuer = arg;

	co_mutex_lock(&contended);
	order[order_len++] = queuer->name;
	co_mutex_unlock(&contended);
	group_done(queuer->group);
}

static void first_come_first_served(void *arg)
{
	struct group group = { .left = 4 };
	struct queuer queuers[4];
	unsigned int i;

	(void)arg;
	co_mutex_lock(&contended);
	for (i = 0; i < 3; i++) {
		queuers[i] = (struct queuer){ (char)('a' + i), &group };
		CHECK(co_start(lock_and_note, &queuers[i]) == 0);
	}
	CHECK(order_len == 0);
	co_mutex_unlock(&contended);
	/* a owns it by now, though it has not run yet: no other coroutine gets it first. */
	queuers[3] = (struct queuer){ 'd', &group };
	CHECK(co_start(lock_and_note, &queuers[3]) == 0);
	group_wait(&group);
}

static void test_mutex_is_fair(void **state)
{
	(void)state;
	co_mutex_init(&contended);
	run_co(8, first_come_first_served, NULL);
	co_mutex_destroy(&contended);
	assert_string_equal(order, "abcd");
}

/* ---- a token is passed round all threads ---- */

#define ROUNDS (SANITIZED ? 500 : 1000)

static pthread_mutex_t token_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct co_queue token_queues[THREADS];
static unsigned int token;

static void token_passer(void *arg)
{
	unsigned int self = *(unsigned int *)arg, i;

	for (i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&token_mutex);
		while (token % THREADS != self)
			co_queue_wait(&token_queues[self], &token_mutex);
		CHECK(token == i * THREADS + self);
		token++;
		co_queue_wake_all(&token_queues[(self + 1) % THREADS]);
		pthread_mutex_unlock(&token_mutex);
	}
}

static void test_ping_pong(void **state)
{
	unsigned int ids[THREADS], i;

	(void)state;
	for (i = 0; i < THREADS; i++) {
		ids[i] = i;
		co_queue_init(&token_queues[i]);
	}
	run_on_loops(THREADS, token_passer, ids, sizeof(ids[0]));
	assert_int_equal(token, ROUNDS * THREADS);
}

/* ---- a barrier: wake_all against waiting ---- */

static pthread_mutex_t barrier_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct co_queue barrier_queue;
static unsigned int barrier_arrived, barrier_generation;

static void barrier_wait(unsigned int parties)
{
	unsigned int generation;

	pthread_mutex_lock(&barrier_mutex);
	generation = barrier_generation;
	if (++barrier_arrived == parties) {
		barrier_arrived = 0;
		barrier_generation++;
		co_queue_wake_all(&barrier_queue);
		CHECK(cds_list_empty(&barrier_queue.waiters));
	}
	while (generation == barrier_generation)
		co_queue_wait(&barrier_queue, &barrier_mutex);
	pthread_mutex_unlock(&barrier_mutex);
}

static void barrier_user(void *arg)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		barrier_wait(THREADS * CO_PER_THREAD);
		pthread_mutex_lock(&barrier_mutex);
		CHECK(barrier_generation == i + 1 || barrier_generation == i + 2);
		pthread_mutex_unlock(&barrier_mutex);
	}
	group_done(arg);
}

static void barrier_thread(void *arg)
{
	struct group group = { .left = CO_PER_THREAD };
	unsigned int i;

	(void)arg;
	for (i = 0; i < CO_PER_THREAD; i++)
		CHECK(co_start(barrier_user, &group) == 0);
	group_wait(&group);
}

static void test_wake_all(void **state)
{
	(void)state;
	co_queue_init(&barrier_queue);
	run_on_loops(THREADS, barrier_thread, NULL, 0);
	assert_int_equal(barrier_generation, ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutex_across_threads),
		cmocka_unit_test(test_mutex_is_fair),
		cmocka_unit_test(test_ping_pong),
		cmocka_unit_test(test_wake_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
