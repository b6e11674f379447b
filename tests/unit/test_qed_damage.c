// SPDX-License-Identifier: GPL-2.0
/*
 * Damaged images in use: closing and repairing never make them worse, and undamaged
 * parts keep working.
 */
#include "test_qed_common.h"

#include "format/qed/image.h"

#define CLUSTER (64 * KiB)
#define USED	8 /* guest clusters that are written first, with 'A', 'B', ... */

struct test {
	struct scratch scratch;
	struct blk_node *node;
	const struct blk_file_ops *real;
	struct blk_file_ops ops;
	uint8_t *buf;
};

static int open_node(struct test *t, unsigned int flags)
{
	struct blk_open_opts opts = { .format = "qed", .flags = flags };

	return blk_co_open(&t->node, t->scratch.image, &opts, NULL);
}

static int write_cluster(struct test *t, uint64_t cluster, int byte)
{
	memset(t->buf, byte, CLUSTER);
	return blk_co_pwrite(t->node, cluster * CLUSTER, CLUSTER, t->buf, 0);
}

static int read_cluster(struct test *t, uint64_t cluster)
{
	return blk_co_pread(t->node, cluster * CLUSTER, CLUSTER, t->buf, 0);
}

static void expect_cluster(struct test *t, uint64_t cluster, int byte)
{
	CHECK(read_cluster(t, cluster) == 0);
	for (unsigned int i = 0; i < CLUSTER; i++)
		CHECK(t->buf[i] == (uint8_t)byte);
}

static void make_image(struct test *t)
{
	CHECK(blk_co_create(&(struct blk_create_opts){ .filename = t->scratch.image,
						       .format = "qed",
						       .size = 64 * MiB,
						       .table_size = 1 },
			    NULL) == 0);
	CHECK(open_node(t, BLK_O_RDWR) == 0);
	for (int i = 0; i < USED; i++)
		CHECK(write_cluster(t, i, 'A' + i) == 0);
	CHECK(blk_co_close(t->node) == 0);
}

/* Read the 64-bit number at @offset of the file. */
static uint64_t peek(struct test *t, uint64_t offset)
{
	int fd = open(t->scratch.image, O_RDONLY);
	uint64_t value;

	CHECK(fd >= 0 && pread(fd, &value, sizeof(value), offset) == sizeof(value));
	close(fd);
	return value;
}

static void poke(struct test *t, uint64_t offset, uint64_t value)
{
	int fd = open(t->scratch.image, O_RDWR);

	CHECK(fd >= 0 && pwrite(fd, &value, sizeof(value), offset) == sizeof(value));
	close(fd);
}

/* Return the file offset of the L2 entry of guest cluster @i. */
static uint64_t entry_place(struct test *t, unsigned int i)
{
	return peek(t, CLUSTER) + 8 * i;
}

static void set_need_check(struct test *t)
{
	poke(t, 16, peek(t, 16) | QED_F_NEED_CHECK);
}

static uint64_t file_size(struct test *t)
{
	struct stat st;

	CHECK(stat(t->scratch.image, &st) == 0);
	return st.st_size;
}

/* An entry that points far beyond the end: a discard elsewhere and close leave it alone. */
static void bad_entry_stays(void *arg)
{
	struct test *t = arg;
	uint64_t size;

	make_image(t);
	poke(t, entry_place(t, 5), 1ULL << 40);
	size = file_size(t);
	CHECK(open_node(t, BLK_O_RDWR) == 0);
	CHECK(read_cluster(t, 5) == -EIO);
	CHECK(blk_co_pdiscard(t->node, 0, CLUSTER) == 0);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(peek(t, entry_place(t, 5)) == 1ULL << 40);
	CHECK(file_size(t) < size + 64 * MiB);
	CHECK(open_node(t, 0) == 0);
	CHECK(read_cluster(t, 5) == -EIO);
	expect_cluster(t, 0, 0);
	expect_cluster(t, 7, 'H');
	CHECK(blk_co_close(t->node) == 0);
}

/* Good entries followed by one beyond the end: only that one fails. */
static void run_ends_with_the_file(void *arg)
{
	struct test *t = arg;

	make_image(t);
	CHECK(peek(t, entry_place(t, USED - 1)) + CLUSTER == file_size(t));
	poke(t, entry_place(t, USED), file_size(t));
	CHECK(open_node(t, 0) == 0);
	expect_cluster(t, USED - 1, 'A' + USED - 1);
	CHECK(read_cluster(t, USED) == -EIO);
	CHECK(blk_co_pread(t->node, (USED - 1) * CLUSTER, 2 * CLUSTER, t->buf, 0) == -EIO);
	CHECK(blk_co_close(t->node) == 0);
}

/* Two entries reference one cluster, and one is discarded: the other keeps its data. */
static void shared_cluster_stays(void *arg)
{
	struct test *t = arg;

	make_image(t);
	/* The file's last cluster, which compaction would move. */
	poke(t, entry_place(t, 20), peek(t, entry_place(t, USED - 1)));
	CHECK(open_node(t, BLK_O_RDWR) == 0);
	CHECK(blk_co_pdiscard(t->node, 0, CLUSTER) == 0);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(open_node(t, 0) == 0);
	expect_cluster(t, USED - 1, 'A' + USED - 1);
	expect_cluster(t, 20, 'A' + USED - 1);
	CHECK(blk_co_close(t->node) == 0);
}

/* With NEED_CHECK such an image cannot be opened for writing; the check separates the two. */
static void shared_cluster_is_separated(void *arg)
{
	struct blk_check_result result;
	struct test *t = arg;

	make_image(t);
	poke(t, entry_place(t, 20), peek(t, entry_place(t, 3)));
	set_need_check(t);
	CHECK(open_node(t, BLK_O_RDWR) == -EUCLEAN);
	CHECK(open_node(t, BLK_O_RDWR | BLK_O_CHECK) == 0);
	CHECK(blk_co_check(t->node, BLK_FIX_ERRORS | BLK_FIX_LEAKS, NULL, NULL, &result, NULL) ==
	      0);
	CHECK(result.corruptions == 0 && result.corruptions_fixed == 1);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(open_node(t, BLK_O_RDWR) == 0);
	CHECK(write_cluster(t, 20, 'x') == 0);
	expect_cluster(t, 3, 'D');
	CHECK(blk_co_close(t->node) == 0);
}

/* After the check of an image that needed one, its free clusters can be allocated, and stay so. */
static void checked_image_is_used(void *arg)
{
	struct blk_check_result result;
	struct qed_image *img;
	struct test *t = arg;

	make_image(t);
	poke(t, entry_place(t, 1), 0);
	poke(t, entry_place(t, 2), 0);
	CHECK(truncate(t->scratch.image, file_size(t) + 16 * CLUSTER) == 0);
	set_need_check(t);
	CHECK(open_node(t, BLK_O_RDWR) == 0);
	for (int i = 20; i < 30; i++)
		CHECK(write_cluster(t, i, 'a' + i - 20) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	img = t->node->opaque;
	for (;;) {
		bool running;

		pthread_mutex_lock(&img->meta_lock);
		running = img->scan.running;
		pthread_mutex_unlock(&img->meta_lock);
		if (!running)
			break;
		aio_co_sleep(MSEC);
	}
	for (int i = 30; i < 40; i++)
		CHECK(write_cluster(t, i, '0' + i - 30) == 0);
	for (int i = 20; i < 40; i++)
		expect_cluster(t, i, i < 30 ? 'a' + i - 20 : '0' + i - 30);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(open_node(t, 0) == 0);
	CHECK(blk_co_check(t->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(!result.corruptions && !result.leaks);
	CHECK(blk_co_close(t->node) == 0);
}

static int no_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	(void)file;
	(void)mode;
	(void)offset;
	(void)len;
	return -EIO;
}

/*
 * Leaks whose old content cannot be zeroed stay leaks, so that it never appears in a
 * guest's cluster.
 */
static void failed_repair_leaves_leaks(void *arg)
{
	struct blk_check_result result;
	struct test *t = arg;

	make_image(t);
	for (int i = 1; i < 4; i++)
		poke(t, entry_place(t, i), 0);
	CHECK(open_node(t, BLK_O_RDWR | BLK_O_CHECK) == 0);
	t->real = t->node->file->ops;
	t->ops = *t->real;
	t->ops.co_fallocate = no_fallocate;
	t->node->file->ops = &t->ops;
	CHECK(blk_co_check(t->node, BLK_FIX_LEAKS, NULL, NULL, &result, NULL) == 0);
	CHECK(result.leaks == 3 && result.leaks_fixed == 0);
	t->node->file->ops = t->real;
	CHECK(blk_co_close(t->node) == 0);
	CHECK(open_node(t, 0) == 0);
	for (int i = 0; i < 64; i++)
		expect_cluster(t, i, i == 0 || (i >= 4 && i < USED) ? 'A' + i : 0);
	CHECK(blk_co_close(t->node) == 0);
}

/* An entry that names the header, the L1 table or an L2 table: a discard frees none of them. */
static void tables_stay(void *arg)
{
	struct test *t = arg;
	uint64_t l1 = CLUSTER, table;

	make_image(t);
	table = peek(t, l1);
	poke(t, entry_place(t, 20), l1);
	poke(t, entry_place(t, 21), table);
	CHECK(open_node(t, BLK_O_RDWR) == 0);
	CHECK(read_cluster(t, 20) == -EIO);
	CHECK(write_cluster(t, 20, 'x') == -EIO);
	CHECK(blk_co_pdiscard(t->node, 20 * CLUSTER, CLUSTER) == -EIO);
	CHECK(blk_co_pdiscard(t->node, 21 * CLUSTER, CLUSTER) == 0);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(peek(t, l1) == table && peek(t, entry_place(t, 20)) == l1);
	CHECK(open_node(t, 0) == 0);
	for (int i = 0; i < USED; i++)
		expect_cluster(t, i, 'A' + i);
	CHECK(blk_co_close(t->node) == 0);
}

/* The entries of a row of clusters lead up to L1 and over it: a request for all of them fails. */
static void run_ends_before_l1(void *arg)
{
	struct test *t = arg;
	uint64_t table, last, l1;

	make_image(t);
	table = peek(t, CLUSTER);
	last = file_size(t);
	l1 = last + CLUSTER;
	poke(t, l1 + CLUSTER - 8, 0);
	poke(t, l1, table);
	poke(t, 40, l1); /* l1_table_offset */
	poke(t, entry_place(t, 20), last);
	poke(t, entry_place(t, 21), l1);
	CHECK(open_node(t, BLK_O_RDWR) == 0);
	CHECK(read_cluster(t, 20) == 0);
	CHECK(blk_co_pread(t->node, 20 * CLUSTER, 2 * CLUSTER, t->buf, 0) == -EIO);
	memset(t->buf, 'x', 2 * CLUSTER);
	CHECK(blk_co_pwrite(t->node, 20 * CLUSTER, 2 * CLUSTER, t->buf, 0) == -EIO);
	CHECK(peek(t, l1) == table);
	CHECK(blk_co_close(t->node) == 0);
}

/* 300 entries share a cluster: copies of 16 MiB are made, and the rest if asked for. */
static void copies_are_bounded(void *arg)
{
	const unsigned int fix = BLK_FIX_ERRORS | BLK_FIX_LEAKS;
	struct blk_check_result result;
	struct test *t = arg;

	make_image(t);
	for (unsigned int i = 20; i < 320; i++)
		poke(t, entry_place(t, i), peek(t, entry_place(t, 3)));
	CHECK(open_node(t, BLK_O_RDWR | BLK_O_CHECK) == 0);
	CHECK(blk_co_check(t->node, fix, NULL, NULL, &result, NULL) == 0);
	CHECK(result.corruptions_fixed == 256 && result.copies_refused == 44);
	CHECK(result.corruptions == 44);
	CHECK(blk_co_check(t->node, fix | BLK_FIX_MANY_COPIES, NULL, NULL, &result, NULL) == 0);
	CHECK(result.corruptions_fixed == 44 && !result.copies_refused && !result.corruptions);
	expect_cluster(t, 319, 'D');
	CHECK(blk_co_close(t->node) == 0);
}

static void run(void **state)
{
	co_fn **fn = *state;
	struct test t = { .buf = aligned_alloc(BLOCK, 2 * CLUSTER) };

	CHECK(t.buf);
	scratch_make(&t.scratch);
	run_co(64, *fn, &t);
	scratch_remove(&t.scratch);
	free(t.buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST_BY(run, bad_entry_stays),
		CO_TEST_BY(run, run_ends_with_the_file),
		CO_TEST_BY(run, shared_cluster_stays),
		CO_TEST_BY(run, shared_cluster_is_separated),
		CO_TEST_BY(run, checked_image_is_used),
		CO_TEST_BY(run, failed_repair_leaves_leaks),
		CO_TEST_BY(run, tables_stay),
		CO_TEST_BY(run, run_ends_before_l1),
		CO_TEST_BY(run, copies_are_bounded),
	};

	return cmocka_run_group_tests_name("qed_damage", tests, NULL, NULL);
}
