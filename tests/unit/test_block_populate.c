// SPDX-License-Identifier: GPL-2.0
/*
 * Populating in the background: readers do not wait for it, all data read is kept,
 * pending clusters are dropped at close, holes are not read.
 */
#include "test_block_overlay.h"

/* ---- readers do not wait ---- */

/* Wait until @n populates are held in the driver. */
static void wait_held(unsigned int n)
{
	while (overlay.held < n)
		aio_co_sleep(MSEC / 10);
}

static void served_first(void *arg)
{
	struct blk_node *node = open_over(8 * CLUSTER, 8 * CLUSTER, CLUSTER, OPEN_COPY_ON_READ);

	(void)arg;
	overlay.hold = true;
	check_read(node, 0, 1, 0);
	check_read(node, 2 * CLUSTER, CLUSTER, 0);
	wait_held(1);
	CHECK(populate_pending(node) == 2);
	expect_states("--------");
	/* A cluster read twice is kept once. */
	check_read(node, 5, 1, 0);
	/* A write comes first, and its data stays. */
	memset(golden + 2 * CLUSTER + 100, 0xa5, 100);
	CHECK(blk_co_pwrite(node, 2 * CLUSTER + 100, 100, golden + 2 * CLUSTER + 100, 0) == 0);
	memset(golden, 0, CLUSTER);
	CHECK(blk_co_pwrite_zeroes(node, 0, CLUSTER, BLK_REQ_MAY_UNMAP) == 0);
	check_read(node, 0, 8 * CLUSTER, 0);
	overlay.hold = false;
	populate_co_drain(node);
	expect_states("00#0#0#0");
	check_read(node, 0, 8 * CLUSTER, 0);
	close_over(node);
}

/* More clusters than buffers, while writes are held: all are kept in the end. */
static void none_forgotten(void *arg)
{
	const unsigned int n = 300;
	struct blk_node *node =
		open_over(2 * n * CLUSTER, 2 * n * CLUSTER, CLUSTER, OPEN_COPY_ON_READ);

	(void)arg;
	overlay.hold = true;
	for (unsigned int i = 0; i < n; i++)
		check_read(node, 2 * i * CLUSTER + (i % 2 ? 0 : 7), i % 2 ? CLUSTER : 9, 0);
	CHECK(populate_pending(node) == n);
	wait_held(1);
	overlay.hold = false;
	populate_co_drain(node);
	for (unsigned int i = 0; i < 2 * n; i++)
		CHECK(overlay.state[i] == (i % 2 ? FAKE_UNALLOCATED : FAKE_DATA));
	CHECK(stat_of(node, BLK_STAT_populated_clusters) == n);
	close_over(node);
}

/* The golden file is cut while it is in use: what is missing is an error, not a kept zero. */
static void count_error(void *arg)
{
	atomic_fetch_add((_Atomic unsigned int *)arg, 1);
}

static void cut_golden(void *arg)
{
	struct blk_node *node = open_over(8 * CLUSTER, 8 * CLUSTER, CLUSTER, OPEN_COPY_ON_READ);
	_Atomic unsigned int errors = 0;
	char buf[CLUSTER];

	(void)arg;
	populate_on_source_error(node, count_error, &errors);
	check_read(node, 0, 1, 0);
	populate_co_drain(node);
	CHECK(!errors);
	CHECK(truncate(scratch("golden"), 2 * CLUSTER) == 0);
	CHECK(blk_co_pread(node, 4 * CLUSTER, CLUSTER, buf, 0) == -EIO);
	CHECK(blk_co_pread(node, 5 * CLUSTER + 7, 9, buf, 0) == -EIO);
	CHECK(errors == 2);
	check_read(node, CLUSTER, CLUSTER, 0);
	populate_co_drain(node);
	expect_states("#0------");
	close_over(node);
}

static void let_go(void *arg)
{
	struct group *group = arg;

	aio_co_sleep(20 * MSEC);
	overlay.hold = false;
	group_done(group);
}

/* Closing waits for populates in flight, and drops the rest. */
static void dropped(void *arg)
{
	const unsigned int n = 300;
	struct blk_node *node =
		open_over(2 * n * CLUSTER, 2 * n * CLUSTER, CLUSTER, OPEN_COPY_ON_READ);
	struct group group = { .left = 1 };
	unsigned int kept = 0;

	(void)arg;
	overlay.hold = true;
	for (unsigned int i = 0; i < n; i++)
		check_read(node, 2 * i * CLUSTER, 9, 0);
	wait_held(1);
	CHECK(co_start(let_go, &group) == 0);
	CHECK(blk_co_close(node) == 0);
	group_wait(&group);
	for (unsigned int i = 0; i < 2 * n; i++)
		kept += overlay.state[i] == FAKE_DATA;
	CHECK(kept >= 1 && kept < 32);
	free(golden);
	fake_clear();
}

/* ---- holes ---- */

static _Atomic uint64_t source_bytes;

static ssize_t counting_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			       uint64_t offset)
{
	for (int i = 0; i < iovcnt; i++)
		source_bytes += iov[i].iov_len;
	return blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);
}

/* Holes of the source become zero clusters without being read. */
static void holes(void *arg)
{
	const uint32_t cluster = 64 * KiB;
	uint64_t size = 32 * (uint64_t)cluster;
	struct blk_node *node = open_over(cluster, size, cluster, OPEN_COPY_ON_READ);
	struct blk_file_ops ops = blk_file_kernel_ops;
	char byte;
	int fd;

	(void)arg;
	CHECK(blk_co_close(node) == 0);
	/* Data in the first cluster and in a part of the tenth. */
	make_file(scratch("golden"), golden, cluster, size);
	fd = open(scratch("golden"), O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, "x", 1, 9 * cluster + 4096) == 1);
	CHECK(close(fd) == 0);
	golden[9 * cluster + 4096] = 'x';
	node = must_open("overlay", "fake", BLK_O_RDWR | OPEN_COPY_ON_READ);
	ops.co_preadv = counting_preadv;
	source_bytes = 0;
	node->backing->file->ops = &ops;
	for (unsigned int c = 0; c < 32; c++)
		CHECK(blk_co_pread(node, c * (uint64_t)cluster + 5, 1, &byte, 0) == 0);
	populate_co_drain(node);
	expect_states("#00000000#0000000000000000000000");
	/* The readers read a byte each, populating only two clusters. */
	CHECK(source_bytes == 32 + 2 * cluster);
	check_read(node, 0, size, 0);
	close_over(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(served_first), CO_TEST(none_forgotten), CO_TEST(cut_golden),
		CO_TEST(dropped),      CO_TEST(holes),
	};

	return cmocka_run_group_tests_name("block_populate", tests, NULL, NULL);
}
