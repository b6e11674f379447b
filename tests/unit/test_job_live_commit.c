// SPDX-License-Identifier: GPL-2.0
/*
 * Committing below a node that serves requests, and streaming into it, in a random walk over random
 * chains, of other sizes and clusters at each level: compared with a model while writers on two
 * threads change and read the node. ROUNDS=N does it with N chains.
 *
 * threads: yes
 */
#include "test_live_commit.h"

#include "block/request.h"
#include "block/zero.h"
#include "job/stream.h"

#define THREADS 2u
#define WRITERS 3u /* coroutines per thread */

/* ---- Writers ---- */

struct writer {
	struct chain *c;
	struct group *group;
	unsigned int index; /* of all; it owns each THREADS * WRITERS-th block */
	uint64_t random;
	uint32_t version;
};

struct waiting {
	struct blk_request req;
	struct co *co;
	bool over;
	int ret;
};

static void on_done(struct blk_request *req, int ret)
{
	struct waiting *w = container_of(req, struct waiting, req);

	w->over = true;
	w->ret = ret;
	if (w->co)
		co_wake(w->co);
}

/* As the queues of a device do: directly to a file of the chain where that is possible. */
static void co_request(struct blk_node *node, enum blk_op op, uint64_t block, void *buf)
{
	struct waiting w = { .req = { .node = node,
				      .op = op,
				      .offset = block * BLOCK,
				      .bytes = BLOCK,
				      .buf = buf,
				      .done = on_done } };

	blk_request_submit(&w.req);
	while (!w.over) {
		w.co = co_self();
		co_park();
	}
	CHECK(w.ret == 0);
}

static void discard(struct writer *w, uint64_t block, uint8_t *buf)
{
	struct chain *c = w->c;

	CHECK(blk_co_pdiscard(c->node, block * BLOCK, BLOCK) == 0);
	co_request(c->node, BLK_OP_READ, block, buf);
	/* A hint: as it was, or zeroes. */
	if (buffer_is_zero(buf, BLOCK))
		c->model[block] = 0;
	compare(c, buf, block, "after a discard");
}

static void one_step(struct writer *w, uint8_t *buf)
{
	struct chain *c = w->c;
	uint64_t all = THREADS * WRITERS, n = (BLOCKS - w->index + all - 1) / all;
	uint64_t block = w->index + random_below(&w->random, n) * all;

	switch (random_below(&w->random, 8)) {
	case 0:
		discard(w, block, buf);
		break;
	case 1:
		CHECK(blk_co_pwrite_zeroes(c->node, block * BLOCK, BLOCK, BLK_REQ_MAY_UNMAP) == 0);
		c->model[block] = 0;
		break;
	case 2:
	case 3:
		w->version += THREADS * WRITERS;
		fill_block(buf, block, w->version);
		co_request(c->node, BLK_OP_WRITE, block, buf);
		c->model[block] = w->version;
		break;
	default:
		co_request(c->node, BLK_OP_READ, block, buf);
		compare(c, buf, block, "while it is committed");
	}
}

static void writer_main(void *arg)
{
	struct writer *w = arg;
	uint8_t *buf = aligned_alloc(BLOCK, BLOCK);

	CHECK(buf);
	while (!w->c->stop) {
		one_step(w, buf);
		aio_co_sleep(random_below(&w->random, 300) * 1000);
	}
	free(buf);
	group_done(w->group);
}

struct writers {
	struct chain *c;
	unsigned int index;
};

static void writers_main(void *arg)
{
	struct writers *all = arg;
	struct group group = { .left = WRITERS };
	struct writer writers[WRITERS];

	for (unsigned int i = 0; i < WRITERS; i++) {
		unsigned int index = all->index * WRITERS + i;

		writers[i] = (struct writer){
			.c = all->c,
			.group = &group,
			.index = index,
			.random = mix64(all->c->seed + 1 + index),
			.version = (1000 + all->c->version) * THREADS * WRITERS + index,
		};
		CHECK(co_start(writer_main, &writers[i]) == 0);
	}
	group_wait(&group);
}

/* ---- Commits ---- */

/* Wait for the end of @job, or have it end before. */
static enum job_state co_end_job(struct chain *c, struct job *job)
{
	if (random_below(&c->random, 3) == 0)
		job_cancel(job);
	return job_co_wait_end(job);
}

static void commit_some(struct chain *c, unsigned int length)
{
	unsigned int top = 1 + random_below(&c->random, length - 2);
	unsigned int base = top + 1 + random_below(&c->random, length - top - 1);
	struct live_commit *commit = start_commit(c, top, base, 0);
	enum job_state state = co_end_job(c, &commit->job);

	end_commit(commit, state);
	CHECK(state == JOB_DONE || state == JOB_CANCELLED);
	CHECK(chain_length(c->node) == (state == JOB_DONE ? length - (base - top) : length));
	for (struct blk_node *node = c->node->backing; node; node = node->backing)
		CHECK(!(node->flags & BLK_O_RDWR));
}

static void stream_some(struct chain *c, unsigned int length)
{
	unsigned int base = 2 + random_below(&c->random, length - 2);
	struct stream_opts opts = { .base = image_at(c, base) };
	struct stream *stream;
	enum job_state state;

	CHECK(stream_co_start(&stream, c->node, &opts, NULL) == 0);
	state = co_end_job(c, &stream->job);
	stream_co_free(stream);
	CHECK(state == JOB_DONE || state == JOB_CANCELLED);
	CHECK(chain_length(c->node) == (state == JOB_DONE ? length - (base - 1) : length));
}

/* Commit and stream at random places until two images are left, some of it cancelled. */
static void change_chain(struct chain *c)
{
	unsigned int length;

	while ((length = chain_length(c->node)) > 2)
		if (random_below(&c->random, 4))
			commit_some(c, length);
		else
			stream_some(c, length);
	c->stop = true;
}

static void *writers_thread(void *arg)
{
	run_co(32, writers_main, arg);
	return NULL;
}

static void run_chain(void *arg)
{
	struct chain *c = arg;
	pthread_t threads[THREADS];
	struct writers writers[THREADS];

	make_chain(c, 3 + random_below(&c->random, IMAGES - 2), random_below(&c->random, 2));
	open_node(c, BLK_O_RDWR | (random_below(&c->random, 2) ? BLK_O_DIRECT : 0) |
			     (random_below(&c->random, 2) ? OPEN_COPY_ON_READ : 0));
	compare_all(c, "at the start");
	for (unsigned int i = 0; i < THREADS; i++) {
		writers[i] = (struct writers){ c, i };
		CHECK(!pthread_create(&threads[i], NULL, writers_thread, &writers[i]));
	}
	change_chain(c);
	/* They end within a few requests. */
	for (unsigned int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(threads[i], NULL));
	compare_all(c, "after the changes");
	end_chain(c, 2);
}

static void test_beside_writers(void **state)
{
	const char *text = getenv("ROUNDS");
	unsigned int rounds = text ? strtoul(text, NULL, 0) : SANITIZED ? 6 : 20;
	uint64_t seed = test_seed();

	(void)state;
	for (unsigned int i = 0; i < rounds; i++) {
		struct chain *c = calloc(1, sizeof(*c));

		CHECK(c);
		c->seed = seed + i;
		c->random = mix64(c->seed);
		run_co(64, run_chain, c);
		free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_beside_writers) };

	return cmocka_run_group_tests_name("job_live_commit", tests, NULL, NULL);
}
