// SPDX-License-Identifier: GPL-2.0
/*
 * Coroutines: order of running, stacks and their pool, registers across a
 * switch, and wakes from other threads.
 */
#include <signal.h>
#include <sys/wait.h>

#include "aio/loop_internal.h"
#include "test_aio_common.h"

static char trace[64];

static void note(const char *what)
{
	strcat(trace, what);
}

static struct co *parked_child;

static void child(void *arg)
{
	note("b");
	parked_child = co_self();
	co_park();
	note(arg);
}

static void parent(void *arg)
{
	struct co *self = co_self();

	(void)arg;
	note("a");
	CHECK(co_start(child, "e") == 0);
	CHECK(co_self() == self);
	note("c");
	co_wake(parked_child);
	note("d"); /* waking does not switch */
	co_yield_turn();
	note("f");
}

static void test_start_and_wake_order(void **state)
{
	(void)state;
	trace[0] = 0;
	run_co(8, parent, NULL);
	assert_string_equal(trace, "abcdef");
	assert_null(co_self());
}

/* ---- a wake before the yield ---- */

static void wake_self_twice_over(void *arg)
{
	int *n = arg;

	for (; *n < 1000; ++*n)
		co_yield_turn();
}

static void test_wake_before_park(void **state)
{
	int n = 0;

	(void)state;
	run_co(8, wake_self_twice_over, &n);
	assert_int_equal(n, 1000);
}

/* ---- the pool ---- */

#define CROWD 700

static struct co *crowd[CROWD];
static unsigned int crowd_size, crowd_ended;

static void one_of_crowd(void *arg)
{
	(void)arg;
	crowd[crowd_size++] = co_self();
	co_park();
	crowd_ended++;
}

static void gather_and_disperse(void)
{
	unsigned int i;

	crowd_size = crowd_ended = 0;
	for (i = 0; i < CROWD; i++)
		CHECK(co_start(one_of_crowd, NULL) == 0);
	CHECK(crowd_size == CROWD && !crowd_ended);
	for (i = 0; i < CROWD; i++)
		co_wake(crowd[i]);
	co_yield_turn();
	CHECK(crowd_ended == CROWD);
}

static void ends_at_once(void *arg)
{
	*(struct co **)arg = co_self();
}

static void pool_user(void *arg)
{
	struct aio_loop *loop = aio_loop_current();
	struct co *first, *again;

	(void)arg;
	gather_and_disperse();
	CHECK(loop->nr_idle == loop->max_idle && loop->max_idle < CROWD);
	CHECK(loop->nr_busy == 1);
	gather_and_disperse();
	CHECK(co_start(ends_at_once, &first) == 0);
	CHECK(co_start(ends_at_once, &again) == 0);
	CHECK(first == again);
}

static void test_pool_is_used_and_bounded(void **state)
{
	(void)state;
	run_co(8, pool_user, NULL);
}

/* ---- stacks ---- */

static unsigned int sum_deep(unsigned int depth)
{
	volatile unsigned char fill[1024];

	memset((void *)fill, (int)depth, sizeof(fill));
	return (depth ? sum_deep(depth - 1) : 0) + fill[depth % sizeof(fill)];
}

static void use_stack(void *arg)
{
	*(unsigned int *)arg = sum_deep(SANITIZED ? 60 : 200);
}

static void on_fault(int signal)
{
	(void)signal;
	_exit(42);
}

/* Touch the byte at distance @arg from the lowest usable byte of this stack. */
static void touch_bottom(void *arg)
{
	volatile char *bottom = (char *)co_self()->mapping + sysconf(_SC_PAGESIZE);

	bottom[*(long *)arg] = 1;
	_exit(0);
}

static int exit_status_of_touch(long at)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		signal(SIGSEGV, on_fault);
		run_co(8, touch_bottom, &at);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_stack_size_and_guard(void **state)
{
	unsigned int sum = 0;

	(void)state;
	run_co(8, use_stack, &sum);
	assert_int_not_equal(sum, 0);
	assert_int_equal(exit_status_of_touch(0), 0);
	assert_int_equal(exit_status_of_touch(-1), 42);
	assert_int_equal(exit_status_of_touch(-sysconf(_SC_PAGESIZE)), 42);
}

/* ---- registers ---- */

/* More live values than callee-saved registers, in both register files. */
static uint64_t churn(uint64_t seed, unsigned int rounds)
{
	uint64_t a = seed, b = seed + 1, c = seed + 2, d = seed + 3, e = seed + 4, f = seed + 5;
	uint64_t g = seed + 6, h = seed + 7;
	double p = (double)(seed & 255), q = p + 1, r = p + 2, s = p + 3;

	while (rounds--) {
		a += b, b ^= c, c += d, d ^= e, e += f, f ^= g, g += h, h ^= a;
		p = p / 2 + q, q = q / 3 + r, r = r / 5 + s, s = s / 7 + p;
		if (co_self())
			co_yield_turn();
	}
	return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ (uint64_t)(p * 1000) ^ (uint64_t)(q * 1000) ^
	       (uint64_t)(r * 1000) ^ (uint64_t)(s * 1000);
}

static uint64_t churned[8];

static void churn_co(void *arg)
{
	churned[(uintptr_t)arg] = churn((uintptr_t)arg * 77777, 300);
}

static void churn_all(void *arg)
{
	uintptr_t i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(churned); i++)
		CHECK(co_start(churn_co, (void *)i) == 0);
	for (i = 0; i < 400; i++)
		co_yield_turn();
}

static void test_registers_survive(void **state)
{
	uintptr_t i;

	(void)state;
	run_co(8, churn_all, NULL);
	for (i = 0; i < ARRAY_SIZE(churned); i++)
		assert_true(churned[i] == churn(i * 77777, 300));
}

/*
 * ---- wakes from a plain thread as soon as it knows a coroutine, which may not have
 * yielded yet ----
 */

#define RACES (SANITIZED ? 3000 : 30000)

static _Atomic(struct co *) announced;
static atomic_bool race_over;

static void *waker_main(void *arg)
{
	struct co *co;

	(void)arg;
	while (!atomic_load(&race_over)) {
		co = atomic_exchange(&announced, NULL);
		if (co)
			co_wake(co);
	}
	return NULL;
}

static void announcer(void *arg)
{
	unsigned int *yields = arg, i, spin;

	for (i = 0; i < RACES; i++) {
		atomic_store(&announced, co_self());
		/* Vary whether the wake, the yield or the loop's sleep comes first. */
		for (spin = i % 64 * 8; spin; spin--)
			atomic_signal_fence(memory_order_seq_cst);
		co_park();
		++*yields;
	}
}

static void test_wake_races_with_park(void **state)
{
	unsigned int yields = 0;
	pthread_t waker;

	(void)state;
	assert_int_equal(pthread_create(&waker, NULL, waker_main, NULL), 0);
	run_co(8, announcer, &yields);
	atomic_store(&race_over, true);
	pthread_join(waker, NULL);
	assert_int_equal(yields, RACES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_and_wake_order),
		cmocka_unit_test(test_wake_before_park),
		cmocka_unit_test(test_pool_is_used_and_bounded),
		cmocka_unit_test(test_stack_size_and_guard),
		cmocka_unit_test(test_registers_survive),
		cmocka_unit_test(test_wake_races_with_park),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
