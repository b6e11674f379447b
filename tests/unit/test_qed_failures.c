// SPDX-License-Identifier: GPL-2.0
/*
 * The state after a failed commit or copy: entries, tables and dropped clusters are as before
 * it, and a cluster that may have been written is not allocated unpunched. Each test continues
 * to use the image after the failure, since only then a cluster that was freed too early, or not
 * punched, does harm.
 */
#include "format/qed/alloc.h"
#include "test_qed_recorder.h"

#define CLUSTER	       (64 * KiB)
#define PER_CLUSTER    (CLUSTER / BLOCK)
#define IMAGE_SIZE     (64 * MiB)
#define BACKING_BLOCKS (4 * MiB / BLOCK)

/* Open a copy of the image, as a process killed now leaves it, and check two blocks. */
static void expect_after_crash(struct rec_test *t, uint64_t block, uint32_t version, uint32_t or)
{
	struct scratch crashed = t->scratch;
	struct blk_node *node = t->node;
	struct blk_check_result result;

	snprintf(crashed.image, sizeof(crashed.image), "%s/crashed", t->scratch.dir);
	copy_file(t->scratch.image, crashed.image);
	t->node = scratch_co_open(&crashed, 0, 0);
	CHECK(blk_co_check(t->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(!result.corruptions && !result.check_errors);
	CHECK(rec_reads(t, block, version) || rec_reads(t, block, or));
	CHECK(blk_co_close(t->node) == 0);
	CHECK(unlink(crashed.image) == 0);
	t->node = node;
}

static void close_and_check(struct rec_test *t)
{
	struct blk_check_result result;

	CHECK(blk_co_close(t->node) == 0);
	rec_open(t, 0, NULL);
	CHECK(blk_co_check(t->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(!result.corruptions && !result.leaks && !result.check_errors);
}

/* The steps at which a commit of one slice can fail. */
enum step { FIRST_FLUSH, SLICE, SECOND_FLUSH, NR_STEPS };

static void fail_at(struct recorder *rec, enum step step)
{
	rec->write_error = step == SLICE ? -EIO : 0;
	rec->flush_error = step == FIRST_FLUSH || step == SECOND_FLUSH ? -EIO : 0;
	rec->fail_write_after = 0;
	rec->fail_flush_after = step == SECOND_FLUSH;
}

static void heal(struct recorder *rec)
{
	rec->write_error = rec->flush_error = 0;
}

/*
 * A cluster is dropped by a discard whose commit fails. The entry on the disk still
 * references it, so it is neither punched nor allocated again.
 */
static void failed_commit_frees_nothing(void *arg)
{
	struct rec_test *t = arg;
	uint64_t old;
	bool left;

	for (enum step step = 0; step < NR_STEPS; step++) {
		rec_create(t, CLUSTER, IMAGE_SIZE, 0);
		rec_open(t, BLK_O_RDWR | BLK_O_DIRECT, NULL);
		CHECK(rec_write(t, 0, 2) == 0);
		CHECK(rec_write(t, PER_CLUSTER, 2) == 0);
		CHECK(blk_co_flush(t->node) == 0);
		old = image_of(t)->alloc.frontier - 2;
		CHECK(blk_co_pdiscard(t->node, 0, CLUSTER) == 0);
		fail_at(&t->rec, step);
		CHECK(blk_co_flush(t->node) == -EIO);
		/*
		 * Clusters that are free by mistake are allocated now; and the disk stays broken.
		 */
		t->rec.flush_error = -EIO;
		t->rec.fail_flush_after = 0;
		t->rec.write_error = 0;
		qed_co_recycle(image_of(t), &left);
		CHECK(!next_op(&t->rec, NULL, OP_PUNCH, old * CLUSTER, (old + 1) * CLUSTER));
		for (unsigned int c = 2; c < 6; c++)
			CHECK(rec_write(t, c * PER_CLUSTER, 3) == 0);
		CHECK(blk_stats_get(&t->node->stats, BLK_STAT_reused_clusters) == 0);
		expect_after_crash(t, 0, 2, 0);
		(void)blk_co_close(t->node);
		rec_open(t, 0, NULL);
		CHECK(rec_reads(t, PER_CLUSTER, 2));
		CHECK(blk_co_close(t->node) == 0);
		CHECK(unlink(t->scratch.image) == 0);
	}
}

/* Without the first fdatasync no entry is written, neither in the slice nor in L1. */
static void no_entry_without_the_first_flush(void *arg)
{
	struct rec_test *t = arg;

	rec_create(t, CLUSTER, IMAGE_SIZE, 0);
	rec_open(t, BLK_O_RDWR | BLK_O_DIRECT, NULL);
	CHECK(rec_write(t, 0, 2) == 0);
	t->rec.nr = 0;
	fail_at(&t->rec, FIRST_FLUSH);
	CHECK(blk_co_flush(t->node) == -EIO);
	CHECK(!next_op(&t->rec, NULL, OP_WRITE, 0, UINT64_MAX));
	(void)blk_co_close(t->node);
}

/*
 * A commit fails to write a new table's first slice, or its L1 entry: the next commit
 * writes both.
 */
static void failed_commit_is_made_good(void *arg)
{
	struct rec_test *t = arg;

	for (int writes = 0; writes < 2; writes++) {
		rec_create(t, CLUSTER, IMAGE_SIZE, 0);
		rec_open(t, BLK_O_RDWR | BLK_O_DIRECT, NULL);
		CHECK(rec_write(t, 0, 2) == 0);
		t->rec.write_error = -EIO;
		t->rec.fail_write_after = writes;
		CHECK(blk_co_flush(t->node) == -EIO);
		heal(&t->rec);
		CHECK(blk_co_flush(t->node) == 0);
		expect_after_crash(t, 0, 2, 2);
		close_and_check(t);
		CHECK(rec_reads(t, 0, 2));
		CHECK(blk_co_close(t->node) == 0);
		CHECK(unlink(t->scratch.image) == 0);
	}
}

/*
 * An emptied image has no space for L1. If the disk is full, a write that needs a new
 * table fails, and no flush does.
 */
static void space_for_l1(void *arg)
{
	struct rec_test *t = arg;

	rec_create(t, CLUSTER, IMAGE_SIZE, 0);
	rec_open(t, BLK_O_RDWR | BLK_O_DIRECT, NULL);
	CHECK(rec_write(t, 0, 2) == 0);
	CHECK(t->node->driver->co_make_empty(t->node) == 0);
	t->rec.no_space_at = image_of(t)->header.l1_table_offset;
	CHECK(rec_write(t, 0, 3) == -ENOSPC);
	CHECK(blk_co_flush(t->node) == 0);
	t->rec.no_space_at = UINT64_MAX;
	CHECK(rec_write(t, 0, 3) == 0);
	close_and_check(t);
	CHECK(rec_reads(t, 0, 3));
	CHECK(blk_co_close(t->node) == 0);
}

/*
 * Growing an image hides the backing file by tables with L1 entries not needed before.
 * If L1 has no space on the disk for them, growing fails, and no flush does.
 */
static void space_for_more_l1(void *arg)
{
	/* The second 4 KiB of L1 begin at 256 GiB. */
	const uint64_t small = 255 * GiB, large = 257 * GiB;
	struct rec_test *t = arg;

	rec_create(t, CLUSTER, small, 1);
	CHECK(truncate(t->scratch.backing, (off_t)large) == 0);
	rec_open(t, BLK_O_RDWR | BLK_O_DIRECT, NULL);
	t->rec.no_space_at = image_of(t)->header.l1_table_offset + 4096;
	CHECK(blk_co_truncate(t->node, large, NULL) == -ENOSPC);
	CHECK(!image_of(t)->l1[512]);
	CHECK(blk_co_flush(t->node) == 0);
	t->rec.no_space_at = UINT64_MAX;
	CHECK(blk_co_truncate(t->node, large, NULL) == 0);
	close_and_check(t);
	CHECK(rec_reads(t, large / BLOCK - 1, 0));
	CHECK(blk_co_close(t->node) == 0);
}

/*
 * A copy whose write fails may have written data. Its cluster is not allocated again
 * before it is punched: a write of a part of a fresh cluster relies on zeroes around
 * it.
 */
static void failed_copy(struct rec_test *t, uint64_t bytes)
{
	uint64_t fresh = BACKING_BLOCKS, left = 8;

	rec_create(t, CLUSTER, IMAGE_SIZE, BACKING_BLOCKS);
	rec_open(t, BLK_O_RDWR | BLK_O_DIRECT, NULL);
	/* The table and the slice exist, so that the copy's write is the one that fails. */
	CHECK(rec_write(t, fresh, 2) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	memset(t->buf, 0xee, bytes);
	t->rec.failed_writes_land = true;
	t->rec.write_error = -EIO;
	t->rec.fail_write_after = 0;
	CHECK(blk_co_pwrite(t->node, 0, bytes, t->buf, 0) == -EIO);
	heal(&t->rec);
	CHECK(rec_reads(t, 0, 1) && rec_reads(t, PER_CLUSTER - 1, 1));
	do {
		fresh += PER_CLUSTER;
		CHECK(rec_write(t, fresh, 3) == 0);
		for (unsigned int b = 1; b < PER_CLUSTER; b++)
			CHECK(rec_reads(t, fresh + b, 0));
		/* After a commit it is properly free, and allocated again. */
		CHECK(blk_co_flush(t->node) == 0);
		aio_co_sleep(5 * MSEC);
	} while (--left);
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_reused_clusters) == 1);
	close_and_check(t);
	CHECK(rec_reads(t, 0, 1) && rec_reads(t, BACKING_BLOCKS, 2));
	CHECK(blk_co_close(t->node) == 0);
}

static void failed_copy_of_a_part(void *arg)
{
	failed_copy(arg, BLOCK);
}

static void failed_copy_of_a_whole(void *arg)
{
	failed_copy(arg, CLUSTER);
}

/* ---- Several requests for one cluster ---- */

struct request {
	struct rec_test *t;
	uint64_t block;
	unsigned int flags;
	bool done;
	int ret;
};

/* Zero one block, bypassing the block layer, which does not pass on such a guest request. */
static void zeroes_main(void *arg)
{
	struct request *r = arg;
	static const uint8_t zeroes[BLOCK] __attribute__((aligned(BLOCK)));
	struct rec_test *t = r->t;

	r->ret = t->node->driver->co_pwrite(t->node, r->block * BLOCK, BLOCK, zeroes, r->flags);
	r->done = true;
}

static void await(const bool *done)
{
	for (unsigned int i = 0; !*done; i++) {
		CHECK(i < 10000);
		aio_co_sleep(MSEC);
	}
}

/*
 * Populating finds that a cluster is all zeroes, after a write has joined it. The
 * write completes, and hides the backing file.
 */
static void writer_joins_populating_of_zeroes(void *arg)
{
	struct rec_test *t = arg;
	struct request populate = { .t = t, .block = 1, .flags = BLK_REQ_POPULATE };
	struct request write = { .t = t, .block = 2 };

	rec_create(t, CLUSTER, IMAGE_SIZE, PER_CLUSTER / 2);
	/* The first cluster of the backing file is zeroes. */
	CHECK(truncate(t->scratch.backing, 0) == 0);
	CHECK(truncate(t->scratch.backing, 4 * MiB) == 0);
	rec_open(t, BLK_O_RDWR, NULL);
	/* Loads the table and the slice. */
	CHECK(rec_write(t, 20 * PER_CLUSTER, 2) == 0);
	t->below.hold_reads = true;
	CHECK(co_start(zeroes_main, &populate) == 0);
	for (unsigned int i = 0; !t->below.held; i++) {
		CHECK(i < 10000);
		aio_co_sleep(MSEC);
	}
	CHECK(co_start(zeroes_main, &write) == 0);
	CHECK(!write.done && blk_stats_get(&t->node->stats, BLK_STAT_shared_fills) == 1);
	t->below.hold_reads = false;
	await(&populate.done);
	await(&write.done);
	CHECK(!populate.ret && !write.ret);
	for (unsigned int b = 0; b < PER_CLUSTER; b++)
		CHECK(rec_reads(t, b, 0));
	close_and_check(t);
	CHECK(blk_co_close(t->node) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST_BY(rec_run, failed_commit_frees_nothing),
		CO_TEST_BY(rec_run, no_entry_without_the_first_flush),
		CO_TEST_BY(rec_run, failed_commit_is_made_good),
		CO_TEST_BY(rec_run, space_for_l1),
		CO_TEST_BY(rec_run, space_for_more_l1),
		CO_TEST_BY(rec_run, failed_copy_of_a_part),
		CO_TEST_BY(rec_run, failed_copy_of_a_whole),
		CO_TEST_BY(rec_run, writer_joins_populating_of_zeroes),
	};

	return cmocka_run_group_tests_name("qed_failures", tests, NULL, NULL);
}
