// SPDX-License-Identifier: GPL-2.0
/* Deferred freeing: not before readers have finished, and everything in the end. */
#include "aio/loop_internal.h"
#include "aio/rcu.h"
#include "test_aio_common.h"

#define READERS	     3
#define REPLACEMENTS 2000
#define ALIVE	     0x600d600d
#define DEAD	     0xdeaddead

struct object {
	struct aio_rcu_head rcu;
	unsigned int state;
	unsigned int serial;
};

struct barrier {
	struct aio_rcu_head head;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool passed;
};

static void on_barrier(struct aio_rcu_head *head)
{
	struct barrier *barrier = container_of(head, struct barrier, head);

	pthread_mutex_lock(&barrier->mutex);
	barrier->passed = true;
	pthread_cond_signal(&barrier->cond);
	pthread_mutex_unlock(&barrier->mutex);
}

/*
 * Wait until all functions that were deferred have been called. Blocks the thread; on a loop's
 * thread no pointer that was loaded before stays valid.
 *
 * liburcu's single helper thread calls functions in the order of deferral, so our
 * own is called after all others.  (liburcu's barrier allocates memory in a way
 * that ThreadSanitizer misinterprets.)
 */
static void wait_for_deferred(void)
{
	struct barrier barrier = { .mutex = PTHREAD_MUTEX_INITIALIZER,
				   .cond = PTHREAD_COND_INITIALIZER };
	bool reader = aio_this_loop && aio_this_loop->running;

	aio_rcu_defer(&barrier.head, on_barrier);
	if (reader)
		rcu_loop_offline();
	pthread_mutex_lock(&barrier.mutex);
	while (!barrier.passed)
		pthread_cond_wait(&barrier.cond, &barrier.mutex);
	pthread_mutex_unlock(&barrier.mutex);
	if (reader)
		rcu_loop_online();
	pthread_cond_destroy(&barrier.cond);
	pthread_mutex_destroy(&barrier.mutex);
}

static _Atomic(struct object *) published;
static atomic_uint freed;
static atomic_bool over;

static struct object *new_object(unsigned int serial)
{
	struct object *object = malloc(sizeof(*object));

	CHECK(object);
	object->state = ALIVE;
	object->serial = serial;
	return object;
}

static void free_object(struct aio_rcu_head *head)
{
	struct object *object = container_of(head, struct object, rcu);

	object->state = DEAD;
	free(object);
	atomic_fetch_add(&freed, 1);
}

static void read_on(bool may_sleep)
{
	unsigned int serial = 0, i;
	struct object *object;

	while (!atomic_load(&over)) {
		object = atomic_load_explicit(&published, memory_order_acquire);
		CHECK(object->serial >= serial);
		serial = object->serial;
		for (i = 0; i < 50; i++)
			CHECK(*(volatile unsigned int *)&object->state == ALIVE);
		/* Turns of the loop that wait and those that do not are both quiescent. */
		if (may_sleep)
			aio_co_sleep(20000);
		else
			co_yield_turn();
	}
}

static void write_on(void)
{
	unsigned int i;
	struct object *old;

	for (i = 1; i <= REPLACEMENTS; i++) {
		old = atomic_exchange_explicit(&published, new_object(i), memory_order_acq_rel);
		aio_rcu_defer(&old->rcu, free_object);
		if (i % 16 == 0)
			aio_co_sleep(2 * MSEC);
	}
	/* Freeing must proceed while readers run, otherwise this tests nothing. */
	for (i = 0; atomic_load(&freed) < REPLACEMENTS / 2; i++) {
		CHECK(i < 10000);
		aio_co_sleep(MSEC);
	}
	atomic_store(&over, true);
}

static void reader_or_writer(void *arg)
{
	unsigned int id = *(unsigned int *)arg;

	if (id < READERS)
		read_on(id % 2);
	else
		write_on();
}

static void test_readers_and_a_writer(void **state)
{
	unsigned int ids[READERS + 1], i;

	(void)state;
	for (i = 0; i <= READERS; i++)
		ids[i] = i;
	atomic_store(&published, new_object(0));
	run_on_loops(READERS + 1, reader_or_writer, ids, sizeof(ids[0]));
	wait_for_deferred();
	assert_int_equal(freed, REPLACEMENTS);
	free(atomic_load(&published));
}

/* ---- a reader that does not yield delays freeing ---- */

static atomic_bool reading, let_go, called;
static struct aio_rcu_head marker;

static void mark_called(struct aio_rcu_head *head)
{
	(void)head;
	atomic_store(&called, true);
}

static void long_reader(void *arg)
{
	(void)arg;
	/* After a yield it is a reader again. */
	aio_co_sleep(MSEC);
	atomic_store(&reading, true);
	while (!atomic_load(&let_go))
		usleep(1000);
	CHECK(!atomic_load(&called));
	/* It yields: a loop that sleeps does not delay freeing. */
	while (!atomic_load(&called))
		aio_co_sleep(MSEC);
}

static void *release_later(void *arg)
{
	(void)arg;
	while (!atomic_load(&reading))
		usleep(1000);
	aio_rcu_defer(&marker, mark_called);
	usleep(60000);
	CHECK(!atomic_load(&called));
	atomic_store(&let_go, true);
	return NULL;
}

static void test_reader_holds_up(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, release_later, NULL), 0);
	run_co(8, long_reader, NULL);
	pthread_join(thread, NULL);
	assert_true(called);
}

/* ---- a barrier on a loop's own thread ---- */

static void barrier_inside(void *arg)
{
	(void)arg;
	atomic_store(&called, false);
	aio_rcu_defer(&marker, mark_called);
	wait_for_deferred();
	CHECK(atomic_load(&called));
}

static void test_barrier_on_loop(void **state)
{
	(void)state;
	run_co(8, barrier_inside, NULL);
}

/* ---- a thread that has a loop and does not run it ---- */

static void *barrier_outside(void *arg)
{
	(void)arg;
	atomic_store(&called, false);
	aio_rcu_defer(&marker, mark_called);
	wait_for_deferred();
	CHECK(atomic_load(&called));
	return NULL;
}

static void some_turns(void *arg)
{
	(void)arg;
	co_yield_turn();
	co_yield_turn();
}

static void park_for_good(void *arg)
{
	*(struct co **)arg = co_self();
	co_park();
}

static void test_idle_loop_holds_nothing_up(void **state)
{
	struct aio_loop *loop = new_loop(8);
	pthread_t thread;
	struct co *sleeper;

	(void)state;
	/* Neither before the first run, nor after one, nor after a start outside of any. */
	barrier_outside(NULL);
	assert_int_equal(aio_loop_run_co(loop, some_turns, NULL), 0);
	assert_int_equal(co_start(park_for_good, &sleeper), 0);
	assert_int_equal(pthread_create(&thread, NULL, barrier_outside, NULL), 0);
	pthread_join(thread, NULL);
	co_wake(sleeper);
	assert_int_equal(aio_loop_run_co(loop, some_turns, NULL), 0);
	aio_loop_destroy(loop);
}

static void start_reader(void *arg)
{
	(void)arg;
	atomic_store(&reading, true);
	while (!atomic_load(&let_go))
		usleep(1000);
	CHECK(!atomic_load(&called));
}

/* A coroutine started outside of a run is a reader, too. */
static void test_started_outside_is_reader(void **state)
{
	struct aio_loop *loop = new_loop(8);
	pthread_t thread;

	(void)state;
	atomic_store(&reading, false);
	atomic_store(&let_go, false);
	atomic_store(&called, false);
	assert_int_equal(pthread_create(&thread, NULL, release_later, NULL), 0);
	assert_int_equal(co_start(start_reader, NULL), 0);
	pthread_join(thread, NULL);
	wait_for_deferred();
	assert_true(called);
	aio_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_and_a_writer),
		cmocka_unit_test(test_reader_holds_up),
		cmocka_unit_test(test_barrier_on_loop),
		cmocka_unit_test(test_idle_loop_holds_nothing_up),
		cmocka_unit_test(test_started_outside_is_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
