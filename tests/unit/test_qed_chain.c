// SPDX-License-Identifier: GPL-2.0
/*
 * Requests concurrent with a change of a QED image's backing chain: a decision made with the old
 * backing file must not undo writes completed with the new one.
 *
 * The chain is top.qed over middle.qed over a raw base that is shorter, so that most clusters are
 * copied before the change and fresh after it. The files' operation tables hold requests in the
 * middle of their work.
 */
#include "test_qed_common.h"

#include "format/qed/image.h"
#include "job/stream.h"

#define CLUSTER	   (64 * KiB)
#define IMAGE_SIZE (64 * CLUSTER)
#define BASE_SIZE  (16 * CLUSTER)
#define AT	   (30 * CLUSTER) /* beyond the base's end, within the middle */

struct test {
	struct scratch scratch; /* its backing is the base */
	char middle[PATH_MAX];
	struct blk_node *node;
	struct blk_file_ops top_ops, middle_ops;
};

/* ---- holding requests ---- */

struct gate {
	_Atomic bool armed; /* hold the next request */
	_Atomic bool held; /* one is held */
};

static struct gate flush_gate, read_gate, write_gate;

static void pass(struct gate *gate)
{
	if (!atomic_exchange(&gate->armed, false))
		return;
	gate->held = true;
	while (gate->held)
		aio_co_sleep(MSEC / 10);
}

static void wait_held(struct gate *gate)
{
	uint64_t end = aio_now() + 20000 * MSEC;

	while (!gate->held) {
		CHECK(aio_now() < end);
		aio_co_sleep(MSEC / 10);
	}
}

static int gated_flush(struct blk_file *file)
{
	pass(&flush_gate);
	return blk_file_kernel_ops.co_flush(file);
}

static ssize_t gated_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			    uint64_t offset)
{
	pass(&read_gate);
	return blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);
}

static ssize_t gated_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			     uint64_t offset)
{
	pass(&write_gate);
	return blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

/* ---- the chain ---- */

static void make_image(const char *path, uint64_t size, uint32_t cluster, const char *backing,
		       const char *backing_format)
{
	struct blk_create_opts create = { .filename = path,
					  .format = "qed",
					  .size = size,
					  .cluster_size = cluster,
					  .backing_file = backing,
					  .backing_format = backing_format };

	CHECK(blk_co_create(&create, NULL) == 0);
}

static void make_base(struct test *t, uint64_t size)
{
	uint8_t block[BLOCK] __attribute__((aligned(8)));
	int fd = open(t->scratch.backing, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	for (uint64_t b = 0; b < size / BLOCK; b++) {
		fill_block(block, b, 1);
		CHECK(pwrite(fd, block, BLOCK, b * BLOCK) == BLOCK);
	}
	CHECK(close(fd) == 0);
}

/* A middle image with an empty table. */
static void make_middle(struct test *t, uint64_t size, uint32_t cluster)
{
	struct blk_open_opts opts = { .format = "qed", .flags = BLK_O_RDWR };
	struct blk_node *node;

	make_image(t->middle, size, cluster, "backing.raw", "raw");
	CHECK(blk_co_open(&node, t->middle, &opts, NULL) == 0);
	CHECK(blk_co_pwrite_zeroes(node, 0, cluster, BLK_REQ_MAY_UNMAP) == 0);
	CHECK(blk_co_close(node) == 0);
}

static void open_chain(struct test *t, unsigned int flags)
{
	t->node = scratch_co_open(&t->scratch, flags, 0);
	CHECK(t->node->backing && t->node->backing->backing);
	t->top_ops = *t->node->file->ops;
	t->top_ops.co_flush = gated_flush;
	t->top_ops.co_pwritev = gated_pwritev;
	t->node->file->ops = &t->top_ops;
	t->middle_ops = *t->node->backing->file->ops;
	t->middle_ops.co_preadv = gated_preadv;
	t->node->backing->file->ops = &t->middle_ops;
}

static void start(struct test *t)
{
	make_base(t, BASE_SIZE);
	make_middle(t, IMAGE_SIZE, CLUSTER);
	make_image(t->scratch.image, IMAGE_SIZE, CLUSTER, "middle.qed", "qed");
	open_chain(t, BLK_O_RDWR);
}

/* Check the content, and that nothing was leaked. */
static void end(struct test *t)
{
	struct blk_check_result result;

	CHECK(blk_co_close(t->node) == 0);
	t->node = scratch_co_open(&t->scratch, 0, 0);
	CHECK(blk_co_check(t->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(!result.corruptions && !result.leaks && !result.check_errors);
	CHECK(blk_co_close(t->node) == 0);
	(void)unlink(t->scratch.image);
	(void)unlink(t->middle);
}

static void expect_block(struct test *t, uint64_t offset, uint32_t version)
{
	uint8_t want[BLOCK] __attribute__((aligned(8))), got[BLOCK] __attribute__((aligned(8)));

	fill_block(want, offset / BLOCK, version);
	CHECK(blk_co_pread(t->node, offset, BLOCK, got, 0) == 0);
	if (memcmp(want, got, BLOCK))
		fprintf(stderr, "offset %llu is not version %u\n", (unsigned long long)offset,
			version);
	CHECK(!memcmp(want, got, BLOCK));
}

/* ---- one request concurrent with one change ---- */

struct request {
	struct test *t;
	struct group *group;
	uint64_t offset, bytes;
	uint32_t version; /* 0: write-zeroes */
	unsigned int flags;
	bool read; /* check that version */
	bool done;
};

static void request_main(void *arg)
{
	struct request *r = arg;
	uint8_t *buf = aligned_alloc(BLOCK, r->bytes);
	int ret;

	CHECK(buf);
	for (uint64_t pos = 0; pos < r->bytes; pos += BLOCK)
		fill_block(buf + pos, (r->offset + pos) / BLOCK, r->version);
	/* Populating with zeroes is a write here, of a part of a cluster. */
	if (r->read) {
		uint8_t *got = aligned_alloc(BLOCK, r->bytes);

		CHECK(got);
		ret = blk_co_pread(r->t->node, r->offset, r->bytes, got, 0);
		CHECK(!memcmp(got, buf, r->bytes));
		free(got);
	} else if (r->version || r->flags) {
		ret = blk_co_pwrite(r->t->node, r->offset, r->bytes, buf, r->flags);
	} else {
		ret = blk_co_pwrite_zeroes(r->t->node, r->offset, r->bytes, 0);
	}
	CHECK(ret == 0);
	free(buf);
	r->done = true;
	group_done(r->group);
}

static void rebase_main(void *arg)
{
	struct request *r = arg;
	struct blk_node *removed;

	CHECK(blk_co_rebase(r->t->node, r->t->node->backing->backing, &removed, NULL) == 0);
	CHECK(blk_co_close(removed) == 0);
	r->done = true;
	group_done(r->group);
}

/*
 * Start the @early requests before the backing file changes, and hold them at @gate;
 * @late starts after the change and completes meanwhile.
 */
static void straddle(struct test *t, struct request *early, unsigned int nr, struct gate *gate,
		     struct request *late)
{
	struct group group = { .left = nr + 2 };
	struct request change = { .t = t, .group = &group };
	struct blk_node *base = t->node->backing->backing;

	/* The change first waits for requests in flight, then makes them durable. */
	flush_gate.armed = true;
	CHECK(co_start(rebase_main, &change) == 0);
	wait_held(&flush_gate);
	gate->armed = true;
	for (unsigned int i = 0; i < nr; i++) {
		early[i].t = t;
		early[i].group = &group;
		CHECK(co_start(request_main, &early[i]) == 0);
		wait_held(gate);
	}
	flush_gate.held = false;
	while (t->node->backing != base)
		aio_co_sleep(MSEC / 10);
	late->t = t;
	late->group = &group;
	CHECK(co_start(request_main, late) == 0);
	while (!late->done)
		aio_co_sleep(MSEC / 10);
	for (unsigned int i = 0; i < nr; i++)
		CHECK(!early[i].done);
	CHECK(!change.done);
	gate->held = false;
	group_wait(&group);
}

static void part_write(void *arg)
{
	struct test *t = arg;
	struct request early = { .offset = AT, .bytes = BLOCK, .version = 2 };
	struct request late = { .offset = AT + 3 * BLOCK, .bytes = BLOCK, .version = 3 };

	start(t);
	straddle(t, &early, 1, &read_gate, &late);
	expect_block(t, AT, 2);
	expect_block(t, AT + BLOCK, 0);
	expect_block(t, AT + 3 * BLOCK, 3);
	end(t);
}

/* The same while the copy is being written. */
static void part_write_later(void *arg)
{
	struct test *t = arg;
	struct request early = { .offset = AT, .bytes = BLOCK, .version = 2 };
	struct request late = { .offset = AT + 3 * BLOCK, .bytes = BLOCK, .version = 3 };

	start(t);
	straddle(t, &early, 1, &write_gate, &late);
	expect_block(t, AT, 2);
	expect_block(t, AT + BLOCK, 0);
	expect_block(t, AT + 3 * BLOCK, 3);
	end(t);
}

/* The second write joins the first one's copy. */
static void joined_writes(void *arg)
{
	struct test *t = arg;
	struct request early[2] = { { .offset = AT, .bytes = BLOCK, .version = 2 },
				    { .offset = AT + BLOCK, .bytes = BLOCK, .version = 4 } };
	struct request late = { .offset = AT + 3 * BLOCK, .bytes = BLOCK, .version = 3 };

	start(t);
	straddle(t, early, 2, &read_gate, &late);
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_shared_fills) == 1);
	expect_block(t, AT, 2);
	expect_block(t, AT + BLOCK, 4);
	expect_block(t, AT + 3 * BLOCK, 3);
	end(t);
}

static void part_zeroes(void *arg)
{
	struct test *t = arg;
	struct request early = { .offset = AT, .bytes = BLOCK };
	struct request late = { .offset = AT + 3 * BLOCK, .bytes = BLOCK, .version = 3 };

	start(t);
	straddle(t, &early, 1, &read_gate, &late);
	expect_block(t, AT, 0);
	expect_block(t, AT + 3 * BLOCK, 3);
	end(t);
}

/*
 * The middle one of three clusters changes. It is written as a whole: either write may
 * be last.
 */
static void whole_write(void *arg)
{
	struct test *t = arg;
	struct request early = { .offset = AT - CLUSTER, .bytes = 3 * CLUSTER, .version = 2 };
	struct request late = { .offset = AT + 3 * BLOCK, .bytes = BLOCK, .version = 3 };

	start(t);
	straddle(t, &early, 1, &write_gate, &late);
	for (uint64_t at = AT - CLUSTER; at < AT + 2 * CLUSTER; at += BLOCK)
		expect_block(t, at, 2);
	end(t);
}

/* Data populated from the old backing file is older than any write, also zeroes. */
static void populating(void *arg)
{
	struct test *t = arg;
	struct request early = { .offset = AT, .bytes = BLOCK, .flags = BLK_REQ_POPULATE };
	struct request late = { .offset = AT + 3 * BLOCK, .bytes = BLOCK, .version = 3 };

	start(t);
	straddle(t, &early, 1, &read_gate, &late);
	expect_block(t, AT, 0);
	expect_block(t, AT + 3 * BLOCK, 3);
	end(t);
}

/* Populating after the backing file has changed, concurrent with a guest's write. */
static void populating_late(void *arg)
{
	struct test *t = arg;
	struct group group = { .left = 3 };
	struct request change = { .t = t, .group = &group };
	struct request keep = {
		.t = t, .group = &group, .offset = AT, .bytes = BLOCK, .flags = BLK_REQ_POPULATE
	};
	struct request guest = {
		.t = t, .group = &group, .offset = AT, .bytes = BLOCK, .version = 3
	};

	start(t);
	CHECK(co_start(rebase_main, &change) == 0);
	while (!change.done)
		aio_co_sleep(MSEC / 10);
	write_gate.armed = true;
	CHECK(co_start(request_main, &keep) == 0);
	while (!keep.done && !write_gate.held)
		aio_co_sleep(MSEC / 10);
	write_gate.armed = false;
	CHECK(co_start(request_main, &guest) == 0);
	while (!guest.done)
		aio_co_sleep(MSEC / 10);
	write_gate.held = false;
	group_wait(&group);
	expect_block(t, AT, 3);
	end(t);
}

/*
 * A read that began before continues in the removed image, concurrent with a write by
 * the new chain.
 */
static void reading(void *arg)
{
	struct test *t = arg;
	struct request early = { .offset = AT, .bytes = 2 * CLUSTER, .read = true };
	struct request late = { .offset = AT + 2 * CLUSTER, .bytes = BLOCK, .version = 3 };

	start(t);
	straddle(t, &early, 1, &read_gate, &late);
	expect_block(t, AT, 0);
	expect_block(t, AT + 2 * CLUSTER, 3);
	expect_block(t, BASE_SIZE - BLOCK, 1);
	end(t);
}

/* ---- many requests concurrent with many changes ---- */

#define DEPTH	    32
#define RUN_CLUSTER (256 * KiB)
#define RUN_SIZE    (64 * RUN_CLUSTER)
#define RUN_BLOCKS  (RUN_SIZE / BLOCK)

struct sequence {
	struct test *t;
	struct group *group;
	uint64_t *next; /* block */
};

static void sequential_writer(void *arg)
{
	struct sequence *s = arg;
	uint8_t buf[BLOCK] __attribute__((aligned(BLOCK)));

	while (*s->next < RUN_BLOCKS) {
		uint64_t block = (*s->next)++;

		fill_block(buf, block, 2);
		CHECK(blk_co_pwrite(s->t->node, block * BLOCK, BLOCK, buf, 0) == 0);
	}
	group_done(s->group);
}

static void one_run(struct test *t, uint64_t *seed)
{
	uint64_t next = test_random(seed) % (RUN_BLOCKS / 4);
	uint64_t first = next;
	struct stream_opts opts = { 0 };
	struct group group = { .left = DEPTH };
	struct sequence s = { t, &group, &next };
	struct stream *stream;

	make_image(t->scratch.image, RUN_SIZE, RUN_CLUSTER, "middle.qed", "qed");
	open_chain(t, BLK_O_RDWR);
	opts.base = t->node->backing->backing;
	for (unsigned int i = 0; i < DEPTH; i++)
		CHECK(co_start(sequential_writer, &s) == 0);
	aio_co_sleep(test_random(seed) % 8 * MSEC);
	CHECK(stream_co_start(&stream, t->node, &opts, NULL) == 0);
	group_wait(&group);
	CHECK(job_co_wait_end(&stream->job) == JOB_DONE);
	stream_co_free(stream);
	for (uint64_t b = first; b < RUN_BLOCKS; b++)
		expect_block(t, b * BLOCK, 2);
	CHECK(blk_co_close(t->node) == 0);
	(void)unlink(t->scratch.image);
}

static void beside_streams(void *arg)
{
	struct test *t = arg;
	const char *runs = getenv("RUNS");
	uint64_t seed = test_seed();

	make_base(t, RUN_CLUSTER);
	make_middle(t, RUN_SIZE, RUN_CLUSTER);
	for (unsigned int i = 0; i < (runs ? strtoul(runs, NULL, 0) : SANITIZED ? 5 : 25); i++)
		one_run(t, &seed);
	(void)unlink(t->middle);
}

/* ---- growing concurrent with a change ---- */

static void truncate_main(void *arg)
{
	struct request *r = arg;

	CHECK(blk_co_truncate(r->t->node, r->bytes, NULL) == 0);
	r->done = true;
	group_done(r->group);
}

/* The part by which an image grows during a stream to a longer base is zeroes, before and after. */
static void growing(void *arg)
{
	struct test *t = arg;
	struct stream_opts opts = { .paused = true };
	uint64_t size = 31 * CLUSTER + BLOCK;
	struct stream *stream;

	make_base(t, IMAGE_SIZE);
	make_middle(t, 8 * CLUSTER, CLUSTER);
	make_image(t->scratch.image, size, CLUSTER, "middle.qed", "qed");
	open_chain(t, BLK_O_RDWR);
	opts.base = t->node->backing->backing;
	CHECK(stream_co_start(&stream, t->node, &opts, NULL) == 0);
	CHECK(blk_co_truncate(t->node, IMAGE_SIZE, NULL) == 0);
	for (uint64_t at = 8 * CLUSTER; at < IMAGE_SIZE; at += BLOCK)
		expect_block(t, at, 0);
	job_resume(&stream->job);
	CHECK(job_co_wait_end(&stream->job) == JOB_DONE);
	stream_co_free(stream);
	for (uint64_t at = 8 * CLUSTER; at < IMAGE_SIZE; at += BLOCK)
		expect_block(t, at, 0);
	expect_block(t, 8 * CLUSTER - BLOCK, 1);
	end(t);
}

/* Both change the header. */
static void growing_at_once(void *arg)
{
	struct test *t = arg;
	struct group group = { .left = 2 };
	struct request change = { .t = t, .group = &group };
	struct request grow = { .t = t, .group = &group, .bytes = 2 * IMAGE_SIZE };

	start(t);
	flush_gate.armed = true;
	CHECK(co_start(rebase_main, &change) == 0);
	wait_held(&flush_gate);
	CHECK(co_start(truncate_main, &grow) == 0);
	aio_co_sleep(20 * MSEC);
	flush_gate.held = false;
	group_wait(&group);
	CHECK(blk_co_close(t->node) == 0);
	t->node = scratch_co_open(&t->scratch, 0, 0);
	CHECK(t->node->size == 2 * IMAGE_SIZE);
	CHECK(!strcmp(t->node->backing->driver->name, "raw"));
	end(t);
}

static void run(void **state)
{
	co_fn **fn = *state;
	struct test t = { 0 };

	scratch_make(&t.scratch);
	snprintf(t.middle, sizeof(t.middle), "%s/middle.qed", t.scratch.dir);
	run_co(128, *fn, &t);
	scratch_remove(&t.scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST_BY(run, part_write),	  CO_TEST_BY(run, part_write_later),
		CO_TEST_BY(run, joined_writes),	  CO_TEST_BY(run, part_zeroes),
		CO_TEST_BY(run, whole_write),	  CO_TEST_BY(run, populating),
		CO_TEST_BY(run, populating_late), CO_TEST_BY(run, reading),
		CO_TEST_BY(run, beside_streams),  CO_TEST_BY(run, growing),
		CO_TEST_BY(run, growing_at_once),
	};

	return cmocka_run_group_tests_name("qed_chain", tests, NULL, NULL);
}
