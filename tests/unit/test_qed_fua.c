// SPDX-License-Identifier: GPL-2.0
/*
 * Writes with FUA: the fast path, one durable write, is for clusters that are durable
 * with all their metadata. All others need a commit.
 */
#include "test_qed_common.h"

#define CLUSTER	   (16 * KiB)
#define IMAGE_SIZE (256 * MiB)
/* Blocks from one slice to the next, and from one table to the next. */
#define SLICE_BLOCKS (8 * MiB / BLOCK)
#define TABLE_BLOCKS (32 * MiB / BLOCK)

struct test {
	struct scratch scratch;
	struct blk_node *node;
	struct blk_file_ops ops;
	uint8_t *buf;
	uint32_t version;

	/* Operations on the image file. */
	unsigned int flushes, durable_writes;
	/* Errors of flushes, of durable writes and of other writes. */
	int flush_error, write_error, plain_error;
	bool hold; /* hold flushes */
};

static struct test test;

static ssize_t counted_pwritev_durable(struct blk_file *file, const struct iovec *iov, int iovcnt,
				       uint64_t offset)
{
	test.durable_writes++;
	if (test.write_error)
		return test.write_error;
	return blk_file_kernel_ops.co_pwritev_durable(file, iov, iovcnt, offset);
}

static ssize_t failing_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			       uint64_t offset)
{
	if (test.plain_error)
		return test.plain_error;
	return blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

static int counted_flush(struct blk_file *file)
{
	test.flushes++;
	while (test.hold)
		co_yield_turn();
	return test.flush_error ? test.flush_error : blk_file_kernel_ops.co_flush(file);
}

static void open_node(struct test *t, unsigned int flags)
{
	t->node = scratch_co_open(&t->scratch, flags, 0);
	t->ops = blk_file_kernel_ops;
	t->ops.co_pwritev_durable = counted_pwritev_durable;
	t->ops.co_pwritev = failing_pwritev;
	t->ops.co_flush = counted_flush;
	t->node->file->ops = &t->ops;
	/* On any file system. */
	t->node->file->keeps_dsync = true;
}

static void start(struct test *t, unsigned int flags)
{
	struct blk_create_opts opts = { .filename = t->scratch.image,
					.format = "qed",
					.size = IMAGE_SIZE,
					.cluster_size = CLUSTER,
					.table_size = 1 };

	CHECK(blk_co_create(&opts, NULL) == 0);
	open_node(t, BLK_O_RDWR | flags);
}

static void expect_block(struct test *t, uint64_t block, uint32_t version)
{
	uint8_t want[BLOCK] __attribute__((aligned(8)));

	fill_block(want, block, version);
	CHECK(blk_co_pread(t->node, block * BLOCK, BLOCK, t->buf, 0) == 0);
	CHECK(!memcmp(want, t->buf, BLOCK));
}

static void write_block(struct test *t, uint64_t block)
{
	fill_block(t->buf, block, ++t->version);
	CHECK(blk_co_pwrite(t->node, block * BLOCK, BLOCK, t->buf, 0) == 0);
}

/* Write with FUA: expect a commit with @flushes fdatasyncs, or with 0 the fast path. */
static void write_fua(struct test *t, uint64_t block, unsigned int flushes)
{
	t->flushes = t->durable_writes = 0;
	fill_block(t->buf, block, ++t->version);
	CHECK(blk_co_pwrite(t->node, block * BLOCK, BLOCK, t->buf, BLK_REQ_FUA) == 0);
	CHECK(t->flushes == flushes && t->durable_writes == !flushes);
	expect_block(t, block, t->version);
}

static bool has_direct(struct test *t)
{
	bool direct = t->node->file->direct;

	if (!direct) {
		printf("no O_DIRECT here\n");
		CHECK(blk_co_close(t->node) == 0);
	}
	return direct;
}

static void what_is_on_disk(void *arg)
{
	struct test *t = arg;

	start(t, BLK_O_DIRECT);
	if (!has_direct(t))
		return;
	write_fua(t, 0, 2);
	write_fua(t, 0, 0);
	/* Another block of the same cluster. */
	write_fua(t, 1, 0);
	/* Another cluster of the slice becomes dirty, then durable. */
	write_block(t, CLUSTER / BLOCK);
	write_fua(t, 0, 2);
	write_fua(t, CLUSTER / BLOCK, 0);
	/* Dirty entries of another slice do not matter... */
	write_block(t, SLICE_BLOCKS);
	write_fua(t, 0, 0);
	CHECK(blk_co_flush(t->node) == 0);
	/* ... but a new table does, as its L1 entry comes last. */
	write_block(t, TABLE_BLOCKS);
	write_fua(t, 0, 2);
	write_fua(t, TABLE_BLOCKS, 0);
	/* Discarded and written again; zeroed. */
	CHECK(blk_co_pdiscard(t->node, 0, CLUSTER) == 0);
	write_fua(t, 0, 2);
	CHECK(blk_co_pwrite_zeroes(t->node, 0, CLUSTER, BLK_REQ_MAY_UNMAP | BLK_REQ_FUA) == 0);
	write_fua(t, 0, 2);
	write_fua(t, 0, 0);
	CHECK(blk_co_close(t->node) == 0);
	/* The previous writer may have been killed before it flushed. */
	open_node(t, BLK_O_RDWR | BLK_O_DIRECT);
	expect_block(t, 0, t->version);
	write_fua(t, 0, 1);
	write_fua(t, 0, 0);
	CHECK(blk_co_close(t->node) == 0);
}

/* Requests that are not one run of whole blocks, and a failing disk. */
static void odd_ones(void *arg)
{
	struct test *t = arg;

	start(t, BLK_O_DIRECT);
	if (!has_direct(t))
		return;
	for (unsigned int c = 0; c < 4; c++)
		write_block(t, (c ^ 1) * (CLUSTER / BLOCK));
	CHECK(blk_co_flush(t->node) == 0);
	t->flushes = t->durable_writes = 0;
	CHECK(blk_co_pwrite(t->node, 100, 100, t->buf, BLK_REQ_FUA) == 0);
	CHECK(t->flushes == 1 && !t->durable_writes);
	/* Clusters 0 and 1 are in reverse order in the file. */
	CHECK(blk_co_pwrite(t->node, CLUSTER - BLOCK, 2 * BLOCK, t->buf, BLK_REQ_FUA) == 0);
	CHECK(t->flushes == 2 && !t->durable_writes);
	/* The guest gets the disk's error. */
	t->write_error = t->plain_error = -EIO;
	CHECK(blk_co_pwrite(t->node, 0, BLOCK, t->buf, BLK_REQ_FUA) == -EIO);
	t->write_error = t->plain_error = 0;
	write_fua(t, 0, 0);
	/* If only the sync after the write fails, it counts as a failed flush. */
	t->write_error = -EIO;
	CHECK(blk_co_pwrite(t->node, 0, BLOCK, t->buf, BLK_REQ_FUA) == -EIO);
	t->write_error = 0;
	CHECK(blk_co_pwrite(t->node, 0, BLOCK, t->buf, BLK_REQ_FUA) == -EIO);
	CHECK(blk_co_flush(t->node) == -EIO);
	CHECK(blk_co_close(t->node) == -EIO);
}

static void flush_one(void *arg)
{
	CHECK(blk_co_flush(test.node) == 0);
	group_done(arg);
}

static void write_fua_one(void *arg)
{
	CHECK(blk_co_pwrite(test.node, 0, BLOCK, test.buf, BLK_REQ_FUA) == 0);
	group_done(arg);
}

/* While a commit is writing the entry, and after a failed one, it is not durable. */
static void beside_commits(void *arg)
{
	struct test *t = arg;
	struct group group = { .left = 2 };

	start(t, BLK_O_DIRECT);
	if (!has_direct(t))
		return;
	write_fua(t, SLICE_BLOCKS, 2);
	write_block(t, 0);
	t->durable_writes = 0;
	t->hold = true;
	CHECK(co_start(flush_one, &group) == 0);
	fill_block(t->buf, 0, ++t->version);
	CHECK(co_start(write_fua_one, &group) == 0);
	for (unsigned int i = 0; i < 10; i++)
		co_yield_turn();
	CHECK(group.left == 2 && !t->durable_writes);
	t->hold = false;
	group_wait(&group);
	CHECK(!t->durable_writes);
	expect_block(t, 0, t->version);
	write_fua(t, 0, 0);
	write_block(t, CLUSTER / BLOCK);
	t->plain_error = -EIO;
	CHECK(blk_co_flush(t->node) == -EIO);
	t->plain_error = 0;
	write_fua(t, SLICE_BLOCKS, 0);
	write_fua(t, 0, 2);
	write_fua(t, 0, 0);
	/* A failed flush is final. */
	t->flush_error = -EIO;
	CHECK(blk_co_flush(t->node) == -EIO);
	t->flush_error = 0;
	t->durable_writes = 0;
	CHECK(blk_co_pwrite(t->node, 0, BLOCK, t->buf, BLK_REQ_FUA) == -EIO);
	CHECK(!t->durable_writes);
	CHECK(blk_co_close(t->node) == -EIO);
}

/* With the page cache every FUA write needs a commit. */
static void cached(void *arg)
{
	struct test *t = arg;

	start(t, 0);
	write_fua(t, 0, 2);
	write_fua(t, 0, 1);
	CHECK(blk_co_close(t->node) == 0);
}

static void run(void **state)
{
	co_fn **fn = *state;

	memset(&test, 0, sizeof(test));
	scratch_make(&test.scratch);
	test.buf = aligned_alloc(BLOCK, 2 * BLOCK);
	CHECK(test.buf);
	memset(test.buf, 0, 2 * BLOCK);
	run_co(64, *fn, &test);
	free(test.buf);
	scratch_remove(&test.scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST_BY(run, what_is_on_disk),
		CO_TEST_BY(run, odd_ones),
		CO_TEST_BY(run, beside_commits),
		CO_TEST_BY(run, cached),
	};

	return cmocka_run_group_tests_name("qed_fua", tests, NULL, NULL);
}
