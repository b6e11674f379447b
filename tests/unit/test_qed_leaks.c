// SPDX-License-Identifier: GPL-2.0
/*
 * After a crash: leaked clusters are found in the background, while guests write and
 * discard, and no cluster in use is taken for a leak.
 */
#include "test_qed_common.h"

#include "format/qed/image.h"

#define CLUSTER	   (4 * KiB)
#define IMAGE_SIZE (512 * MiB)
#define USED	   4000 /* clusters written first, SPACE clusters apart */
#define SPACE	   20

struct test {
	struct scratch scratch;
	struct blk_node *node;
	uint8_t *buf;
};

static void open_node(struct test *t, unsigned int flags)
{
	t->node = scratch_co_open(&t->scratch, flags, 0);
}

static void write_cluster(struct test *t, uint64_t cluster, uint32_t version)
{
	fill_block(t->buf, cluster, version);
	CHECK(blk_co_pwrite(t->node, cluster * CLUSTER, BLOCK, t->buf, 0) == 0);
}

static void expect_cluster(struct test *t, uint64_t cluster, uint32_t version)
{
	uint8_t want[BLOCK] __attribute__((aligned(8)));

	fill_block(want, cluster, version);
	CHECK(blk_co_pread(t->node, cluster * CLUSTER, BLOCK, t->buf, 0) == 0);
	CHECK(!memcmp(want, t->buf, BLOCK));
}

/* Leave the file as a killed process does: its state while it is open. */
static void crash(struct test *t)
{
	char command[3 * PATH_MAX];

	snprintf(command, sizeof(command), "cp --sparse=always '%s' '%s.crashed'", t->scratch.image,
		 t->scratch.image);
	CHECK(system(command) == 0);
	CHECK(blk_co_close(t->node) == 0);
	snprintf(command, sizeof(command), "%s.crashed", t->scratch.image);
	CHECK(rename(command, t->scratch.image) == 0);
}

static struct blk_check_result check(struct test *t)
{
	struct blk_check_result result;

	open_node(t, 0);
	CHECK(blk_co_check(t->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(!result.corruptions && !result.check_errors);
	return result;
}

static bool scan_running(struct test *t)
{
	struct qed_image *img = t->node->opaque;
	bool running;

	pthread_mutex_lock(&img->meta_lock);
	running = img->scan.running;
	pthread_mutex_unlock(&img->meta_lock);
	return running;
}

/* Create USED flushed clusters, and leak every other by a discard and a crash. */
static void make_crashed(struct test *t)
{
	CHECK(blk_co_create(&(struct blk_create_opts){ .filename = t->scratch.image,
						       .format = "qed",
						       .size = IMAGE_SIZE,
						       .cluster_size = CLUSTER,
						       .table_size = 1 },
			    NULL) == 0);
	open_node(t, BLK_O_RDWR);
	for (uint64_t c = 0; c < USED; c++)
		write_cluster(t, c * SPACE, 2);
	CHECK(blk_co_flush(t->node) == 0);
	for (uint64_t c = 0; c < USED; c += 2)
		CHECK(blk_co_pdiscard(t->node, c * SPACE * CLUSTER, CLUSTER) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	crash(t);
}

static void leaks_are_freed(void *arg)
{
	struct test *t = arg;
	struct qed_image *img;

	make_crashed(t);
	CHECK(check(t).leaks >= USED / 2);
	open_node(t, BLK_O_RDWR);
	img = t->node->opaque;
	while (scan_running(t))
		aio_co_sleep(MSEC);
	CHECK(img->alloc.free.members >= USED / 2);
	/* Freed clusters read as zeroes and are allocated again. */
	fill_block(t->buf, 0, 3);
	CHECK(blk_co_pwrite(t->node, 512, 512, t->buf, 0) == 0);
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_reused_clusters) > 0);
	CHECK(blk_co_pread(t->node, 0, CLUSTER, t->buf, 0) == 0);
	for (unsigned int i = 1024; i < CLUSTER; i++)
		CHECK(t->buf[i] == 0);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(check(t).leaks == 0);
}

/* All operations that may confuse the scan, while it runs. */
static void scan_under_writes(void *arg)
{
	struct test *t = arg;
	unsigned int changes = 0;

	make_crashed(t);
	open_node(t, BLK_O_RDWR);
	while (scan_running(t)) {
		/* From the end, which the scan reaches last, when the reference is gone. */
		uint64_t c = USED - 1 - changes % (USED / 2) * 2;

		CHECK(blk_co_pdiscard(t->node, c * SPACE * CLUSTER, CLUSTER) == 0);
		if (changes % 8 == 0)
			CHECK(blk_co_flush(t->node) == 0);
		write_cluster(t, c * SPACE, 4 + c);
		write_cluster(t, c * SPACE + 7, 4 + c);
		changes++;
	}
	/* Otherwise no cluster that the scan could take for a leak was reused. */
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_reused_clusters) > 0);
	for (unsigned int i = 0; i < USED / 2; i++) {
		uint64_t c = USED - 1 - i * 2;

		expect_cluster(t, c * SPACE, i < changes ? 4 + c : 2);
		expect_cluster(t, (c - 1) * SPACE, 0);
	}
	CHECK(blk_co_close(t->node) == 0);
	CHECK(check(t).leaks == 0);
	open_node(t, 0);
	for (unsigned int i = 0; i < USED / 2; i++) {
		uint64_t c = USED - 1 - i * 2;

		expect_cluster(t, c * SPACE, i < changes ? 4 + c : 2);
		expect_cluster(t, c * SPACE + 7, i < changes ? 4 + c : 0);
	}
	CHECK(blk_co_close(t->node) == 0);
}

/* Emptying ends the search: later writes allocate clusters that the search saw unused. */
static void emptied_while_searched(void *arg)
{
	struct test *t = arg;

	make_crashed(t);
	open_node(t, BLK_O_RDWR);
	CHECK(scan_running(t));
	CHECK(blk_co_make_empty(t->node, NULL) == 0);
	/* Otherwise it had ended before. */
	CHECK(!scan_running(t) && ((struct qed_image *)t->node->opaque)->scan.stop);
	for (uint64_t c = 0; c < USED; c++)
		write_cluster(t, c, 5);
	for (uint64_t c = 0; c < USED; c++)
		expect_cluster(t, c, 5);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(check(t).leaks == 0);
}

/* A session too short for the search: the next one restarts it. */
static void search_is_taken_up_again(void *arg)
{
	struct test *t = arg;
	uint64_t leaks;

	make_crashed(t);
	leaks = check(t).leaks;
	for (unsigned int i = 0; i < 3; i++) {
		open_node(t, BLK_O_RDWR);
		CHECK(scan_running(t));
		write_cluster(t, 1 + i, 3);
		CHECK(blk_co_close(t->node) == 0);
		/* Recording that a search is needed allocates no cluster. */
		CHECK(check(t).leaks == leaks);
	}
	open_node(t, BLK_O_RDWR);
	CHECK(scan_running(t));
	while (scan_running(t))
		aio_co_sleep(MSEC);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(check(t).leaks == 0);
}

/* A session that only frees does not grow the file: its leaks are found, too. */
static void leaks_of_discards(void *arg)
{
	struct test *t = arg;
	struct qed_image *img;

	CHECK(blk_co_create(&(struct blk_create_opts){ .filename = t->scratch.image,
						       .format = "qed",
						       .size = IMAGE_SIZE,
						       .cluster_size = CLUSTER,
						       .table_size = 1 },
			    NULL) == 0);
	open_node(t, BLK_O_RDWR);
	for (uint64_t c = 0; c < 400; c++)
		write_cluster(t, c, 2);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(check(t).leaks == 0);
	open_node(t, BLK_O_RDWR);
	CHECK(!scan_running(t));
	for (uint64_t c = 0; c < 400; c += 2)
		CHECK(blk_co_pdiscard(t->node, c * CLUSTER, CLUSTER) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	crash(t);
	CHECK(check(t).leaks >= 200);
	open_node(t, BLK_O_RDWR);
	img = t->node->opaque;
	while (scan_running(t))
		aio_co_sleep(MSEC);
	CHECK(img->alloc.free.members >= 200);
	for (uint64_t c = 0; c < 400; c++)
		expect_cluster(t, c, c % 2 ? 2 : 0);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(check(t).leaks == 0);
}

/* Hold the completion of a read at @offset of the file. */
static struct {
	uint64_t offset; /* 0: none */
	bool held;
} hold;

static ssize_t held_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			   uint64_t offset)
{
	ssize_t ret = blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);

	hold.held |= hold.offset == offset;
	while (offset && hold.offset == offset)
		aio_co_sleep(MSEC);
	return ret;
}

static uint64_t frontier(struct test *t)
{
	struct qed_image *img = t->node->opaque;
	uint64_t end;

	pthread_mutex_lock(&img->meta_lock);
	end = img->alloc.frontier;
	pthread_mutex_unlock(&img->meta_lock);
	return end;
}

static void hold_at(struct test *t, uint64_t offset)
{
	hold.held = false;
	hold.offset = offset;
	while (!hold.held) {
		CHECK(scan_running(t));
		aio_co_sleep(MSEC);
	}
}

/*
 * The last clusters are freed, and the end of the used part moves back, between the
 * search's read of their entries and its check of them: that is no damage.
 */
static void end_goes_back(void *arg)
{
	static struct blk_file_ops ops;
	struct test *t = arg;
	uint64_t table = IMAGE_SIZE / CLUSTER / 512 - 1, end;
	struct qed_image *img;

	make_crashed(t);
	ops = blk_file_kernel_ops;
	ops.co_preadv = held_preadv;
	open_node(t, BLK_O_RDWR);
	t->node->file->ops = &ops;
	img = t->node->opaque;
	/* Hold the search, so that it does not end too early. */
	hold_at(t, img->l1[100]);
	for (uint64_t c = 0; c < 8; c++)
		write_cluster(t, table * 512 + c, 3);
	CHECK(blk_co_flush(t->node) == 0);
	end = frontier(t);
	/* Let it proceed to the table with the entries. */
	hold_at(t, img->l1[table]);
	CHECK(blk_co_pdiscard(t->node, table * 512 * CLUSTER, 8 * CLUSTER) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	while (frontier(t) == end)
		aio_co_sleep(MSEC);
	hold.offset = 0;
	while (scan_running(t))
		aio_co_sleep(MSEC);
	CHECK(!img->scan.unfinished);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(check(t).leaks == 0);
}

/* An image that was closed properly is not searched. */
static void closed_image_is_left_alone(void *arg)
{
	struct test *t = arg;

	make_crashed(t);
	open_node(t, BLK_O_RDWR);
	while (scan_running(t))
		aio_co_sleep(MSEC);
	CHECK(blk_co_close(t->node) == 0);
	open_node(t, BLK_O_RDWR);
	CHECK(!scan_running(t));
	CHECK(blk_co_close(t->node) == 0);
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
		CO_TEST_BY(run, leaks_are_freed),
		CO_TEST_BY(run, scan_under_writes),
		CO_TEST_BY(run, emptied_while_searched),
		CO_TEST_BY(run, search_is_taken_up_again),
		CO_TEST_BY(run, leaks_of_discards),
		CO_TEST_BY(run, end_goes_back),
		CO_TEST_BY(run, closed_image_is_left_alone),
	};

	return cmocka_run_group_tests_name("qed_leaks", tests, NULL, NULL);
}
