// SPDX-License-Identifier: GPL-2.0
/*
 * Timers: order, cancelling and arming again, against a plain model.
 */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "test_aio_common.h"

#define NSEC 1000000000ULL

#define TIMERS 2000
#define OPS    20000

struct subject {
	struct aio_timer timer;
	bool expected; /* the model: is it expected to fire? */
	unsigned int fired;
};

static struct subject subjects[TIMERS];
static uint64_t last_deadline;
static unsigned int nr_expected, nr_fired;
static struct co *model_co;

static void on_expiry(struct aio_timer *timer)
{
	struct subject *subject = container_of(timer, struct subject, timer);

	CHECK(subject->expected);
	CHECK(!timer->armed);
	CHECK(aio_now() >= timer->deadline);
	CHECK(timer->deadline >= last_deadline);
	last_deadline = timer->deadline;
	subject->expected = false;
	subject->fired++;
	nr_fired++;
	if (!--nr_expected)
		co_wake(model_co);
}

static void random_ops(void *arg)
{
	uint64_t *rng = arg;
	struct subject *subject;
	unsigned int i;

	for (i = 0; i < TIMERS; i++)
		aio_timer_init(&subjects[i].timer, on_expiry);
	for (i = 0; i < OPS; i++) {
		subject = &subjects[test_random(rng) % TIMERS];
		if (test_random(rng) % 3 == 0) {
			aio_timer_cancel(&subject->timer);
			nr_expected -= subject->expected;
			subject->expected = false;
		} else {
			/* No yields here, so all are armed before the first fires. */
			aio_timer_arm(&subject->timer, 1 + test_random(rng) % (100 * MSEC));
			nr_expected += !subject->expected;
			subject->expected = true;
		}
	}
	CHECK(nr_expected > TIMERS / 4);
	model_co = co_self();
	co_park();
	for (i = 0; i < TIMERS; i++)
		CHECK(!subjects[i].expected && !subjects[i].timer.armed);
}

static void test_against_model(void **state)
{
	uint64_t rng = test_seed();

	(void)state;
	run_co(8, random_ops, &rng);
	assert_int_equal(nr_expected, 0);
	assert_true(nr_fired > TIMERS / 4);
}

/* ---- timers whose callbacks change timers ---- */

static struct aio_timer canceller, victim, again;
static unsigned int again_count, victim_count;

static void on_canceller(struct aio_timer *timer)
{
	(void)timer;
	aio_timer_cancel(&victim);
	aio_timer_cancel(&victim);
}

static void on_victim(struct aio_timer *timer)
{
	(void)timer;
	victim_count++;
}

static void on_again(struct aio_timer *timer)
{
	/* Due at once, but must not fire in this turn, or the loop would never continue. */
	if (++again_count < 100000)
		aio_timer_arm(timer, 0);
}

static void change_each_other(void *arg)
{
	uint64_t start = aio_now();

	(void)arg;
	aio_timer_init(&canceller, on_canceller);
	aio_timer_init(&victim, on_victim);
	aio_timer_init(&again, on_again);
	aio_timer_arm(&canceller, 3 * MSEC);
	aio_timer_arm(&victim, 4 * MSEC);
	aio_timer_arm(&again, 0);
	/* The victim is already due when the canceller runs. */
	while (aio_now() < start + 6 * MSEC)
		;
	aio_co_sleep(10 * MSEC);
	CHECK(again_count > 1);
	aio_timer_cancel(&again);
	CHECK(victim_count == 0);
}

static void test_callbacks_change_timers(void **state)
{
	(void)state;
	run_co(8, change_each_other, NULL);
}

/* ---- equal deadlines, and a frozen clock ---- */

#define EQUALS 50

static uint64_t frozen; /* 0: the real clock */

/* Wraps the C library's. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (!frozen || clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	ts->tv_sec = (time_t)(frozen / NSEC);
	ts->tv_nsec = (long)(frozen % NSEC);
	return 0;
}

static struct aio_timer equals[EQUALS];
static unsigned int nr_equals;

static void on_equal(struct aio_timer *timer)
{
	CHECK(timer == &equals[nr_equals]);
	nr_equals++;
}

static void stand_still(void *arg)
{
	unsigned int i;

	(void)arg;
	frozen = aio_now();
	for (i = 0; i < EQUALS; i++) {
		aio_timer_init(&equals[i], on_equal);
		aio_timer_arm(&equals[i], MSEC);
	}
	again_count = 0;
	aio_timer_arm(&again, 0);
	for (i = 0; i < 10; i++)
		co_yield_turn();
	CHECK(again_count == 10 && !nr_equals);
	aio_timer_cancel(&again);
	frozen += MSEC;
	co_yield_turn();
	CHECK(nr_equals == EQUALS);
	frozen = 0;
}

static void test_equal_deadlines(void **state)
{
	(void)state;
	run_co(8, stand_still, NULL);
}

/* ---- waiting ---- */

static void sleeper(void *arg)
{
	uint64_t start = aio_now(), took;

	(void)arg;
	aio_co_sleep(20 * MSEC);
	took = aio_now() - start;
	CHECK(took >= 20 * MSEC);
	CHECK(took < 5000 * MSEC);
}

static atomic_uint alarms;

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

static void sleep_among_alarms(void *arg)
{
	unsigned int naps = 0;

	/* ThreadSanitizer delays signals until it sees a system call, and may see none. */
	for (; alarms < 5 && naps < 200; naps++)
		sleeper(arg);
}

static void test_sleep_through_signals(void **state)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, off = { 0 };

	(void)state;
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &often, NULL);
	run_co(8, sleep_among_alarms, NULL);
	setitimer(ITIMER_REAL, &off, NULL);
#ifndef AIO_TSAN
	assert_true(alarms >= 5);
#endif
}

static struct aio_timer never;

static void far_away(void *arg)
{
	(void)arg;
	aio_timer_init(&never, on_victim);
	aio_timer_arm(&never, UINT64_MAX);
	CHECK(never.deadline == UINT64_MAX);
	aio_co_sleep(MSEC);
	aio_timer_arm(&never, 86400 * 1000 * MSEC);
	aio_co_sleep(MSEC);
	aio_timer_cancel(&never);
}

static void test_sleep(void **state)
{
	(void)state;
	run_co(8, sleeper, NULL);
	run_co(8, far_away, NULL);
	assert_int_equal(victim_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_callbacks_change_timers),
		cmocka_unit_test(test_equal_deadlines),
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_sleep_through_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
