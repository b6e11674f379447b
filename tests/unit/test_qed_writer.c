// SPDX-License-Identifier: GPL-2.0
/*
 * The writer's I/O: how often the image file is read, written, flushed and grown for the guest's
 * requests.
 */
#include "test_qed_common.h"

#include "format/qed/image.h"

#define CLUSTER	     (64 * KiB)
#define PER_CLUSTER  (CLUSTER / BLOCK)
#define MAX_REQUESTS 64

/* I/O that reached a file. */
struct counts {
	_Atomic unsigned int reads, writes, flushes, truncates;
	_Atomic uint64_t read_bytes, written_bytes;
	_Atomic unsigned int failing_reads; /* number of further reads that fail */
};

struct test {
	struct scratch scratch;
	struct blk_node *node;
	struct counts image, backing;
	/* Concurrent requests. */
	unsigned int running;
	struct co *waiter;
};

static ssize_t counting_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			       uint64_t offset)
{
	struct counts *c = file->ops_data;

	c->reads++;
	c->read_bytes += iov[0].iov_len;
	if (c->failing_reads) {
		c->failing_reads--;
		aio_co_sleep(5 * MSEC);
		return -EIO;
	}
	return blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);
}

static ssize_t counting_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
				uint64_t offset)
{
	struct counts *c = file->ops_data;

	c->writes++;
	c->written_bytes += iov[0].iov_len;
	return blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

static int counting_flush(struct blk_file *file)
{
	struct counts *c = file->ops_data;

	c->flushes++;
	return blk_file_kernel_ops.co_flush(file);
}

static int counting_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	return blk_file_kernel_ops.co_fallocate(file, mode, offset, len);
}

static int counting_truncate(struct blk_file *file, uint64_t size)
{
	struct counts *c = file->ops_data;

	c->truncates++;
	return blk_file_kernel_ops.co_truncate(file, size);
}

static const struct blk_file_ops counting_ops = {
	.co_preadv = counting_preadv,
	.co_pwritev = counting_pwritev,
	.co_flush = counting_flush,
	.co_fallocate = counting_fallocate,
	.co_truncate = counting_truncate,
};

static void count_file(struct blk_file *file, struct counts *counts)
{
	memset(counts, 0, sizeof(*counts));
	file->ops = &counting_ops;
	file->ops_data = counts;
}

static void open_node(struct test *t, unsigned int flags)
{
	t->node = scratch_co_open(&t->scratch, flags, 0);
	count_file(t->node->file, &t->image);
	if (t->node->backing)
		count_file(t->node->backing->file, &t->backing);
}

static void create(struct test *t, uint64_t size, bool backing)
{
	struct blk_create_opts opts = {
		.filename = t->scratch.image,
		.format = "qed",
		.size = size,
		.cluster_size = CLUSTER,
		.backing_file = backing ? "backing.raw" : NULL,
		.backing_format = "raw",
	};
	uint8_t block[BLOCK] __attribute__((aligned(8)));
	int fd;

	CHECK(blk_co_create(&opts, NULL) == 0);
	if (!backing)
		return;
	fd = open(t->scratch.backing, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0);
	for (uint64_t b = 0; b < 2 * MiB / BLOCK; b++) {
		fill_block(block, b, 1);
		CHECK(pwrite(fd, block, BLOCK, b * BLOCK) == BLOCK);
	}
	close(fd);
}

static void expect_blocks(struct test *t, uint64_t block, uint64_t n, uint32_t version)
{
	uint8_t want[BLOCK] __attribute__((aligned(8))), got[BLOCK] __attribute__((aligned(8)));

	for (uint64_t b = block; b < block + n; b++) {
		fill_block(want, b, version);
		CHECK(blk_co_pread(t->node, b * BLOCK, BLOCK, got, 0) == 0);
		CHECK(!memcmp(want, got, BLOCK));
	}
}

static void close_and_check(struct test *t)
{
	struct blk_check_result result;

	CHECK(blk_co_close(t->node) == 0);
	open_node(t, 0);
	CHECK(blk_co_check(t->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(!result.corruptions && !result.leaks && !result.check_errors);
}

/* ---- Concurrent requests ---- */

struct request {
	struct test *t;
	uint64_t block, n; /* blocks */
	uint32_t version; /* 0: write-zeroes */
	int ret;
};

static void request_main(void *arg)
{
	struct request *r = arg;
	uint8_t *buf = aligned_alloc(BLOCK, r->n * BLOCK);

	CHECK(buf);
	for (uint64_t i = 0; i < r->n; i++)
		fill_block(buf + i * BLOCK, r->block + i, r->version);
	if (r->version)
		r->ret = blk_co_pwrite(r->t->node, r->block * BLOCK, r->n * BLOCK, buf, 0);
	else
		r->ret = blk_co_pwrite_zeroes(r->t->node, r->block * BLOCK, r->n * BLOCK, 0);
	free(buf);
	if (!--r->t->running && r->t->waiter)
		co_wake(r->t->waiter);
}

static void run_requests(struct request *requests, unsigned int n)
{
	struct test *t = requests[0].t;

	t->running = n;
	for (unsigned int i = 0; i < n; i++)
		CHECK(co_start(request_main, &requests[i]) == 0);
	if (t->running) {
		t->waiter = co_self();
		co_park();
		t->waiter = NULL;
	}
}

/*
 * Small writes to one cluster over a backing file, all in flight: one read and one write, of the
 * whole cluster.
 */
static void small_writes_share(void *arg)
{
	struct test *t = arg;
	struct request requests[PER_CLUSTER - 2];

	create(t, 16 * MiB, true);
	open_node(t, BLK_O_RDWR);
	/* The very first request loads the L2 table. */
	for (unsigned int i = 0; i < PER_CLUSTER - 2; i++)
		requests[i] = (struct request){ t, 3 * PER_CLUSTER + 1, 1, 2, -1 };
	run_requests(requests, 1);
	expect_blocks(t, 3 * PER_CLUSTER + 1, 1, 2);

	count_file(t->node->file, &t->image);
	count_file(t->node->backing->file, &t->backing);
	/* All blocks of the cluster but the first and the last; one of them is zeroes. */
	for (unsigned int i = 0; i < PER_CLUSTER - 2; i++)
		requests[i] = (struct request){ t, 8 * PER_CLUSTER + 1 + i, 1, i == 5 ? 0 : 3, -1 };
	run_requests(requests, PER_CLUSTER - 2);
	for (unsigned int i = 0; i < PER_CLUSTER - 2; i++)
		CHECK(requests[i].ret == 0);
	CHECK(t->backing.reads == 1 && t->backing.read_bytes == CLUSTER);
	CHECK(t->image.writes == 1 && t->image.written_bytes == CLUSTER);
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_shared_fills) == PER_CLUSTER - 3);
	for (int reopened = 0; reopened < 2; reopened++) {
		expect_blocks(t, 8 * PER_CLUSTER, 1, 1);
		expect_blocks(t, 8 * PER_CLUSTER + 1, 5, 3);
		expect_blocks(t, 8 * PER_CLUSTER + 6, 1, 0);
		expect_blocks(t, 8 * PER_CLUSTER + 7, PER_CLUSTER - 8, 3);
		expect_blocks(t, 9 * PER_CLUSTER - 1, 1, 1);
		if (!reopened)
			close_and_check(t);
	}
	CHECK(blk_co_close(t->node) == 0);
}

/* They also share a failure; afterwards the image is unchanged and usable. */
static void small_writes_share_an_error(void *arg)
{
	struct test *t = arg;
	struct request requests[8];

	create(t, 16 * MiB, true);
	open_node(t, BLK_O_RDWR);
	for (unsigned int i = 0; i < 8; i++)
		requests[i] = (struct request){ t, 2 * PER_CLUSTER + i, 1, 2, 0 };
	run_requests(requests, 1);
	for (unsigned int i = 0; i < 8; i++)
		requests[i].block += PER_CLUSTER;
	t->backing.failing_reads = 1;
	run_requests(requests, 8);
	for (unsigned int i = 0; i < 8; i++)
		CHECK(requests[i].ret == -EIO);
	expect_blocks(t, 3 * PER_CLUSTER, PER_CLUSTER, 1);
	run_requests(requests, 8);
	for (unsigned int i = 0; i < 8; i++)
		CHECK(requests[i].ret == 0);
	close_and_check(t);
	expect_blocks(t, 2 * PER_CLUSTER, 1, 2);
	expect_blocks(t, 3 * PER_CLUSTER, 8, 2);
	expect_blocks(t, 3 * PER_CLUSTER + 8, PER_CLUSTER - 8, 1);
	CHECK(blk_co_close(t->node) == 0);
}

/* Return the number of runs in the file that hold the guest's [0, bytes). */
static unsigned int count_runs(struct test *t, uint64_t bytes)
{
	unsigned int runs = 0;

	for (uint64_t pos = 0; pos < bytes; runs++) {
		struct blk_map map;

		CHECK(t->node->driver->co_map(t->node, pos, bytes - pos, &map) == 0);
		CHECK(map.kind == BLK_MAP_DATA);
		pos += map.bytes;
	}
	return runs;
}

/*
 * Sequential writes, many in flight, of less and of more than a cluster: the data is one run of the
 * file, and the file did not grow more often than necessary.  (A write across the end of an L2
 * slice is split.)
 */
static void sequential_is_one_run(void *arg)
{
	struct test *t = arg;
	struct request requests[MAX_REQUESTS];
	const uint64_t sizes[] = { 1, PER_CLUSTER / 2, PER_CLUSTER, 4 * PER_CLUSTER };

	for (unsigned int s = 0; s < ARRAY_SIZE(sizes); s++) {
		uint64_t bytes = 4 * MAX_REQUESTS * sizes[s] * BLOCK;

		create(t, bytes, false);
		open_node(t, BLK_O_RDWR);
		for (unsigned int round = 0; round < 4; round++) {
			for (unsigned int i = 0; i < MAX_REQUESTS; i++)
				requests[i] =
					(struct request){ t, (round * MAX_REQUESTS + i) * sizes[s],
							  sizes[s], 2, -1 };
			run_requests(requests, MAX_REQUESTS);
			for (unsigned int i = 0; i < MAX_REQUESTS; i++)
				CHECK(requests[i].ret == 0);
		}
		CHECK(count_runs(t, bytes) == 1);
		CHECK(t->image.truncates <= 1 + bytes / (16 * MiB));
		CHECK(t->image.flushes == 0);
		close_and_check(t);
		CHECK(blk_co_close(t->node) == 0);
		(void)unlink(t->scratch.image);
	}
}

static uint64_t file_bytes(struct test *t)
{
	struct stat st;

	CHECK(stat(t->scratch.image, &st) == 0);
	return st.st_size;
}

/*
 * A guest that alternately writes and discards and never flushes: the file holds its working set,
 * the clusters that wait for a commit, and one step of growth ahead; not everything written.
 */
static void discards_bound_the_file(void *arg)
{
	struct test *t = arg;
	const uint64_t set = 32 * MiB, rounds = 16;
	uint64_t most = 0;
	uint8_t *buf = aligned_alloc(BLOCK, BLOCK);

	CHECK(buf);
	create(t, 1 * GiB, false);
	open_node(t, BLK_O_RDWR);
	for (uint64_t round = 0; round < rounds; round++) {
		uint64_t start = round * 5 % 31 * set;

		for (uint64_t pos = start; pos < start + set; pos += CLUSTER) {
			fill_block(buf, pos / BLOCK, 2);
			CHECK(blk_co_pwrite(t->node, pos, BLOCK, buf, 0) == 0);
		}
		most = max_u64(most, file_bytes(t));
		expect_blocks(t, start / BLOCK, 1, 2);
		for (uint64_t pos = start; pos < start + set; pos += 4 * MiB)
			CHECK(blk_co_pdiscard(t->node, pos, 4 * MiB) == 0);
	}
	free(buf);
	print_message("%" PRIu64 " MiB were written in turn to a set of %" PRIu64
		      " MiB: the file had %" PRIu64 " MiB at most\n",
		      (uint64_t)(rounds * set / MiB), (uint64_t)(set / MiB),
		      (uint64_t)(most / MiB));
	CHECK(most <= 4 * set);
	close_and_check(t);
	CHECK(file_bytes(t) <= 4 * MiB);
	CHECK(blk_co_close(t->node) == 0);
}

/* ---- Group commit ---- */

static void flush_main(void *arg)
{
	struct request *r = arg;

	r->ret = blk_co_flush(r->t->node);
	if (!--r->t->running && r->t->waiter)
		co_wake(r->t->waiter);
}

/* Many concurrent flushes: the first one's commit, and one shared by all the others. */
static void flushes_share(void *arg)
{
	struct test *t = arg;
	struct request requests[MAX_REQUESTS];
	uint64_t gauges[BLK_GAUGE_COUNT];

	create(t, 16 * MiB, false);
	open_node(t, BLK_O_RDWR);
	for (unsigned int i = 0; i < MAX_REQUESTS; i++)
		requests[i] = (struct request){ t, i, 1, 2, -1 };
	run_requests(requests, MAX_REQUESTS);
	CHECK(t->image.flushes == 0);
	t->node->driver->gauges(t->node, gauges);
	CHECK(gauges[BLK_GAUGE_dirty_slices] == 1 && gauges[BLK_GAUGE_cached_slices] == 1);
	t->running = MAX_REQUESTS;
	for (unsigned int i = 0; i < MAX_REQUESTS; i++)
		CHECK(co_start(flush_main, &requests[i]) == 0);
	t->waiter = co_self();
	co_park();
	for (unsigned int i = 0; i < MAX_REQUESTS; i++)
		CHECK(requests[i].ret == 0);
	/* The first commit has two phases; for the second nothing was dirty any more. */
	CHECK(t->image.flushes == 3);
	t->node->driver->gauges(t->node, gauges);
	CHECK(gauges[BLK_GAUGE_dirty_slices] == 0);
	CHECK(gauges[BLK_GAUGE_largest_group] == MAX_REQUESTS - 1);
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_commit_rounds) == 2);
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_commit_requests) == MAX_REQUESTS);
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_commits) == 1);

	/* Four freed clusters: pending, until a commit and its second fdatasync. */
	CHECK(blk_co_pdiscard(t->node, 0, 4 * CLUSTER) == 0);
	t->node->driver->gauges(t->node, gauges);
	CHECK(gauges[BLK_GAUGE_pending_clusters] == 4 && gauges[BLK_GAUGE_free_clusters] == 0);
	CHECK(blk_co_flush(t->node) == 0);
	for (unsigned int i = 0; i < 1000 && gauges[BLK_GAUGE_pending_clusters]; i++) {
		aio_co_sleep(5 * MSEC);
		t->node->driver->gauges(t->node, gauges);
	}
	CHECK(gauges[BLK_GAUGE_pending_clusters] == 0);
	close_and_check(t);
	CHECK(blk_co_close(t->node) == 0);
}

/* ---- A huge image that crashed ---- */

#define HUGE_TABLES 8192u
#define TABLE_BYTES (4 * CLUSTER)

static void put64(int fd, uint64_t value, uint64_t offset)
{
	CHECK(pwrite(fd, &value, sizeof(value), offset) == sizeof(value));
}

/* 16 TiB, with a table for each 2 GiB that has one cluster, and the tail of a killed writer. */
static void make_huge(struct test *t)
{
	uint64_t tables = CLUSTER + TABLE_BYTES; /* after header and L1 */
	uint64_t data = tables + (uint64_t)HUGE_TABLES * TABLE_BYTES;
	int fd;

	create(t, 16ULL << 40, false);
	fd = open(t->scratch.image, O_RDWR);
	CHECK(fd >= 0 && ftruncate(fd, data + (HUGE_TABLES + 100) * CLUSTER) == 0);
	for (uint64_t i = 0; i < HUGE_TABLES; i++) {
		put64(fd, tables + i * TABLE_BYTES, CLUSTER + i * 8);
		put64(fd, data + i * CLUSTER, tables + i * TABLE_BYTES);
	}
	CHECK(fsync(fd) == 0);
	close(fd);
}

static uint64_t resident_bytes(void)
{
	unsigned long total, resident;
	FILE *file = fopen("/proc/self/statm", "re");

	CHECK(file && fscanf(file, "%lu %lu", &total, &resident) == 2);
	fclose(file);
	return (uint64_t)resident * 4096;
}

/* It opens without a scan, and is usable at once, with bounded memory. */
static void huge_opens_at_once(void *arg)
{
	struct test *t = arg;
	uint64_t before = resident_bytes(), start, opened, used;
	uint8_t *buf = aligned_alloc(BLOCK, BLOCK);

	CHECK(buf);
	make_huge(t);
	start = aio_now();
	open_node(t, BLK_O_RDWR | BLK_O_DIRECT);
	opened = aio_now() - start;
	fill_block(buf, 7, 2);
	CHECK(blk_co_pwrite(t->node, 5ULL << 40, BLOCK, buf, 0) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	for (uint64_t i = 0; i < 6000; i++)
		CHECK(blk_co_pread(t->node, i * (2ULL << 30), BLOCK, buf, 0) == 0);
	used = resident_bytes() - before;
	print_message("16 TiB with %u tables: opened in %.1f ms, then %.1f MiB of memory\n",
		      HUGE_TABLES, opened / 1e6, used / 1048576.0);
	/* The search for leaks takes more than 8 s: it pauses for 1 ms after each table. */
	CHECK(opened < 2000 * MSEC);
	CHECK(SANITIZED || used < 64 * MiB);
	free(buf);
	CHECK(blk_co_close(t->node) == 0);
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
		CO_TEST_BY(run, small_writes_share),
		CO_TEST_BY(run, small_writes_share_an_error),
		CO_TEST_BY(run, sequential_is_one_run),
		CO_TEST_BY(run, discards_bound_the_file),
		CO_TEST_BY(run, flushes_share),
		CO_TEST_BY(run, huge_opens_at_once),
	};

	return cmocka_run_group_tests_name("qed_writer", tests, NULL, NULL);
}
