// SPDX-License-Identifier: GPL-2.0
/*
 * Copy-on-read: what is kept and how, what is not, and that neither failing disks nor
 * concurrent writers change what a reader gets.
 */
#include "test_block_overlay.h"

/* ---- what is kept ---- */

static void keeping(void *arg)
{
	struct blk_node *node = open_over(10 * CLUSTER, 10 * CLUSTER, CLUSTER, 0);

	(void)arg;
	/* Nothing without the flag. */
	check_read(node, 0, 3 * CLUSTER, 0);
	expect_states("----------");
	CHECK(stat_of(node, BLK_STAT_backing_read_bytes) == 3 * CLUSTER);

	/* A byte of a cluster keeps the cluster. */
	overlay.longest = 0;
	check_kept(node, CLUSTER - 1, 1, BLK_REQ_COPY_ON_READ);
	expect_states("#---------");
	CHECK(overlay.populates == 1 && overlay.longest == CLUSTER);
	/* The reader got its byte, and the cluster was read afterwards. */
	CHECK(stat_of(node, BLK_STAT_backing_read_bytes) == 4 * CLUSTER + 1);
	/* Only once: then it is in the image. */
	check_kept(node, 0, CLUSTER, BLK_REQ_COPY_ON_READ);
	CHECK(overlay.populates == 1);
	CHECK(stat_of(node, BLK_STAT_backing_read_bytes) == 4 * CLUSTER + 1);

	/* Zeroes become zero clusters. Whole clusters that a reader has read are not read again. */
	check_kept(node, 5, 4 * CLUSTER, BLK_REQ_COPY_ON_READ);
	expect_states("#0#0#-----");
	CHECK(stat_of(node, BLK_STAT_backing_read_bytes) == 8 * CLUSTER + 1 + 5);
	CHECK(stat_of(node, BLK_STAT_populated_clusters) == 3);
	CHECK(stat_of(node, BLK_STAT_populated_zero_clusters) == 2);

	check_kept(node, 0, 10 * CLUSTER, BLK_REQ_COPY_ON_READ);
	expect_states("#0#0#0#0#0");
	CHECK(overlay.writes == 0 && overlay.zeroes == 0);
	CHECK(stat_of(node, BLK_STAT_write_ops) == 0);
	close_over(node);
}

/* Runs of clusters of one kind are written to the driver together. */
static void runs(void *arg)
{
	struct blk_node *node = open_over(15 * CLUSTER, 15 * CLUSTER, CLUSTER, OPEN_COPY_ON_READ);

	(void)arg;
	memset(golden + 4 * CLUSTER, 0, 4 * CLUSTER);
	memset(golden + 8 * CLUSTER, 5, 7 * CLUSTER);
	memset(golden + 9 * CLUSTER, 0, 2 * CLUSTER - 1); /* a byte makes it data */
	golden[9 * CLUSTER] = 1;
	make_file(scratch("golden"), golden, 15 * CLUSTER, 15 * CLUSTER);
	overlay.state[13] = FAKE_ZERO; /* newer than the backing file */
	memset(golden + 13 * CLUSTER, 0, CLUSTER);
	check_kept(node, 3 * CLUSTER, 12 * CLUSTER, 0);
	expect_states("---00000#####0#");
	/* 3 to 7 zero, 8 to 12, 14. */
	CHECK(overlay.populates == 3 && overlay.longest == 5 * CLUSTER);
	close_over(node);
}

/* A read larger than a buffer is split. */
static void long_reads(void *arg)
{
	uint64_t size = 3 * MiB + 5 * CLUSTER;
	struct blk_node *node = open_over(size, size, CLUSTER, OPEN_COPY_ON_READ);

	(void)arg;
	check_kept(node, 3, size - 5, 0);
	/* The clusters at both ends are read twice. */
	CHECK(stat_of(node, BLK_STAT_backing_read_bytes) == size - 5 + 2 * CLUSTER);
	for (uint64_t c = 0; c < fake_clusters(&overlay); c++)
		CHECK(overlay.state[c] == (c % 2 ? FAKE_ZERO : FAKE_DATA));
	close_over(node);
}

/* ---- images of different sizes ---- */

static void ends(void *arg)
{
	struct blk_node *node;

	(void)arg;
	/* The backing file ends in the fifth cluster; clusters beyond it are not kept. */
	node = open_over(4 * CLUSTER + 1000, 8 * CLUSTER, CLUSTER, OPEN_COPY_ON_READ);
	check_kept(node, 6 * CLUSTER, CLUSTER, 0);
	CHECK(overlay.populates == 0);
	check_kept(node, 0, 8 * CLUSTER, 0);
	expect_states("#0#0#---");
	check_read(node, 0, 8 * CLUSTER, 0);
	close_over(node);

	/* A read beyond its end, in the cluster where it ends, reads nothing from it. */
	node = open_over(4 * CLUSTER + 1000, 8 * CLUSTER, CLUSTER, OPEN_COPY_ON_READ);
	check_kept(node, 4 * CLUSTER + 1024, 100, 0);
	expect_states("--------");
	close_over(node);

	/* The image's last cluster is partial, and counts as whole. */
	node = open_over(8 * CLUSTER, 4 * CLUSTER + 512, CLUSTER, OPEN_COPY_ON_READ);
	check_kept(node, 4 * CLUSTER + 511, 1, 0);
	expect_states("----#");
	CHECK(overlay.longest == 512);
	check_kept(node, 0, 4 * CLUSTER + 512, 0);
	expect_states("#0#0#");
	close_over(node);
}

/* ---- clusters larger than a buffer ---- */

static void large_clusters(void *arg)
{
	const uint32_t large = 4 * MiB;
	struct blk_node *node =
		open_over(3 * (uint64_t)large, 3 * (uint64_t)large, large, OPEN_COPY_ON_READ);

	(void)arg;
	CHECK(bufpool_buf_size(populate_of(node)->pool) == MiB);
	/* Zeroes in a cluster that also has data. */
	memset(golden + 5000, 0, 10000);
	make_file(scratch("golden"), golden, 3 * (uint64_t)large, 3 * (uint64_t)large);
	/* A part: the driver gets one buffer, and keeps the cluster. */
	check_kept(node, 5000, 10000, 0);
	expect_states("#--");
	CHECK(overlay.longest == MiB);
	check_kept(node, large + 5, 7, 0);
	expect_states("#0-");
	CHECK(stat_of(node, BLK_STAT_populated_clusters) == 1);
	CHECK(stat_of(node, BLK_STAT_populated_zero_clusters) == 1);
	/* A whole one, with the end of the one before. */
	check_kept(node, 2 * large - 9, large + 9, 0);
	expect_states("#0#");
	CHECK(stat_of(node, BLK_STAT_populated_clusters) == 2);
	CHECK(stat_of(node, BLK_STAT_populated_zero_clusters) == 1);
	check_kept(node, 0, 3 * (uint64_t)large, 0);
	close_over(node);
}

/* ---- failures ---- */

/* Bytes [start, end) of the backing file cannot be read. */
struct source_fault {
	int error; /* errno, 0: no fault */
	uint64_t start, end;
};

static ssize_t failing_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			      uint64_t offset)
{
	const struct source_fault *fault = file->ops_data;
	uint64_t end = offset;

	for (int i = 0; i < iovcnt; i++)
		end += iov[i].iov_len;
	if (fault->error && offset < fault->end && end > fault->start)
		return -fault->error;
	return blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);
}

static void failures(void *arg)
{
	struct blk_node *node = open_over(8 * CLUSTER, 8 * CLUSTER, CLUSTER, OPEN_COPY_ON_READ);
	struct blk_file_ops ops = blk_file_kernel_ops;
	struct source_fault fault = { .end = UINT64_MAX };
	char buf[CLUSTER];

	(void)arg;
	/* A full or failing disk does not affect a reader. */
	overlay.fail_populate = ENOSPC;
	check_kept(node, 0, 2 * CLUSTER, 0);
	expect_states("--------");
	CHECK(stat_of(node, BLK_STAT_populate_errors) == 2);
	CHECK(stat_of(node, BLK_STAT_populated_clusters) == 0);
	CHECK(stat_of(node, BLK_STAT_errors) == 0);
	overlay.fail_populate = 0;
	check_kept(node, 0, 2 * CLUSTER, 0);
	expect_states("#0------");

	/* Without write-zeroes, zeroes are kept as data. */
	overlay.zeroes_refused = ENOTSUP;
	check_kept(node, 3 * CLUSTER, CLUSTER, 0);
	expect_states("#0-#----");
	overlay.zeroes_refused = 0;

	/* A failed read of the backing file is an error, and nothing is kept. */
	ops.co_preadv = failing_preadv;
	node->backing->file->ops_data = &fault;
	node->backing->file->ops = &ops;
	fault.error = EIO;
	CHECK(blk_co_pread(node, 4 * CLUSTER, CLUSTER, buf, 0) == -EIO);
	expect_states("#0-#----");
	CHECK(stat_of(node, BLK_STAT_errors) == 1);
	CHECK(blk_co_pread(node, 0, CLUSTER, buf, 0) == 0);

	/* A bad sector is an error for a reader of it, not for a reader of its neighbours. */
	fault.start = 5 * CLUSTER + 512;
	fault.end = fault.start + 512;
	check_kept(node, 5 * CLUSTER, 512, 0);
	CHECK(blk_co_pread(node, 5 * CLUSTER + 512, 512, buf, 0) == -EIO);
	expect_states("#0-#----");
	fault.error = 0;
	check_kept(node, 0, 8 * CLUSTER, 0);
	expect_states("#0###0#0");
	close_over(node);
}

/* ---- many readers and writers at once ---- */

#define STRESS_CLUSTERS 64
#define STRESS_SIZE	(STRESS_CLUSTERS * CLUSTER)
#define WORKERS		12

struct worker {
	struct blk_node *node;
	struct group *group;
	uint64_t seed;
	unsigned int number;
};

/* A sector belongs to one worker, the only one that writes it and so knows its content. */
static void own_sector(struct worker *w, uint64_t *offset)
{
	do {
		*offset = test_random(&w->seed) % (STRESS_SIZE / 512) * 512;
	} while (*offset / 512 % WORKERS != w->number);
}

static void worker(void *arg)
{
	struct worker *w = arg;
	uint8_t *buf = malloc(STRESS_SIZE);

	CHECK(buf);
	for (unsigned int i = 0; i < (SANITIZED ? 60 : 200); i++) {
		uint64_t offset, bytes;

		own_sector(w, &offset);
		if (test_random(&w->seed) % 4 == 0) {
			memset(golden + offset, (int)test_random(&w->seed), 512);
			CHECK(blk_co_pwrite(w->node, offset, 512, golden + offset, 0) == 0);
		}
		CHECK(blk_co_pread(w->node, offset, 512, buf, 0) == 0);
		CHECK(!memcmp(buf, golden + offset, 512));
		/* Sectors of other workers change meanwhile; this read populates concurrently. */
		offset = test_random(&w->seed) % STRESS_SIZE;
		bytes = 1 + test_random(&w->seed) % (STRESS_SIZE - offset);
		CHECK(blk_co_pread(w->node, offset, bytes, buf, 0) == 0);
	}
	free(buf);
	group_done(w->group);
}

static void stress(void *arg)
{
	uint64_t size = STRESS_SIZE - 3000;
	struct blk_node *node = open_over(size, STRESS_SIZE, CLUSTER, OPEN_COPY_ON_READ);
	struct group group = { .left = WORKERS };
	struct worker workers[WORKERS];
	uint64_t seed = *(uint64_t *)arg;

	overlay.slow = true;
	for (unsigned int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){ node, &group, seed + 2 * i, i };
		CHECK(co_start(worker, &workers[i]) == 0);
	}
	group_wait(&group);
	check_kept(node, 0, STRESS_SIZE, 0);
	CHECK(stat_of(node, BLK_STAT_populate_errors) == 0);
	close_over(node);
}

static void test_stress(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	run_co(64, stress, &seed);
}

/* Concurrent readers of one cluster read it from the backing file once. */

struct reader {
	struct blk_node *node;
	struct group *group;
	uint64_t offset;
};

static void reader(void *arg)
{
	struct reader *r = arg;

	check_read(r->node, r->offset, 512, 0);
	group_done(r->group);
}

static void once(void *arg)
{
	struct blk_node *node = open_over(65536, 65536, 65536, OPEN_COPY_ON_READ);
	struct reader readers[16];
	struct group group = { .left = ARRAY_SIZE(readers) };

	(void)arg;
	overlay.slow = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(readers); i++) {
		readers[i] = (struct reader){ node, &group, i * 4096 };
		CHECK(co_start(reader, &readers[i]) == 0);
	}
	group_wait(&group);
	populate_co_drain(node);
	CHECK(stat_of(node, BLK_STAT_backing_read_bytes) == 65536 + 16 * 512);
	CHECK(overlay.populates == 1);
	close_over(node);
}

/* ---- nothing to keep, or no place to keep it ---- */

static void not_applicable(void *arg)
{
	struct blk_node *node = open_over(4 * CLUSTER, 4 * CLUSTER, CLUSTER, 0);
	struct fake_image lone = { .name = "lone", .size = MiB, .cluster_size = 4096 };
	char buf[512];

	(void)arg;
	CHECK(blk_co_close(node) == 0);
	node = must_open("overlay", "fake", OPEN_COPY_ON_READ); /* read-only */
	check_read(node, 0, 4 * CLUSTER, BLK_REQ_COPY_ON_READ);
	expect_states("----");
	CHECK(overlay.populates == 0);
	CHECK(blk_co_close(node) == 0);
	fake_add(&lone);
	node = must_open("lone", "fake", BLK_O_RDWR | OPEN_COPY_ON_READ);
	CHECK(blk_co_pread(node, 0, 512, buf, 0) == 0 && buffer_is_zero(buf, 512));
	CHECK(lone.populates == 0);
	close_over(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(keeping),
		CO_TEST(runs),
		CO_TEST(long_reads),
		CO_TEST(ends),
		CO_TEST(large_clusters),
		CO_TEST(failures),
		cmocka_unit_test(test_stress),
		CO_TEST(once),
		CO_TEST(not_applicable),
	};

	return cmocka_run_group_tests_name("block_copy_on_read", tests, NULL, NULL);
}
