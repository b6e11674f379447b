// SPDX-License-Identifier: GPL-2.0
/*
 * A failing disk under the QED driver: the request that meets the error returns it,
 * the image stays consistent and usable, a failed commit does not count as done, and
 * its data is written once the disk works again.
 *
 * threads: yes
 */
#include "test_qed_common.h"

#include <linux/falloc.h>

#define CLUSTER	   (64 * KiB)
#define IMAGE_SIZE (256 * MiB)

/* Which operations of the image file fail, and how. */
struct faults {
	const struct blk_file_ops *real;
	int write_error, flush_error, truncate_error; /* 0: none */
	int allocate_error; /* error of allocating space for metadata */
	int fail_write_after; /* number of writes that succeed first */
	size_t fail_write_bytes; /* only writes of this length fail; 0: all */
	int fail_flush_after; /* number of flushes that succeed first */
	unsigned int flushes;
};

struct test {
	struct scratch scratch;
	struct faults faults;
	struct blk_node *node;
	uint8_t *buf;
};

static ssize_t faulty_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			     uint64_t offset)
{
	const struct faults *f = file->ops_data;

	return f->real->co_preadv(file, iov, iovcnt, offset);
}

static ssize_t faulty_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			      uint64_t offset)
{
	struct faults *f = file->ops_data;
	bool meant = !f->fail_write_bytes || iov->iov_len == f->fail_write_bytes;

	if (f->write_error && meant && f->fail_write_after-- <= 0)
		return f->write_error;
	return f->real->co_pwritev(file, iov, iovcnt, offset);
}

static int faulty_flush(struct blk_file *file)
{
	struct faults *f = file->ops_data;

	f->flushes++;
	if (f->flush_error && f->fail_flush_after-- <= 0)
		return f->flush_error;
	return f->real->co_flush(file);
}

static int faulty_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	const struct faults *f = file->ops_data;

	if (mode == FALLOC_FL_KEEP_SIZE && f->allocate_error)
		return f->allocate_error;
	return f->real->co_fallocate(file, mode, offset, len);
}

static int faulty_truncate(struct blk_file *file, uint64_t size)
{
	const struct faults *f = file->ops_data;

	return f->truncate_error ? f->truncate_error : f->real->co_truncate(file, size);
}

static const struct blk_file_ops faulty_ops = {
	.co_preadv = faulty_preadv,
	.co_pwritev = faulty_pwritev,
	.co_flush = faulty_flush,
	.co_fallocate = faulty_fallocate,
	.co_truncate = faulty_truncate,
};

static void open_node(struct test *t, unsigned int flags)
{
	t->node = scratch_co_open(&t->scratch, flags, 0);
	memset(&t->faults, 0, sizeof(t->faults));
	t->faults.real = t->node->file->ops;
	t->node->file->ops = &faulty_ops;
	t->node->file->ops_data = &t->faults;
}

static void start(struct test *t, bool backing)
{
	struct blk_create_opts opts = {
		.filename = t->scratch.image,
		.format = "qed",
		.size = IMAGE_SIZE,
		.cluster_size = CLUSTER,
		.table_size = 1,
		.backing_file = backing ? "backing.raw" : NULL,
		.backing_format = "raw",
	};
	uint8_t block[BLOCK] __attribute__((aligned(8)));
	int fd;

	t->buf = aligned_alloc(BLOCK, 1 * MiB);
	CHECK(t->buf);
	if (backing) {
		fd = open(t->scratch.backing, O_RDWR | O_CREAT | O_EXCL, 0600);
		CHECK(fd >= 0);
		for (uint64_t b = 0; b < 4 * MiB / BLOCK; b++) {
			fill_block(block, b, 1);
			CHECK(pwrite(fd, block, BLOCK, b * BLOCK) == BLOCK);
		}
		close(fd);
	}
	CHECK(blk_co_create(&opts, NULL) == 0);
	open_node(t, BLK_O_RDWR | BLK_O_DIRECT);
}

static int write_block(struct test *t, uint64_t block, uint32_t version)
{
	fill_block(t->buf, block, version);
	return blk_co_pwrite(t->node, block * BLOCK, BLOCK, t->buf, 0);
}

static void expect_block(struct test *t, uint64_t block, uint32_t version)
{
	uint8_t want[BLOCK] __attribute__((aligned(8)));

	fill_block(want, block, version);
	CHECK(blk_co_pread(t->node, block * BLOCK, BLOCK, t->buf, 0) == 0);
	CHECK(!memcmp(want, t->buf, BLOCK));
}

/* Close, and check that the image has no corruptions and no leaks. */
static void close_and_check(struct test *t)
{
	struct blk_check_result result;

	CHECK(blk_co_close(t->node) == 0);
	open_node(t, 0);
	CHECK(blk_co_check(t->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(!result.corruptions && !result.leaks && !result.check_errors);
}

static void end(struct test *t)
{
	CHECK(blk_co_close(t->node) == 0);
	free(t->buf);
}

/* A failed data write: the guest gets the error, and later requests succeed. */
static void data_error(void *arg)
{
	struct test *t = arg;

	for (int backing = 0; backing < 2; backing++) {
		start(t, backing);
		CHECK(write_block(t, 0, 2) == 0);
		t->faults.write_error = backing ? -EIO : -ENOSPC;
		CHECK(write_block(t, 100, 3) == t->faults.write_error);
		/* All data can be read; the failed block is old or new. */
		expect_block(t, 0, 2);
		expect_block(t, 100, backing ? 1 : 0);
		CHECK(blk_co_pwrite_zeroes(t->node, 0, CLUSTER, BLK_REQ_MAY_UNMAP) == 0);
		t->faults.write_error = 0;
		CHECK(write_block(t, 100, 4) == 0);
		CHECK(blk_co_flush(t->node) == 0);
		close_and_check(t);
		expect_block(t, 0, 0);
		expect_block(t, 100, 4);
		expect_block(t, 101, backing ? 1 : 0);
		end(t);
		(void)unlink(t->scratch.image);
	}
}

/* A file that cannot grow: allocation fails, overwrites succeed. */
static void growth_error(void *arg)
{
	struct test *t = arg;
	unsigned int failed = 0;

	start(t, false);
	CHECK(write_block(t, 0, 2) == 0);
	t->faults.truncate_error = -ENOSPC;
	for (uint64_t c = 1; c < IMAGE_SIZE / CLUSTER; c++) {
		int ret = write_block(t, c * (CLUSTER / BLOCK), 3);

		CHECK(ret == 0 || ret == -ENOSPC);
		failed += ret == -ENOSPC;
	}
	CHECK(failed > 0);
	CHECK(write_block(t, 0, 4) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	t->faults.truncate_error = 0;
	CHECK(write_block(t, IMAGE_SIZE / BLOCK - 1, 5) == 0);
	close_and_check(t);
	expect_block(t, 0, 4);
	expect_block(t, IMAGE_SIZE / BLOCK - 1, 5);
	end(t);
}

/*
 * No space for metadata: requests that need new metadata fail, flushes do not, and
 * allocated clusters can be written.
 */
static void metadata_space(void *arg)
{
	struct test *t = arg;

	start(t, false);
	CHECK(write_block(t, 0, 2) == 0);
	t->faults.allocate_error = -ENOSPC;
	CHECK(write_block(t, 1, 3) == 0);
	CHECK(write_block(t, CLUSTER / BLOCK, 3) == 0);
	/* Another slice of the same table. */
	CHECK(write_block(t, 30000, 3) == -ENOSPC);
	CHECK(blk_co_pwrite_zeroes(t->node, 30000 * BLOCK, CLUSTER, 0) == -ENOSPC);
	CHECK(blk_co_flush(t->node) == 0);
	expect_block(t, 30000, 0);
	/* Another table. */
	CHECK(write_block(t, IMAGE_SIZE / BLOCK - 1, 3) == -ENOSPC);
	CHECK(blk_co_flush(t->node) == 0);
	t->faults.allocate_error = 0;
	CHECK(write_block(t, 30000, 4) == 0);
	/* From now on it has space. */
	t->faults.allocate_error = -ENOSPC;
	CHECK(write_block(t, 30100, 5) == 0);
	close_and_check(t);
	expect_block(t, 0, 2);
	expect_block(t, 1, 3);
	expect_block(t, 30000, 4);
	expect_block(t, 30100, 5);
	end(t);
}

/* A commit whose writes fail: FLUSH reports it, and a later one succeeds. */
static void commit_error(void *arg)
{
	struct test *t = arg;

	for (int step = 0; step < 3; step++) {
		start(t, false);
		CHECK(write_block(t, 0, 2) == 0);
		CHECK(blk_co_flush(t->node) == 0);
		CHECK(write_block(t, 30000, 3) == 0);
		CHECK(blk_co_pdiscard(t->node, 0, CLUSTER) == 0);
		t->faults.write_error = -EIO;
		t->faults.fail_write_after = step;
		/* Two slices, not adjacent, are written: at the last step nothing fails. */
		CHECK(blk_co_flush(t->node) == (step == 2 ? 0 : -EIO));
		/* The discarded cluster is not reused as long as the discard may not be durable. */
		CHECK(step == 2 || blk_stats_get(&t->node->stats, BLK_STAT_reused_clusters) == 0);
		t->faults.write_error = 0;
		expect_block(t, 0, 0);
		expect_block(t, 30000, 3);
		CHECK(blk_co_flush(t->node) == 0);
		close_and_check(t);
		expect_block(t, 0, 0);
		expect_block(t, 30000, 3);
		end(t);
		(void)unlink(t->scratch.image);
	}
}

/* Compaction fails at close: all completed writes are there, so the close succeeds. */
static void compaction_error(void *arg)
{
	static const int errors[] = { -ENOSPC, -EIO };
	struct test *t = arg;

	for (unsigned int i = 0; i < ARRAY_SIZE(errors); i++) {
		start(t, false);
		for (unsigned int c = 0; c < 64; c++)
			CHECK(write_block(t, c * (CLUSTER / BLOCK), 2) == 0);
		CHECK(blk_co_flush(t->node) == 0);
		CHECK(blk_co_pdiscard(t->node, 0, 32 * CLUSTER) == 0);
		/* The fourth copy fails. */
		t->faults.write_error = errors[i];
		t->faults.fail_write_bytes = CLUSTER;
		t->faults.fail_write_after = 3;
		close_and_check(t);
		for (unsigned int c = 0; c < 64; c++)
			expect_block(t, c * (CLUSTER / BLOCK), c < 32 ? 0 : 2);
		end(t);
		(void)unlink(t->scratch.image);
	}
}

/* Too much dirty metadata that cannot be written: writers get the error, and no request hangs. */
static void metadata_error_limits(void *arg)
{
	struct test *t = arg;
	struct blk_open_opts opts = { .format = "qed",
				      .flags = BLK_O_RDWR | BLK_O_DIRECT,
				      .l2_cache_size = 1 };
	unsigned int failed = 0;

	start(t, false);
	CHECK(blk_co_close(t->node) == 0);
	(void)unlink(t->scratch.image);
	CHECK(blk_co_create(&(struct blk_create_opts){ .filename = t->scratch.image,
						       .format = "qed",
						       .size = IMAGE_SIZE,
						       .cluster_size = 4096,
						       .table_size = 1 },
			    NULL) == 0);
	CHECK(blk_co_open(&t->node, t->scratch.image, &opts, NULL) == 0);
	t->faults.real = t->node->file->ops;
	t->node->file->ops = &faulty_ops;
	t->node->file->ops_data = &t->faults;
	/* Write-zeroes changes only metadata. */
	t->faults.write_error = -EIO;
	for (uint64_t b = 0; b < IMAGE_SIZE / BLOCK; b += 512)
		failed += blk_co_pwrite_zeroes(t->node, b * BLOCK, BLOCK, 0) != 0;
	CHECK(failed > 0);
	t->faults.write_error = 0;
	/* The first write may still get the earlier failure. */
	while (write_block(t, IMAGE_SIZE / BLOCK - 1, 3))
		aio_co_sleep(10 * MSEC);
	/* The next FLUSH must report a background failure, once. */
	CHECK(blk_co_flush(t->node) == -EIO);
	CHECK(blk_co_flush(t->node) == 0);
	close_and_check(t);
	expect_block(t, IMAGE_SIZE / BLOCK - 1, 3);
	end(t);
}

/*
 * After a failed fdatasync it is unknown what the kernel dropped, so no FLUSH succeeds any more;
 * reads still return what was written. After phase 1 failed no metadata is written, and clusters
 * freed by the commit are not reused: the reopened image is as the flush before left it. After
 * phase 2 failed it is old or new.
 */
static void flush_fails_for_good(struct test *t, unsigned int flags, int phase)
{
	struct blk_check_result result;

	start(t, false);
	CHECK(blk_co_close(t->node) == 0);
	open_node(t, BLK_O_RDWR | flags);
	CHECK(write_block(t, 0, 2) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	CHECK(write_block(t, 30000, 3) == 0);
	CHECK(blk_co_pdiscard(t->node, 0, CLUSTER) == 0);
	t->faults.flush_error = -EIO;
	t->faults.fail_flush_after = phase - 1;
	CHECK(blk_co_flush(t->node) == -EIO);
	t->faults.flush_error = 0;
	CHECK(blk_co_flush(t->node) == -EIO);
	for (unsigned int c = 1; c < 64; c++)
		CHECK(write_block(t, c * (CLUSTER / BLOCK), 4) == 0);
	CHECK(blk_co_flush(t->node) == -EIO);
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_reused_clusters) == 0);
	expect_block(t, 0, 0);
	expect_block(t, 30000, 3);
	CHECK(blk_co_close(t->node) == -EIO);

	open_node(t, BLK_O_RDWR | flags);
	expect_block(t, 0, phase == 1 ? 2 : 0);
	expect_block(t, 30000, phase == 1 ? 0 : 3);
	CHECK(blk_co_flush(t->node) == 0);
	CHECK(blk_co_close(t->node) == 0);
	open_node(t, 0);
	CHECK(blk_co_check(t->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(!result.corruptions && !result.check_errors);
	end(t);
	(void)unlink(t->scratch.image);
}

static void flush_error(void *arg)
{
	for (int phase = 1; phase <= 2; phase++) {
		flush_fails_for_good(arg, 0, phase);
		flush_fails_for_good(arg, BLK_O_DIRECT, phase);
	}
}

/* The same when the failure is not met by a commit: guest data may be lost. */
static void flush_error_of_header(struct test *t, unsigned int flags)
{
	start(t, true);
	CHECK(blk_co_close(t->node) == 0);
	open_node(t, BLK_O_RDWR | flags);
	CHECK(write_block(t, 0, 2) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	/* The commit before the header is one fdatasync. */
	t->faults.flush_error = -EIO;
	t->faults.fail_flush_after = 1;
	CHECK(blk_co_change_backing(t->node, NULL, NULL, NULL) == -EIO);
	CHECK(t->faults.fail_flush_after == -1);
	t->faults.flush_error = 0;
	CHECK(blk_co_flush(t->node) == -EIO);
	CHECK(blk_co_close(t->node) == -EIO);
	open_node(t, 0);
	end(t);
	(void)unlink(t->scratch.image);
	(void)unlink(t->scratch.backing);
}

static void header_error(void *arg)
{
	flush_error_of_header(arg, 0);
	flush_error_of_header(arg, BLK_O_DIRECT);
}

/* A FLUSH with nothing dirty costs one fdatasync, with dirty metadata two. */
static void flush_cost(void *arg)
{
	struct test *t = arg;

	start(t, false);
	CHECK(write_block(t, 0, 2) == 0);
	t->faults.flushes = 0;
	CHECK(blk_co_flush(t->node) == 0);
	CHECK(t->faults.flushes == 2);
	CHECK(write_block(t, 0, 3) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	CHECK(t->faults.flushes == 3);
	close_and_check(t);
	end(t);
}

static void run(void **state)
{
	co_fn **fn = *state;
	struct test t = { 0 };

	scratch_make(&t.scratch);
	run_co(64, *fn, &t);
	scratch_remove(&t.scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST_BY(run, data_error),	   CO_TEST_BY(run, growth_error),
		CO_TEST_BY(run, metadata_space),   CO_TEST_BY(run, commit_error),
		CO_TEST_BY(run, compaction_error), CO_TEST_BY(run, metadata_error_limits),
		CO_TEST_BY(run, flush_error),	   CO_TEST_BY(run, header_error),
		CO_TEST_BY(run, flush_cost),
	};

	return cmocka_run_group_tests_name("qed_faults", tests, NULL, NULL);
}
