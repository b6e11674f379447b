// SPDX-License-Identifier: GPL-2.0
/*
 * The loop and its engine: full queues, refused submissions, fairness, and other threads
 * that post to a loop or stop it, with each engine.
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>

#include "aio/loop_internal.h"
#include "test_aio_common.h"

/* Wraps liburing's function: submission is refused as often as a test says. */
static unsigned int refusals;
/* As kernels before 5.19 did: refuse submissions while completions are pending. */
static bool refuse_while_ready;

typedef int submit_fn(struct io_uring *ring);

int io_uring_submit(struct io_uring *ring)
{
	static submit_fn *real;

	if (refusals) {
		refusals--;
		return refusals % 2 ? -EAGAIN : -EBUSY;
	}
	if (refuse_while_ready && io_uring_cq_ready(ring))
		return -EBUSY;
	if (!real)
		real = (submit_fn *)dlsym(RTLD_NEXT, "io_uring_submit");
	return real(ring);
}

static unsigned int engine;

static struct aio_loop *new_engine_loop(unsigned int entries)
{
	struct aio_loop *loop;

	CHECK(loop_create(&loop, entries, engine, engine, NULL) == 0);
	return loop;
}

static void run_engine_co(unsigned int entries, co_fn *fn, void *arg)
{
	struct aio_loop *loop = new_engine_loop(entries);

	CHECK(aio_loop_run_co(loop, fn, arg) == 0);
	aio_loop_destroy(loop);
}

/* ---- more in flight than either queue holds ---- */

#define FLOOD 5000

struct flood_op {
	struct aio_op op;
	unsigned int completions;
	int res;
};

static struct flood_op flood[FLOOD];
static unsigned int flood_left;
static struct co *flood_co;

static void on_flood_done(struct aio_op *op, int res, uint32_t flags)
{
	struct flood_op *flood_op = container_of(op, struct flood_op, op);

	(void)flags;
	CHECK(!co_self());
	flood_op->completions++;
	flood_op->res = res;
	if (!--flood_left)
		co_wake(flood_co);
}

static void flood_begin(void)
{
	unsigned int i;

	memset(flood, 0, sizeof(flood));
	for (i = 0; i < FLOOD; i++)
		flood[i].op.done = on_flood_done;
	flood_left = FLOOD;
	flood_co = co_self();
}

static void flood_check(int res)
{
	unsigned int i;

	for (i = 0; i < FLOOD; i++)
		CHECK(flood[i].completions == 1 && flood[i].res == res);
}

static void nop_flood(void *arg)
{
	struct io_uring_sqe *sqe;
	unsigned int i;

	flood_begin();
	for (i = 0; i < FLOOD; i++) {
		/* Sometimes, and for longer than one try. */
		if (arg && i % 700 == 600)
			refusals = 5;
		sqe = aio_get_sqe(aio_loop_current());
		io_uring_prep_nop(sqe);
		aio_sqe_set_op(sqe, &flood[i].op);
	}
	co_park();
	flood_check(0);
}

static void test_full_queues(void **state)
{
	(void)state;
	run_engine_co(8, nop_flood, NULL);
	run_engine_co(4096, nop_flood, NULL);
}

static void test_kernel_refuses(void **state)
{
	int yes;

	(void)state;
	if (engine >= AIO_RINGS)
		return; /* it submits nothing to the kernel */
	run_engine_co(8, nop_flood, &yes);
	assert_int_equal(refusals, 0);
	refuse_while_ready = true;
	run_engine_co(8, nop_flood, NULL);
	refuse_while_ready = false;
}

static void poll_flood(void *arg)
{
	struct aio_loop *loop = aio_loop_current();
	struct io_uring_sqe *sqe;
	unsigned int i;
	int ends[2];

	(void)arg;
	CHECK(!pipe(ends));
	flood_begin();
	for (i = 0; i < FLOOD; i++) {
		sqe = aio_get_sqe(loop);
		io_uring_prep_poll_add(sqe, ends[0], POLLIN);
		aio_sqe_set_op(sqe, &flood[i].op);
	}
	co_yield_turn();
	co_yield_turn();
	CHECK(flood_left == FLOOD);
	/* All complete at once, far more than the completion queue holds. */
	CHECK(write(ends[1], "x", 1) == 1);
	co_park();
	flood_check(POLLIN);
	close(ends[0]);
	close(ends[1]);
}

static void test_thousands_in_flight(void **state)
{
	(void)state;
	run_engine_co(8, poll_flood, NULL);
}

/* ---- fairness: two chains that never pause, and timers ---- */

struct chain {
	struct aio_op op;
	unsigned long links;
	bool stop;
	struct co *co;
};

static void submit_link(struct chain *chain)
{
	struct io_uring_sqe *sqe = aio_get_sqe(aio_loop_current());

	io_uring_prep_nop(sqe);
	aio_sqe_set_op(sqe, &chain->op);
}

static void on_link(struct aio_op *op, int res, uint32_t flags)
{
	struct chain *chain = container_of(op, struct chain, op);

	(void)res;
	(void)flags;
	chain->links++;
	if (chain->stop)
		co_wake(chain->co);
	else
		submit_link(chain);
}

struct yielder {
	bool stop;
	unsigned long turns;
};

static void yield_on(void *arg)
{
	struct yielder *yielder = arg;

	for (; !yielder->stop; yielder->turns++)
		co_yield_turn();
}

static void everybody_runs(void *arg)
{
	struct chain chain = { .op = { .done = on_link }, .co = co_self() };
	struct yielder yielder = { 0 };
	unsigned long links, turns;
	unsigned int i;

	(void)arg;
	submit_link(&chain);
	CHECK(co_start(yield_on, &yielder) == 0);
	for (i = 0; i < 5; i++) {
		links = chain.links;
		turns = yielder.turns;
		aio_co_sleep(2 * MSEC);
		CHECK(chain.links > links && yielder.turns > turns);
	}
	yielder.stop = true;
	chain.stop = true;
	co_park();
	co_yield_turn();
}

static void test_fairness(void **state)
{
	(void)state;
	run_engine_co(8, everybody_runs, NULL);
}

static void read_one_byte(void *arg)
{
	int *ends = arg;
	char byte;

	CHECK(aio_co_read(ends[0], &byte, 1) == 1);
	ends[0] = -1;
}

/* A completion that arrives while no turn of the loop waits or submits. */
static void turns_that_never_wait(void *arg)
{
	unsigned int i;
	int ends[2], fd;

	(void)arg;
	CHECK(!pipe(ends));
	fd = ends[0];
	CHECK(co_start(read_one_byte, ends) == 0);
	for (i = 0; i < 100; i++)
		co_yield_turn();
	CHECK(write(ends[1], "x", 1) == 1);
	for (i = 0; i < 100 && ends[0] >= 0; i++)
		co_yield_turn();
	CHECK(ends[0] == -1);
	close(fd);
	close(ends[1]);
}

static void test_completions_without_waiting(void **state)
{
	(void)state;
	run_engine_co(8, turns_that_never_wait, NULL);
}

/* ---- posts from several threads: all arrive, those of one thread in order ---- */

#define POSTERS 3
#define POSTS	(SANITIZED ? 2000 : 20000)

struct numbered {
	struct aio_post post;
	unsigned int poster, number;
};

static struct aio_loop *target;
static unsigned int next_number[POSTERS], posters_left;

static void on_numbered(struct aio_post *post)
{
	struct numbered *numbered = container_of(post, struct numbered, post);

	CHECK(aio_loop_current() == target);
	CHECK(numbered->number == next_number[numbered->poster]++);
	if (numbered->number == POSTS - 1 && !--posters_left)
		aio_loop_stop(target);
	free(numbered);
}

static void *poster_main(void *arg)
{
	unsigned int poster = *(unsigned int *)arg, i;
	struct numbered *numbered;

	for (i = 0; i < POSTS; i++) {
		numbered = malloc(sizeof(*numbered));
		CHECK(numbered);
		*numbered = (struct numbered){ { NULL, on_numbered }, poster, i };
		aio_loop_post(target, &numbered->post);
		/* Let the loop sleep sometimes. */
		if (i % 512 == 0)
			usleep(200);
	}
	return NULL;
}

static void test_posts(void **state)
{
	unsigned int ids[POSTERS], i;
	pthread_t threads[POSTERS];

	(void)state;
	memset(next_number, 0, sizeof(next_number));
	posters_left = POSTERS;
	target = new_engine_loop(8);
	for (i = 0; i < POSTERS; i++) {
		ids[i] = i;
		CHECK(!pthread_create(&threads[i], NULL, poster_main, &ids[i]));
	}
	assert_int_equal(aio_loop_run(target), 0);
	/* Possibly destroyed before the last poster has returned from its call. */
	aio_loop_destroy(target);
	for (i = 0; i < POSTERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(next_number[i], POSTS);
	}
}

/* ---- stopping ---- */

#define STOPS (SANITIZED ? 200 : 1000)

static void *stopper_main(void *arg)
{
	if (*(unsigned int *)arg % 3)
		usleep(50);
	aio_loop_stop(target);
	return NULL;
}

static void test_stop_and_destroy(void **state)
{
	pthread_t thread;
	unsigned int i;

	(void)state;
	for (i = 0; i < STOPS; i++) {
		target = new_engine_loop(8);
		CHECK(!pthread_create(&thread, NULL, stopper_main, &i));
		assert_int_equal(aio_loop_run(target), 0);
		/* The stopper may still be in the middle of its system call. */
		aio_loop_destroy(target);
		pthread_join(thread, NULL);
	}
}

static void test_stop_is_remembered(void **state)
{
	unsigned int zero = 0;
	pthread_t thread;

	(void)state;
	target = new_engine_loop(8);
	aio_loop_stop(target);
	aio_loop_stop(target);
	assert_int_equal(aio_loop_run(target), 0);
	/* Both stops ended that run. */
	CHECK(!pthread_create(&thread, NULL, stopper_main, &zero));
	assert_int_equal(aio_loop_run(target), 0);
	pthread_join(thread, NULL);
	aio_loop_destroy(target);
}

/* ---- identity ---- */

static void *make_and_hold(void *arg)
{
	pthread_barrier_t *barrier = arg;
	struct aio_loop *loop = new_engine_loop(8);
	uintptr_t index = aio_loop_index(loop);

	pthread_barrier_wait(barrier);
	aio_loop_destroy(loop);
	return (void *)index;
}

static void test_identity(void **state)
{
	struct aio_loop *loop = new_engine_loop(8), *second = NULL;
	struct error err = ERROR_INIT;
	pthread_barrier_t barrier;
	pthread_t threads[4];
	bool seen[AIO_MAX_LOOPS] = { 0 };
	void *index;
	unsigned int i;

	(void)state;
	assert_ptr_equal(aio_loop_current(), loop);
	seen[aio_loop_index(loop)] = true;
	assert_int_equal(aio_loop_create(&second, 8, &err), -EBUSY);
	assert_non_null(err.text);
	error_free(&err);
	pthread_barrier_init(&barrier, NULL, 4);
	for (i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, make_and_hold, &barrier));
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &index);
		assert_true((uintptr_t)index < AIO_MAX_LOOPS && !seen[(uintptr_t)index]);
		seen[(uintptr_t)index] = true;
	}
	pthread_barrier_destroy(&barrier);
	aio_loop_destroy(loop);
	assert_null(aio_loop_current());
	/* An index is free again. */
	loop = new_engine_loop(8);
	assert_int_equal(aio_loop_index(loop), 0);
	aio_loop_destroy(loop);
}

/* ---- no descriptors left: an error, and nothing lost ---- */

static void test_no_descriptors(void **state)
{
	struct error err = ERROR_INIT;
	struct rlimit limit, none;
	struct aio_loop *loop;
	int lowest, i;

	(void)state;
	lowest = dup(0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	/* None for the ring; then one for that and none for the event. */
	for (i = 0; i < 2; i++) {
		none = limit;
		none.rlim_cur = (rlim_t)(lowest + i);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		assert_int_equal(loop_create(&loop, 8, engine, engine, &err), -EMFILE);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_non_null(strstr(error_text(&err), "Too many open files"));
		error_free(&err);
		assert_null(aio_loop_current());
	}
	i = dup(0);
	assert_int_equal(i, lowest);
	close(i);
	loop = new_engine_loop(8);
	assert_int_equal(aio_loop_index(loop), 0);
	aio_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_queues),
		cmocka_unit_test(test_kernel_refuses),
		cmocka_unit_test(test_thousands_in_flight),
		cmocka_unit_test(test_fairness),
		cmocka_unit_test(test_completions_without_waiting),
		cmocka_unit_test(test_posts),
		cmocka_unit_test(test_stop_and_destroy),
		cmocka_unit_test(test_stop_is_remembered),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_no_descriptors),
	};
	int failed = 0;

	for (engine = 0; engine < AIO_ENGINES; engine++)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed;
}
