// SPDX-License-Identifier: GPL-2.0
/*
 * The gate: requests of several queues, each on a thread of its own, while another thread closes
 * it, changes what serves them, and opens it.  What is changed is not atomic: the thread sanitizer
 * sees whether the gate orders its uses.
 */
#include "test_aio_common.h"

#include "ublk/gate.h"

#define DEPTH  8
#define QUEUES 4

struct tag {
	struct ublk_request req;
	struct aio_timer timer;
	struct queue *queue;
	uint64_t world; /* as it was when the request entered */
};

struct queue {
	struct ublk_gate_queue gate;
	struct tag tags[DEPTH];
	unsigned int seed;
	unsigned int running; /* tags that still have requests */
	uint64_t served;
	struct co *waiter;
};

static struct {
	struct ublk_gate gate;
	uint64_t world; /* changed while the gate is closed */
	_Atomic unsigned int inside;
	_Atomic bool stop;
	_Atomic bool hang; /* requests do not end */
} t;

static void submit(struct ublk_request *req);

static const struct ublk_target target = { .submit = submit, .gate = &t.gate };

/* The next request of the tag, in a later turn, as from the kernel. */
static void on_next(struct aio_timer *timer)
{
	struct tag *tag = container_of(timer, struct tag, timer);

	if (!atomic_load(&t.stop))
		submit(&tag->req);
	else if (!--tag->queue->running && tag->queue->waiter)
		co_wake(tag->queue->waiter);
}

static void end(struct tag *tag)
{
	CHECK(tag->world == t.world);
	tag->queue->served++;
	atomic_fetch_sub(&t.inside, 1);
	ublk_gate_leave(&tag->req);
	aio_timer_init(&tag->timer, on_next);
	aio_timer_arm(&tag->timer, 0);
}

static void on_end(struct aio_timer *timer)
{
	if (atomic_load(&t.hang))
		aio_timer_arm(timer, MSEC);
	else
		end(container_of(timer, struct tag, timer));
}

static void submit(struct ublk_request *req)
{
	struct tag *tag = container_of(req, struct tag, req);

	if (!ublk_gate_enter(req))
		return;
	atomic_fetch_add(&t.inside, 1);
	tag->world = t.world;
	/* Some end at once, the others later. */
	if (!atomic_load(&t.hang) && rand_r(&tag->queue->seed) % 4 == 0) {
		end(tag);
		return;
	}
	aio_timer_init(&tag->timer, on_end);
	aio_timer_arm(&tag->timer, rand_r(&tag->queue->seed) % 200000);
}

static void co_queue_main(void *arg)
{
	struct queue *queue = arg;

	ublk_gate_join(&t.gate, &queue->gate);
	for (unsigned int i = 0; i < DEPTH; i++) {
		struct tag *tag = &queue->tags[i];

		tag->queue = queue;
		tag->req.target = &target;
		tag->req.gate = &queue->gate;
		tag->req.tag = i;
		queue->running++;
		submit(&tag->req);
	}
	queue->waiter = co_self();
	while (queue->running)
		co_park();
	CHECK(!queue->gate.inside && cds_list_empty(&queue->gate.held));
	ublk_gate_quit(&queue->gate);
}

static void change_world(unsigned int seed)
{
	CHECK(atomic_load(&t.inside) == 0);
	t.world++;
	if (seed % 3 == 0)
		aio_co_sleep(seed % 500000);
	t.world++;
	CHECK(atomic_load(&t.inside) == 0);
}

/* ---- Closing and opening, again and again ---- */

#define ROUNDS (SANITIZED ? 60 : 300)

static void closer_fn(void *arg)
{
	unsigned int seed = 1, closed = 0, late = 0;

	(void)arg;
	while (closed < ROUNDS) {
		/* Some are given up, possibly before a queue has noticed them. */
		uint64_t limit = 60000 * MSEC;
		int ret;

		if (rand_r(&seed) % 4 == 0)
			limit = rand_r(&seed) % 300000;
		ret = ublk_gate_co_close(&t.gate, limit);
		if (!ret) {
			closed++;
			change_world(rand_r(&seed));
			CHECK(ublk_gate_co_close(&t.gate, MSEC) == -EBUSY);
			ublk_gate_open(&t.gate);
		} else {
			CHECK(ret == -ETIMEDOUT);
			late++;
		}
		if (rand_r(&seed) % 2)
			aio_co_sleep(rand_r(&seed) % 1000000);
	}
	atomic_store(&t.stop, true);
}

static void *queue_thread(void *arg)
{
	run_co(32, co_queue_main, arg);
	return NULL;
}

static void run_queues(struct queue *queues, unsigned int n, co_fn *closer)
{
	pthread_t threads[QUEUES];

	atomic_store(&t.stop, false);
	for (unsigned int i = 0; i < n; i++) {
		queues[i] = (struct queue){ .seed = i + 1 };
		CHECK(!pthread_create(&threads[i], NULL, queue_thread, &queues[i]));
	}
	run_co(32, closer, queues);
	for (unsigned int i = 0; i < n; i++)
		CHECK(!pthread_join(threads[i], NULL));
}

static void test_storm(void **state)
{
	static struct queue queues[QUEUES];

	(void)state;
	ublk_gate_init(&t.gate);
	run_queues(queues, QUEUES, closer_fn);
	for (unsigned int i = 0; i < QUEUES; i++)
		assert_true(queues[i].served >= DEPTH);
}

/* ---- A request that does not end in time; queues that end, or come, meanwhile ---- */

static void co_late(void *arg)
{
	(void)arg;
	while (!atomic_load(&t.inside))
		aio_co_sleep(MSEC);
	CHECK(ublk_gate_co_close(&t.gate, 20 * MSEC) == -ETIMEDOUT);
	atomic_store(&t.hang, false);
	/* The gate works as before. */
	CHECK(ublk_gate_co_close(&t.gate, 60000 * MSEC) == 0);
	change_world(0);
	/* All requests come to an end, those held, too. */
	ublk_gate_open(&t.gate);
	atomic_store(&t.stop, true);
}

static void test_late(void **state)
{
	static struct queue queue;

	(void)state;
	ublk_gate_init(&t.gate);
	atomic_store(&t.hang, true);
	run_queues(&queue, 1, co_late);
	assert_true(queue.served >= DEPTH);
}

static void co_no_queue(void *arg)
{
	/* A post to it may be on its way until the loop is destroyed. */
	static struct ublk_gate_queue queue;

	(void)arg;
	CHECK(ublk_gate_co_close(&t.gate, 60000 * MSEC) == 0);
	/* One that comes holds its requests; one that ends is not waited for. */
	ublk_gate_join(&t.gate, &queue);
	CHECK(queue.closed);
	ublk_gate_open(&t.gate);
	ublk_gate_quit(&queue);
	CHECK(ublk_gate_co_close(&t.gate, 60000 * MSEC) == 0);
	ublk_gate_open(&t.gate);
}

static void test_no_queue(void **state)
{
	(void)state;
	ublk_gate_init(&t.gate);
	run_co(32, co_no_queue, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_no_queue),
	};

	return cmocka_run_group_tests_name("ublk_gate", tests, NULL, NULL);
}
