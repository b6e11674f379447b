// SPDX-License-Identifier: GPL-2.0
/*
 * QED images that become shorter, and longer again: what is cut off never comes back, what stays
 * is as it was, the order of durability, and requests in flight.
 */
#include "test_qed_recorder.h"

#include "block/zero.h"
#include "format/qed/format.h"

#define CLUSTER	     (16 * KiB)
#define PER_CLUSTER  (CLUSTER / BLOCK)
#define IMAGE_SIZE   (256 * CLUSTER)
#define IMAGE_BLOCKS (IMAGE_SIZE / BLOCK)

static void reopen(struct rec_test *t)
{
	CHECK(blk_co_close(t->node) == 0);
	rec_open(t, BLK_O_RDWR, NULL);
}

/* No corruption and no leak, in a closed image. */
static void close_and_check(struct rec_test *t)
{
	struct blk_check_result result;

	CHECK(blk_co_close(t->node) == 0);
	rec_open(t, 0, NULL);
	CHECK(blk_co_check(t->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(!result.corruptions && !result.leaks && !result.check_errors);
	CHECK(blk_co_close(t->node) == 0);
}

static bool range_is_zero(struct rec_test *t, uint64_t from, uint64_t end)
{
	for (uint64_t n; from < end; from += n) {
		n = min_u64(end - from, MiB);
		CHECK(blk_co_pread(t->node, from, n, t->buf, 0) == 0);
		if (!buffer_is_zero(t->buf, n))
			return false;
	}
	return true;
}

/*
 * Shorten the image to @size, which is in block @at, and make it as long as it was again, with the
 * image closed in between or not. All of its blocks have version @version.
 */
static void cut_and_grow(struct rec_test *t, uint64_t size, uint32_t version, bool close)
{
	uint64_t at = size / BLOCK;

	CHECK(blk_co_truncate(t->node, size, NULL) == 0);
	CHECK(atomic_load(&t->node->size) == size && image_of(t)->header.image_size == size);
	CHECK(blk_co_pread(t->node, size, SECTOR_SIZE, t->buf, 0) == -EIO);
	if (close) {
		reopen(t);
		CHECK(atomic_load(&t->node->size) == size);
	}
	CHECK(blk_co_truncate(t->node, IMAGE_SIZE, NULL) == 0);
	for (uint64_t b = 0; b < at; b++)
		CHECK(rec_reads(t, b, version));
	fill_block(t->buf + BLOCK, at, version);
	CHECK(blk_co_pread(t->node, at * BLOCK, BLOCK, t->buf, 0) == 0);
	CHECK(!memcmp(t->buf, t->buf + BLOCK, size % BLOCK));
	CHECK(range_is_zero(t, size, IMAGE_SIZE));
}

static void content(struct rec_test *t, uint64_t backing_blocks, bool written, bool close)
{
	static const uint64_t sizes[] = { 200 * CLUSTER, 100 * CLUSTER + 3 * SECTOR_SIZE,
					  99 * CLUSTER + 5 * BLOCK - SECTOR_SIZE, 7 * SECTOR_SIZE };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		rec_create(t, CLUSTER, IMAGE_SIZE, backing_blocks);
		rec_open(t, BLK_O_RDWR, NULL);
		for (uint64_t b = 0; written && b < IMAGE_BLOCKS; b++)
			CHECK(rec_write(t, b, 2) == 0);
		cut_and_grow(t, sizes[i], written ? 2 : 1, close);
		close_and_check(t);
	}
}

static void old_bytes_do_not_come_back(void *arg)
{
	struct rec_test *t = arg;

	content(t, 0, true, false);
	content(t, 0, true, true);
}

/* The backing file is as long as the image: neither its bytes come back. */
static void backing_file_does_not_come_back(void *arg)
{
	struct rec_test *t = arg;

	content(t, IMAGE_BLOCKS, true, true);
	content(t, IMAGE_BLOCKS, false, false);
	content(t, IMAGE_BLOCKS, false, true);
}

/* Clusters that were cut off are used again, and the file becomes shorter. */
static void space_is_free(void *arg)
{
	struct rec_test *t = arg;
	uint64_t full, half;

	rec_create(t, CLUSTER, IMAGE_SIZE, 0);
	rec_open(t, BLK_O_RDWR, NULL);
	for (uint64_t b = IMAGE_BLOCKS; b-- > 0;)
		CHECK(rec_write(t, b, 2) == 0);
	reopen(t);
	full = atomic_load(&t->node->file->size);
	CHECK(blk_co_truncate(t->node, IMAGE_SIZE / 2, NULL) == 0);
	reopen(t);
	half = atomic_load(&t->node->file->size);
	CHECK(half <= full - IMAGE_SIZE / 2);
	for (uint64_t b = 0; b < IMAGE_BLOCKS / 2; b++)
		CHECK(rec_reads(t, b, 2));
	close_and_check(t);
}

/*
 * More clusters become free than closing moves others into, and no guest cluster reads as zeroes:
 * they are not leaked.
 */
static void free_clusters_without_a_place(void *arg)
{
	struct rec_test *t = arg;
	uint64_t cluster = 64 * MiB;

	rec_create(t, cluster, 24 * cluster, 0);
	rec_open(t, BLK_O_RDWR, NULL);
	for (uint64_t c = 24; c-- > 0;)
		CHECK(rec_write(t, c * (cluster / BLOCK), 2) == 0);
	CHECK(blk_co_truncate(t->node, 12 * cluster, NULL) == 0);
	close_and_check(t);
	rec_open(t, BLK_O_RDWR, NULL);
	CHECK(blk_co_truncate(t->node, 24 * cluster, NULL) == 0);
	for (uint64_t c = 0; c < 24; c++)
		CHECK(rec_reads(t, c * (cluster / BLOCK), c < 12 ? 2 : 0));
	close_and_check(t);
}

/* The tables of what was cut off are found when an image that was closed becomes longer again. */
static void tables_are_found_again(void *arg)
{
	struct rec_test *t = arg;
	/* A table has 8 MiB, and a block of 512 entries of L1 has 4 GiB. */
	uint64_t size = 7 * GiB, far = (size - MiB) / BLOCK, near = (size - GiB) / BLOCK;
	uint64_t table = far * BLOCK / (8 * MiB);

	rec_create(t, 8 * KiB, size, 0);
	rec_open(t, BLK_O_RDWR, NULL);
	CHECK(rec_write(t, far, 2) == 0 && rec_write(t, near, 2) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	CHECK(atomic_load(&image_of(t)->l1[table]));
	CHECK(blk_co_truncate(t->node, GiB, NULL) == 0);
	reopen(t);
	CHECK(!atomic_load(&image_of(t)->l1[table]));
	CHECK(blk_co_truncate(t->node, size, NULL) == 0);
	CHECK(atomic_load(&image_of(t)->l1[table]));
	CHECK(rec_reads(t, far, 0) && rec_reads(t, near, 0));
	CHECK(rec_write(t, far, 3) == 0);
	close_and_check(t);
	rec_open(t, BLK_O_RDWR, NULL);
	CHECK(rec_reads(t, far, 3) && rec_reads(t, near, 0));
	close_and_check(t);
}

/* Entries that change, zeroes in the last cluster: all is durable before the header is written. */
static void cut_is_durable_before_the_header(void *arg)
{
	struct rec_test *t = arg;
	uint64_t size = 10 * CLUSTER + BLOCK, l1, last;
	const struct op *header;

	rec_create(t, CLUSTER, IMAGE_SIZE, IMAGE_BLOCKS);
	rec_open(t, BLK_O_RDWR, NULL);
	for (uint64_t b = 0; b < 20 * PER_CLUSTER; b++)
		CHECK(rec_write(t, b, 2) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	l1 = image_of(t)->header.l1_table_offset;
	last = atomic_load(&image_of(t)->l1[0]) + image_of(t)->table_bytes;
	t->rec.nr = 0;
	CHECK(blk_co_truncate(t->node, size, NULL) == 0);
	header = next_op(&t->rec, NULL, OP_WRITE, 0, QED_HEADER_BYTES);
	CHECK(header && all_flushed_before(&t->rec, header));
	/* The slice before it, and the zeroes in the last cluster. */
	CHECK(next_op(&t->rec, NULL, OP_WRITE, l1 + image_of(t)->table_bytes, last) < header);
	CHECK(next_op(&t->rec, NULL, OP_PUNCH, last, UINT64_MAX) ||
	      next_op(&t->rec, NULL, OP_WRITE, last, UINT64_MAX));
	CHECK(all_flushed(&t->rec));
	close_and_check(t);
}

struct request {
	struct rec_test *t;
	uint64_t block;
	int ret;
	bool over;
};

static void write_main(void *arg)
{
	struct request *r = arg;
	uint8_t *buf = aligned_alloc(BLOCK, BLOCK);

	CHECK(buf);
	fill_block(buf, r->block, 3);
	r->ret = blk_co_pwrite(r->t->node, r->block * BLOCK, BLOCK, buf, 0);
	r->over = true;
	free(buf);
}

static void cut_main(void *arg)
{
	struct request *r = arg;

	r->ret = blk_co_truncate(r->t->node, r->block * BLOCK, NULL);
	r->over = true;
}

static void wait_for(const bool *what)
{
	uint64_t end = aio_now() + 20000 * MSEC;

	while (!*(const volatile bool *)what) {
		CHECK(aio_now() < end);
		aio_co_sleep(MSEC / 4);
	}
}

static int no_flush(struct blk_file *file)
{
	(void)file;
	return 0;
}

/*
 * A copy of a cluster beyond the new end waits for the backing file: the image becomes shorter
 * after it. A write that comes later fails.
 */
static void requests_in_flight(void *arg)
{
	struct rec_test *t = arg;
	struct request copy = { t, 30 * PER_CLUSTER + 1, 0, false };
	struct request late = { t, 40 * PER_CLUSTER, 0, false };
	struct request cut = { t, 20 * PER_CLUSTER, 0, false };
	struct blk_file_ops ops = recorded_ops;

	rec_create(t, CLUSTER, IMAGE_SIZE, IMAGE_BLOCKS);
	rec_open(t, BLK_O_RDWR, NULL);
	/* So that a truncation that does not wait takes no time. */
	ops.co_flush = no_flush;
	t->node->file->ops = &ops;
	t->below.hold_reads = true;
	CHECK(co_start(write_main, &copy) == 0);
	for (unsigned int i = 0; !t->below.held; i++) {
		CHECK(i < 10000);
		aio_co_sleep(MSEC);
	}
	CHECK(co_start(cut_main, &cut) == 0);
	CHECK(co_start(write_main, &late) == 0);
	wait_for(&late.over);
	CHECK(late.ret == -EIO);
	for (unsigned int i = 0; i < 50; i++) {
		aio_co_sleep(5 * MSEC);
		CHECK(!cut.over && !copy.over);
	}
	t->below.hold_reads = false;
	wait_for(&copy.over);
	wait_for(&cut.over);
	CHECK(!copy.ret && !cut.ret);
	t->node->file->ops = &recorded_ops;
	CHECK(blk_co_truncate(t->node, IMAGE_SIZE, NULL) == 0);
	CHECK(range_is_zero(t, 20 * CLUSTER, IMAGE_SIZE));
	close_and_check(t);
}

static enum blk_map_kind kind_of(struct rec_test *t, uint64_t cluster)
{
	struct blk_map map;

	CHECK(t->node->driver->co_map(t->node, cluster * CLUSTER, CLUSTER, &map) == 0);
	return map.kind;
}

/* What was read before, and is to be kept only now, is kept up to the new end. */
static void populating_late(void *arg)
{
	struct rec_test *t = arg;
	struct populated populated = { 0 };

	rec_create(t, CLUSTER, IMAGE_SIZE, IMAGE_BLOCKS);
	rec_open(t, BLK_O_RDWR, NULL);
	stop_recording(t);
	CHECK(populate_co_attach(t->node, true, NULL) == 0);
	CHECK(blk_co_truncate(t->node, 20 * CLUSTER + BLOCK, NULL) == 0);
	CHECK(populate_co_range(t->node, NULL, 18 * CLUSTER, 6 * CLUSTER, &populated) == 0);
	CHECK(populate_co_range(t->node, NULL, 30 * CLUSTER, 2 * CLUSTER, &populated) == 0);
	CHECK(populated.data == 3);
	CHECK(kind_of(t, 18) == BLK_MAP_DATA && kind_of(t, 20) == BLK_MAP_DATA);
	CHECK(kind_of(t, 21) == BLK_MAP_BACKING && kind_of(t, 30) == BLK_MAP_BACKING);
	for (uint64_t b = 0; b < 20 * PER_CLUSTER + 1; b++)
		CHECK(rec_reads(t, b, 1));
	CHECK(blk_co_truncate(t->node, IMAGE_SIZE, NULL) == 0);
	CHECK(range_is_zero(t, 20 * CLUSTER + BLOCK, IMAGE_SIZE));
	close_and_check(t);
}

/* What fails leaves the old size, and an image that works. */
static void failures(void *arg)
{
	struct rec_test *t = arg;

	rec_create(t, CLUSTER, IMAGE_SIZE, 0);
	rec_open(t, BLK_O_RDWR, NULL);
	for (uint64_t b = 0; b < IMAGE_BLOCKS; b++)
		CHECK(rec_write(t, b, 2) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	CHECK(blk_co_truncate(t->node, 1000, NULL) == -EINVAL);
	t->rec.write_error = -EIO;
	t->rec.fail_write_after = 0;
	CHECK(blk_co_truncate(t->node, IMAGE_SIZE / 2, NULL) == -EIO);
	t->rec.write_error = 0;
	CHECK(atomic_load(&t->node->size) == IMAGE_SIZE);
	for (uint64_t b = 0; b < IMAGE_BLOCKS / 2; b++)
		CHECK(rec_reads(t, b, 2));
	/* As after a discard. */
	for (uint64_t b = IMAGE_BLOCKS / 2; b < IMAGE_BLOCKS; b++)
		CHECK(rec_reads(t, b, 2) || rec_reads(t, b, 0));
	CHECK(rec_write(t, IMAGE_BLOCKS - 1, 3) == 0);
	CHECK(blk_co_truncate(t->node, IMAGE_SIZE / 2, NULL) == 0);
	close_and_check(t);
}

static uint64_t size_on_disk(const struct rec_test *t)
{
	uint8_t disk[QED_HEADER_BYTES];
	struct qed_header header;
	int fd = open(t->scratch.image, O_RDONLY);

	CHECK(fd >= 0 && pread(fd, disk, sizeof(disk), 0) == sizeof(disk));
	close(fd);
	qed_header_decode(&header, disk);
	return header.image_size;
}

/*
 * Make the image shorter while writes fail (@writes), or flushes, from number @step on. Return true
 * if none did.
 */
static bool fails_from(struct rec_test *t, bool writes, bool land, int step)
{
	const uint64_t size = 100 * CLUSTER + BLOCK;
	int ret;

	rec_create(t, CLUSTER, IMAGE_SIZE, 0);
	rec_open(t, BLK_O_RDWR, NULL);
	for (uint64_t b = 0; b < IMAGE_BLOCKS; b += PER_CLUSTER / 2)
		CHECK(rec_write(t, b, 2) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	t->rec.failed_writes_land = land;
	t->rec.write_error = writes ? -EIO : 0;
	t->rec.flush_error = writes ? 0 : -EIO;
	t->rec.fail_write_after = t->rec.fail_flush_after = step;
	ret = blk_co_truncate(t->node, size, NULL);
	t->rec.write_error = t->rec.flush_error = 0;
	CHECK(atomic_load(&t->node->size) <= size_on_disk(t));
	if (writes) {
		CHECK(blk_co_truncate(t->node, size, NULL) == 0);
		CHECK(size_on_disk(t) == size);
		close_and_check(t);
	} else {
		/* Flushes fail for good. */
		CHECK((blk_co_close(t->node) == 0) == !ret);
	}
	return !ret;
}

/* Whatever fails, the image on disk is as long as the node: no answered write lies behind it. */
static void failures_at_each_step(void *arg)
{
	for (int i = 0; i < 3; i++) {
		int step = 0;

		while (!fails_from(arg, i, i == 2, step))
			step++;
		CHECK(step > 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST_BY(rec_run, old_bytes_do_not_come_back),
		CO_TEST_BY(rec_run, backing_file_does_not_come_back),
		CO_TEST_BY(rec_run, space_is_free),
		CO_TEST_BY(rec_run, free_clusters_without_a_place),
		CO_TEST_BY(rec_run, tables_are_found_again),
		CO_TEST_BY(rec_run, cut_is_durable_before_the_header),
		CO_TEST_BY(rec_run, requests_in_flight),
		CO_TEST_BY(rec_run, populating_late),
		CO_TEST_BY(rec_run, failures),
		CO_TEST_BY(rec_run, failures_at_each_step),
	};

	return cmocka_run_group_tests_name("qed_resize", tests, NULL, NULL);
}
