// SPDX-License-Identifier: GPL-2.0
/*
 * Checking an image in use: it is seen as one commit left it, and what is freed as leaked is used
 * by no request, whatever writers do meanwhile.
 */
#include "test_qed_common.h"

#include "format/qed/image.h"

#define CLUSTER	   (4 * KiB)
#define PER_TABLE  512u /* entries of a table: one slice */
#define IMAGE_SIZE (64 * MiB)
#define USED	   400u /* guest clusters written first in each of two tables */

struct test {
	struct scratch scratch;
	struct blk_node *node;
	uint8_t *buf;
	uint64_t tables[2]; /* file offsets */
};

/* A check as a coroutine of its own. */
struct checker {
	struct test *t;
	unsigned int fix;
	bool cancel, done;
	int ret;
	struct blk_check_result result;
};

/* ---- Reads that are held ---- */

/* The first read at @offset of the file waits for @release. */
struct hold {
	struct blk_file_ops ops;
	uint64_t offset;
	bool held, release;
};

static struct hold table_hold, backing_hold;

static ssize_t held_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			   uint64_t offset)
{
	/* Not by the file: another one may have the address of one that was closed. */
	struct hold *hold = file->ops == &table_hold.ops ? &table_hold : &backing_hold;

	if (offset == hold->offset && !hold->held) {
		hold->held = true;
		while (!hold->release)
			aio_co_sleep(MSEC);
	}
	return blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);
}

static void hold_read(struct hold *hold, struct blk_file *file, uint64_t offset)
{
	*hold = (struct hold){ .ops = blk_file_kernel_ops, .offset = offset };
	hold->ops.co_preadv = held_preadv;
	file->ops = &hold->ops;
}

static void wait_held(const struct hold *hold)
{
	while (!hold->held)
		aio_co_sleep(MSEC);
}

/* ---- Images ---- */

static void write_version(struct test *t, uint64_t cluster, uint32_t version)
{
	fill_block(t->buf, cluster, version);
	CHECK(blk_co_pwrite(t->node, cluster * CLUSTER, CLUSTER, t->buf, 0) == 0);
}

static void expect(struct test *t, uint64_t cluster, uint32_t version)
{
	uint8_t want[BLOCK] __attribute__((aligned(8)));

	fill_block(want, cluster, version);
	CHECK(blk_co_pread(t->node, cluster * CLUSTER, CLUSTER, t->buf, 0) == 0);
	CHECK(!memcmp(want, t->buf, BLOCK));
}

static void create(struct test *t, const char *backing)
{
	CHECK(blk_co_create(&(struct blk_create_opts){ .filename = t->scratch.image,
						       .format = "qed",
						       .size = IMAGE_SIZE,
						       .cluster_size = CLUSTER,
						       .table_size = 1,
						       .backing_file = backing,
						       .backing_format = backing ? "raw" : NULL },
			    NULL) == 0);
}

static void open_node(struct test *t, unsigned int flags)
{
	t->node = scratch_co_open(&t->scratch, flags, 0);
}

static void close_node(struct test *t)
{
	CHECK(blk_co_close(t->node) == 0);
}

/* An image with USED clusters in each of two tables, closed. */
static void make_image(struct test *t)
{
	struct qed_image *img;

	create(t, NULL);
	open_node(t, BLK_O_RDWR);
	for (uint64_t c = 0; c < USED; c++) {
		write_version(t, c, 1);
		write_version(t, PER_TABLE + c, 1);
	}
	img = t->node->opaque;
	t->tables[0] = img->l1[0];
	t->tables[1] = img->l1[1];
	close_node(t);
}

/* Write L2 entry @cluster of the closed image; return the old one. */
static uint64_t set_entry(struct test *t, uint64_t cluster, uint64_t entry)
{
	int fd = open(t->scratch.image, O_RDWR | O_CLOEXEC);
	off_t offset = (off_t)(t->tables[cluster / PER_TABLE] + cluster % PER_TABLE * 8);
	uint64_t old;

	CHECK(fd >= 0);
	CHECK(pread(fd, &old, 8, offset) == 8);
	CHECK(pwrite(fd, &entry, 8, offset) == 8);
	close(fd);
	return old;
}

/* Clusters that no entry names, in the middle of the file, where no search for leaks begins. */
static void leak(struct test *t, uint64_t first, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		CHECK(set_entry(t, first + i, 0) > 1);
}

static struct blk_check_result offline(struct test *t)
{
	struct blk_check_result result;

	open_node(t, 0);
	CHECK(blk_co_check(t->node, 0, NULL, NULL, &result, NULL) == 0);
	close_node(t);
	return result;
}

/* ---- Checks ---- */

static void check_main(void *arg)
{
	struct checker *c = arg;
	struct error err = ERROR_INIT;

	c->ret = blk_co_check_live(c->t->node, c->fix, &c->cancel, &c->result, &err);
	CHECK(!c->ret || error_text(&err)[0]);
	error_free(&err);
	c->done = true;
}

static void start_check(struct test *t, struct checker *c, unsigned int fix)
{
	*c = (struct checker){ .t = t, .fix = fix };
	CHECK(co_start(check_main, c) == 0);
}

static void wait_done(struct checker *c)
{
	while (!c->done)
		aio_co_sleep(MSEC);
}

static struct blk_check_result check(struct test *t, unsigned int fix)
{
	struct checker c;

	start_check(t, &c, fix);
	wait_done(&c);
	CHECK(c.ret == 0 && !c.result.check_errors);
	return c.result;
}

static void expect_clean(const struct blk_check_result *r)
{
	CHECK(!r->corruptions && !r->leaks && !r->leaks_fixed && !r->check_errors);
}

static void same_as_offline(void *arg)
{
	struct test *t = arg;
	struct blk_check_result want, got;

	make_image(t);
	leak(t, 10, 3);
	leak(t, PER_TABLE + 100, 1);
	want = offline(t);
	CHECK(want.leaks == 4 && want.allocated_clusters == 2 * USED - 4);
	open_node(t, 0);
	got = check(t, 0);
	CHECK(!memcmp(&got, &want, sizeof(got)));
	CHECK(blk_co_check_live(t->node, BLK_FIX_LEAKS, &(bool){ false }, &got, NULL) == -EPERM);
	close_node(t);
	open_node(t, BLK_O_RDWR);
	got = check(t, 0);
	CHECK(!memcmp(&got, &want, sizeof(got)));
	got = check(t, BLK_FIX_LEAKS);
	CHECK(got.leaks == 0 && got.leaks_fixed == 4);
	got = check(t, BLK_FIX_LEAKS);
	expect_clean(&got);
	/* They are allocated again. */
	for (uint64_t c = USED; c < USED + 4; c++)
		write_version(t, c, 2);
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_reused_clusters) == 4);
	for (uint64_t c = 0; c < USED + 4; c++)
		expect(t, c, c >= 10 && c < 13 ? 0 : c < USED ? 1 : 2);
	close_node(t);
	got = offline(t);
	expect_clean(&got);
}

/* What is damaged is counted, and then nothing is freed. */
static void damaged(void *arg)
{
	struct test *t = arg;
	struct blk_check_result want, got;
	uint64_t entry;

	make_image(t);
	entry = set_entry(t, 7, 0);
	(void)set_entry(t, 7, entry);
	(void)set_entry(t, PER_TABLE + 5, entry);
	(void)set_entry(t, 8, 123);
	want = offline(t);
	CHECK(want.corruptions == 2 && want.leaks == 2);
	open_node(t, BLK_O_RDWR);
	got = check(t, BLK_FIX_LEAKS);
	CHECK(!memcmp(&got, &want, sizeof(got)));
	close_node(t);
}

/* A later commit overwrites tables that are not read yet: the check sees them as they were. */
static void one_commit(void *arg)
{
	struct test *t = arg;
	struct qed_image *img;
	struct checker c;

	make_image(t);
	open_node(t, BLK_O_RDWR);
	img = t->node->opaque;
	hold_read(&table_hold, t->node->file, t->tables[1]);
	start_check(t, &c, BLK_FIX_LEAKS);
	wait_held(&table_hold);
	/* The cluster of the first table, which was read, moves to the second, which was not. */
	CHECK(blk_co_pdiscard(t->node, 3 * CLUSTER, CLUSTER) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	while (!img->alloc.free.members)
		aio_co_sleep(MSEC);
	write_version(t, PER_TABLE + USED, 2);
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_reused_clusters) == 1);
	CHECK(blk_co_flush(t->node) == 0);
	CHECK(!c.done);
	table_hold.release = true;
	wait_done(&c);
	CHECK(c.ret == 0);
	expect_clean(&c.result);
	CHECK(c.result.allocated_clusters == 2 * USED);
	expect(t, 3, 0);
	expect(t, PER_TABLE + USED, 2);
	close_node(t);
	c.result = offline(t);
	expect_clean(&c.result);
}

/* ---- Requests in flight ---- */

struct writer {
	struct test *t;
	uint64_t offset;
	unsigned int flags;
	bool zero, done;
};

static void write_main(void *arg)
{
	struct writer *w = arg;
	struct blk_node *node = w->t->node;
	unsigned int token = inflight_begin(&node->inflight);
	uint8_t *data = calloc(1, 512);

	CHECK(data);
	if (!w->zero)
		memset(data, 0x77, 512);
	CHECK(node->driver->co_pwrite(node, w->offset, 512, data, w->flags) == 0);
	free(data);
	inflight_end(&node->inflight, token);
	w->done = true;
}

/* An image with two clusters in use, over a backing file that begins with data. */
static void open_overlay(struct test *t)
{
	int fd = open(t->scratch.backing, O_RDWR | O_CREAT | O_EXCL, 0600);
	uint8_t block[BLOCK] __attribute__((aligned(8)));

	CHECK(fd >= 0);
	fill_block(block, 0, 9);
	CHECK(pwrite(fd, block, BLOCK, 0) == BLOCK);
	CHECK(ftruncate(fd, IMAGE_SIZE) == 0);
	close(fd);
	create(t, "backing.raw");
	open_node(t, BLK_O_RDWR);
	write_version(t, 1, 1);
	write_version(t, 2, 1);
	CHECK(blk_co_flush(t->node) == 0);
}

/* Start a write that has its cluster, and reads the rest of it from the backing file. */
static void start_write(struct writer *w)
{
	hold_read(&backing_hold, w->t->node->backing->file, w->offset);
	CHECK(co_start(write_main, w) == 0);
	wait_held(&backing_hold);
}

static void end_write(struct writer *w)
{
	backing_hold.release = true;
	while (!w->done)
		aio_co_sleep(MSEC);
}

/* After a check that freed nothing that the write uses. */
static void end_overlay(struct test *t, const struct checker *c)
{
	struct blk_check_result after;

	CHECK(c->done && c->ret == 0);
	expect_clean(&c->result);
	for (uint64_t i = 10; i < 20; i++)
		write_version(t, i, 3);
	for (uint64_t i = 10; i < 20; i++)
		expect(t, i, 3);
	CHECK(blk_co_pread(t->node, 0, 512, t->buf, 0) == 0);
	CHECK(t->buf[0] == 0x77 && t->buf[511] == 0x77);
	close_node(t);
	after = offline(t);
	expect_clean(&after);
}

/* A request that began before has a cluster that no entry names: the check waits for its end. */
static void writer_before(void *arg)
{
	struct test *t = arg;
	struct writer w = { .t = t };
	struct checker c;

	open_overlay(t);
	start_write(&w);
	start_check(t, &c, BLK_FIX_LEAKS);
	for (unsigned int i = 0; i < 20; i++)
		aio_co_sleep(MSEC);
	CHECK(!c.done);
	/* The check's commit does not name what loses its reference now, which is no leak. */
	CHECK(blk_co_pdiscard(t->node, 1 * CLUSTER, CLUSTER) == 0);
	end_write(&w);
	wait_done(&c);
	CHECK(c.result.allocated_clusters == 2);
	end_overlay(t, &c);
}

/* A request that begins during the check is not waited for, and its cluster is left alone. */
static void writer_during(void *arg)
{
	struct test *t = arg;
	struct writer w = { .t = t };
	struct qed_image *img;
	struct checker c;

	open_overlay(t);
	img = t->node->opaque;
	hold_read(&table_hold, t->node->file, img->l1[0]);
	start_check(t, &c, BLK_FIX_LEAKS);
	wait_held(&table_hold);
	start_write(&w);
	table_hold.release = true;
	wait_done(&c);
	CHECK(!w.done);
	end_write(&w);
	end_overlay(t, &c);
}

/* A request gives its cluster back: it is free, and not leaked. */
static void given_back(void *arg)
{
	struct test *t = arg;
	struct writer w = {
		.t = t, .offset = 100 * CLUSTER, .flags = BLK_REQ_POPULATE, .zero = true
	};
	struct writer last = { .t = t };
	struct qed_image *img;
	struct checker c;

	open_overlay(t);
	img = t->node->opaque;
	start_write(&w);
	start_check(t, &c, BLK_FIX_LEAKS);
	end_write(&w);
	wait_done(&c);
	CHECK(img->alloc.free.members == 1);
	write_main(&last);
	end_overlay(t, &c);
}

/* ---- Several checks ---- */

static void one_at_a_time(void *arg)
{
	struct test *t = arg;
	struct blk_check_result got;
	struct checker first, second;

	make_image(t);
	leak(t, 50, 1);
	open_node(t, BLK_O_RDWR);
	hold_read(&table_hold, t->node->file, t->tables[0]);
	start_check(t, &first, BLK_FIX_LEAKS);
	wait_held(&table_hold);
	start_check(t, &second, BLK_FIX_LEAKS);
	wait_done(&second);
	CHECK(second.ret == -EBUSY && !first.done);
	first.cancel = true;
	table_hold.release = true;
	wait_done(&first);
	CHECK(first.ret == -ECANCELED);
	got = check(t, BLK_FIX_LEAKS);
	CHECK(got.leaks == 0 && got.leaks_fixed == 1);
	close_node(t);
}

/* ---- Under load ---- */

#define WORKERS 8u
#define LEAKS	40u
/*
 * Writes beside each check.  What they free waits for the check's end, and the next check waits
 * until it is punched: without a limit each check would take longer than the one before.
 */
#define WRITES 1000u

struct load {
	struct test *t;
	uint32_t versions[2 * PER_TABLE];
	uint64_t seed;
	unsigned int running, ops, limit;
	bool stop;
};

struct worker {
	struct load *load;
	unsigned int index;
};

/* Worker i has every WORKERS-th cluster. */
static void worker_main(void *arg)
{
	struct worker *w = arg;
	struct load *load = w->load;
	struct test own = { .node = load->t->node, .buf = aligned_alloc(BLOCK, CLUSTER) };
	uint64_t random = mix64(load->seed + w->index);

	CHECK(own.buf);
	while (!load->stop) {
		uint64_t c = next_random(&random) % (2 * PER_TABLE / WORKERS) * WORKERS + w->index;
		unsigned int op = next_random(&random) % 16;

		if (load->ops >= load->limit) {
			aio_co_sleep(MSEC);
			continue;
		}
		expect(&own, c, load->versions[c]);
		if (op < 8) {
			load->versions[c] = 2 + load->ops++;
			write_version(&own, c, load->versions[c]);
		} else if (op < 15) {
			load->versions[c] = 0;
			CHECK(blk_co_pdiscard(own.node, c * CLUSTER, CLUSTER) == 0);
		} else {
			CHECK(blk_co_flush(own.node) == 0);
		}
	}
	free(own.buf);
	load->running--;
}

static void under_load(void *arg)
{
	struct test *t = arg;
	struct load load = { .t = t, .seed = test_seed(), .running = WORKERS };
	struct worker workers[WORKERS];
	struct blk_check_result got;

	make_image(t);
	leak(t, 50, LEAKS / 2);
	leak(t, PER_TABLE + 70, LEAKS / 2);
	for (uint64_t c = 0; c < 2 * PER_TABLE; c++)
		load.versions[c] = c % PER_TABLE < USED;
	memset(&load.versions[50], 0, LEAKS / 2 * sizeof(*load.versions));
	memset(&load.versions[PER_TABLE + 70], 0, LEAKS / 2 * sizeof(*load.versions));
	open_node(t, BLK_O_RDWR);
	for (unsigned int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){ &load, i };
		CHECK(co_start(worker_main, &workers[i]) == 0);
	}
	for (unsigned int i = 0; i < (SANITIZED ? 10 : 30); i++) {
		load.limit = load.ops + WRITES;
		got = check(t, i % 5 == 4 ? BLK_FIX_LEAKS : 0);
		CHECK(!got.corruptions && got.leaks == (i < 4 ? LEAKS : 0));
		CHECK(got.leaks_fixed == (i == 4 ? LEAKS : 0));
	}
	load.stop = true;
	while (load.running)
		aio_co_sleep(MSEC);
	for (uint64_t c = 0; c < 2 * PER_TABLE; c++)
		expect(t, c, load.versions[c]);
	close_node(t);
	got = offline(t);
	expect_clean(&got);
}

static void run(void **state)
{
	co_fn **fn = *state;
	struct test t = { .buf = aligned_alloc(BLOCK, CLUSTER) };

	CHECK(t.buf);
	scratch_make(&t.scratch);
	run_co(64, *fn, &t);
	scratch_remove(&t.scratch);
	free(t.buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST_BY(run, same_as_offline), CO_TEST_BY(run, damaged),
		CO_TEST_BY(run, one_commit),	  CO_TEST_BY(run, writer_before),
		CO_TEST_BY(run, writer_during),	  CO_TEST_BY(run, given_back),
		CO_TEST_BY(run, one_at_a_time),	  CO_TEST_BY(run, under_load),
	};

	return cmocka_run_group_tests_name("qed_check_live", tests, NULL, NULL);
}
