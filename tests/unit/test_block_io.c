// SPDX-License-Identifier: GPL-2.0
/*
 * Requests: bounds, bounded pieces, flags, the fallback for write-zeroes, the
 * map, and resizing above a backing file.
 */
#include "test_block_fake.h"

/* ---- bounds and permissions ---- */

static void bounds(void *arg)
{
	struct fake_image img = { .name = "img", .size = 10000, .cluster_size = 4096 };
	struct blk_node *node;
	char buf[512] = { 0 };

	(void)arg;
	fake_add(&img);
	node = must_open("img", "fake", BLK_O_RDWR);
	CHECK(blk_co_pread(node, 9999, 1, buf, 0) == 0);
	CHECK(blk_co_pread(node, 9999, 2, buf, 0) == -EIO);
	CHECK(blk_co_pread(node, 10000, 0, buf, 0) == 0);
	CHECK(blk_co_pread(node, UINT64_MAX, 1, buf, 0) == -EIO);
	CHECK(blk_co_pread(node, 1, UINT64_MAX, buf, 0) == -EIO);
	CHECK(blk_co_pwrite(node, 10000, 1, buf, 0) == -EIO);
	CHECK(blk_co_pwrite_zeroes(node, 1, UINT64_MAX, 0) == -EIO);
	CHECK(blk_co_pdiscard(node, UINT64_MAX, UINT64_MAX) == -EIO);
	CHECK(img.writes + img.zeroes + img.discards == 0);
	CHECK(stat_of(node, BLK_STAT_errors) == 6);
	CHECK(stat_of(node, BLK_STAT_read_ops) == 5 && stat_of(node, BLK_STAT_read_bytes) == 1);
	CHECK(inflight_passed(&node->inflight, inflight_ticket(&node->inflight)));
	CHECK(blk_co_close(node) == 0);

	node = must_open("img", "fake", 0);
	CHECK(blk_co_pwrite(node, 0, 1, buf, 0) == -EPERM);
	CHECK(blk_co_pwrite_zeroes(node, 0, 1, 0) == -EPERM);
	CHECK(blk_co_pdiscard(node, 0, 1) == -EPERM);
	CHECK(blk_co_truncate(node, 4096, NULL) == -EPERM);
	CHECK(blk_co_flush(node) == 0);
	CHECK(img.writes + img.zeroes + img.discards + img.flushes == 0);
	CHECK(blk_co_close(node) == 0);
	fake_clear();
}

static void pieces(void *arg)
{
	struct fake_image img = { .name = "img", .size = 16 * TiB, .cluster_size = 64 * MiB };
	struct blk_node *node;

	(void)arg;
	fake_add(&img);
	node = must_open("img", "fake", BLK_O_RDWR);
	CHECK(blk_co_pwrite_zeroes(node, 512, 16 * TiB - 512, BLK_REQ_MAY_UNMAP) == 0);
	CHECK(img.longest == GiB && img.covered == 16 * TiB - 512);
	CHECK(img.zeroes == 16 * 1024);
	CHECK(img.last_flags == BLK_REQ_MAY_UNMAP);
	/* Requests are split at cluster boundaries. */
	img.zeroes = 0;
	CHECK(blk_co_pwrite_zeroes(node, 512, GiB, 0) == 0);
	CHECK(img.zeroes == 2);
	img.longest = img.covered = 0;
	CHECK(blk_co_pdiscard(node, 1, 16 * TiB - 1) == 0);
	CHECK(img.longest <= GiB && img.covered == 16 * TiB - 1);
	CHECK(stat_of(node, BLK_STAT_discard_ops) == 1);
	CHECK(stat_of(node, BLK_STAT_discard_bytes) == 16 * TiB - 1);
	CHECK(blk_co_close(node) == 0);

	/* Without the driver's write-zeroes: plain writes of limited size. */
	img.longest = 0;
	img.size = 4 * GiB;
	node = must_open("img", "poor", BLK_O_RDWR);
	CHECK(blk_co_pwrite_zeroes(node, 5, 3 * GiB, BLK_REQ_MAY_UNMAP) == 0);
	CHECK(img.writes >= 3 * 1024 && img.longest == MiB && img.last_flags == 0);
	CHECK(blk_co_close(node) == 0);
	fake_clear();
}

static void fua_and_flush(void *arg)
{
	struct fake_image img = { .name = "img", .size = MiB, .cluster_size = 4096 };
	struct blk_node *node;
	char buf[512] = { 1 };

	(void)arg;
	fake_add(&img);
	node = must_open("img", "fake", BLK_O_RDWR | BLK_O_DISCARD_IGNORE);
	CHECK(blk_co_pwrite(node, 0, 512, buf, 0) == 0 && img.flushes == 0);
	CHECK(blk_co_pwrite(node, 0, 512, buf, BLK_REQ_FUA) == 0 && img.flushes == 1);
	CHECK(blk_co_pwrite_zeroes(node, 0, 512, BLK_REQ_FUA) == 0 && img.flushes == 2);
	CHECK(blk_co_flush(node) == 0 && img.flushes == 3);
	CHECK(blk_co_pdiscard(node, 0, 4096) == 0 && img.discards == 0);
	img.fail_flush = EIO;
	CHECK(blk_co_pwrite(node, 0, 512, buf, BLK_REQ_FUA) == -EIO);
	CHECK(blk_co_flush(node) == -EIO);
	img.fail_flush = 0;
	img.fail_write = ENOSPC;
	CHECK(blk_co_pwrite(node, 0, 512, buf, BLK_REQ_FUA) == -ENOSPC && img.flushes == 5);
	CHECK(stat_of(node, BLK_STAT_errors) == 3);
	CHECK(blk_co_close(node) == 0);
	fake_clear();
}

/* ---- write-zeroes ---- */

static void zero_fallback(void *arg)
{
	struct fake_image img = { .name = "img", .size = 5 * MiB, .cluster_size = 4096 };
	static const char *const drivers[] = { "poor", "fake", "fake" };
	char *buf = malloc(5 * MiB);
	struct blk_node *node;

	(void)arg;
	fake_add(&img);
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		/* Write-zeroes is missing, unsupported, or implemented. */
		img.zeroes_refused = i == 1 ? ENOTSUP : 0;
		img.writes = 0;
		node = must_open("img", drivers[i], BLK_O_RDWR);
		memset(buf, 'x', 5 * MiB);
		CHECK(blk_co_pwrite(node, 0, 5 * MiB, buf, 0) == 0);
		CHECK(blk_co_pwrite_zeroes(node, 1000, 3 * MiB + 7, 0) == 0);
		CHECK(blk_co_pread(node, 0, 5 * MiB, buf, 0) == 0);
		CHECK(buf[999] == 'x' && buf[1000 + 3 * MiB + 7] == 'x');
		CHECK(buffer_is_zero(buf + 1000, 3 * MiB + 7));
		CHECK((i == 2) == (img.writes == 1));
		CHECK(blk_co_close(node) == 0);
	}
	/* Only -ENOTSUP leads to the fallback. */
	img.zeroes_refused = ENOSPC;
	node = must_open("img", "fake", BLK_O_RDWR);
	CHECK(blk_co_pwrite_zeroes(node, 0, 4096, 0) == -ENOSPC);
	img.zeroes_refused = ENOTSUP;
	img.fail_write = EIO;
	CHECK(blk_co_pwrite_zeroes(node, 0, 4096, 0) == -EIO);
	CHECK(blk_co_close(node) == 0);
	/* Without discard in the driver, a discard succeeds and does nothing. */
	node = must_open("img", "poor", BLK_O_RDWR);
	CHECK(blk_co_pdiscard(node, 0, 4096) == 0);
	CHECK(blk_co_truncate(node, 4096, NULL) == -ENOTSUP);
	CHECK(blk_co_close(node) == 0);
	free(buf);
	fake_clear();
}

/* ---- the map ---- */

static void expect_map(struct blk_map *map, enum blk_map_kind kind, uint64_t bytes,
		       struct blk_file *file, uint64_t file_offset)
{
	CHECK(map->kind == kind);
	CHECK(map->bytes == bytes);
	CHECK(map->file == file);
	CHECK(!file || map->file_offset == file_offset);
}

static void expect_read(struct blk_node *node, uint64_t offset, uint64_t bytes,
			enum blk_map_kind kind, uint64_t run, struct blk_file *file)
{
	struct blk_map map;

	blk_map_read(node, offset, bytes, &map);
	expect_map(&map, kind, run, file, offset);
}

static void expect_write(struct blk_node *node, uint64_t offset, uint64_t bytes,
			 enum blk_map_kind kind, uint64_t run, struct blk_file *file)
{
	struct blk_map map;

	blk_map_write(node, offset, bytes, &map);
	expect_map(&map, kind, run, file, offset);
}

/* The map of an overlay of 64 KiB over a raw file of 20000 bytes (20480 with its last sector). */
static void maps(void *arg)
{
	struct fake_image img = { .name = "img",
				  .size = 65536,
				  .cluster_size = 4096,
				  .backing = "short",
				  .backing_format = "raw" };
	struct blk_file *raw;
	struct blk_node *node;

	(void)arg;
	make_file(scratch("short"), "", 0, 20000);
	fake_add(&img);
	img.state[0] = FAKE_DATA; /* in memory: no direct mapping */
	img.state[1] = FAKE_ZERO;
	node = must_open("img", "fake", BLK_O_RDWR);
	raw = node->backing->file;
	expect_read(node, 0, 65536, BLK_MAP_ASK, 4096, NULL);
	expect_read(node, 4096, 65536 - 4096, BLK_MAP_ZERO, 4096, NULL);
	/* The backing file up to its end, and zeroes from there on. */
	expect_read(node, 8192, 4096, BLK_MAP_DATA, 4096, raw);
	expect_read(node, 8192, 57344, BLK_MAP_DATA, 20000 - 8192, raw);
	expect_read(node, 20000, 480, BLK_MAP_ASK, 480, NULL);
	expect_read(node, 20480, 45056, BLK_MAP_ZERO, 45056, NULL);
	/* A backing file is never mapped for writing. */
	expect_write(node, 8192, 4096, BLK_MAP_ASK, 4096, NULL);
	CHECK(blk_co_close(node) == 0);

	node = must_open("img", "fake", BLK_O_RDWR | OPEN_COPY_ON_READ);
	expect_read(node, 8192, 57344, BLK_MAP_ASK, 20480 - 8192, NULL);
	expect_read(node, 20480, 45056, BLK_MAP_ZERO, 45056, NULL);
	CHECK(blk_co_close(node) == 0);

	/* Copy-on-read needs a writable image. */
	node = must_open("img", "fake", OPEN_COPY_ON_READ);
	expect_read(node, 8192, 4096, BLK_MAP_DATA, 4096, node->backing->file);
	CHECK(blk_co_close(node) == 0);
	fake_clear();
}

static void raw_maps(void *arg)
{
	struct blk_node *node;
	struct blk_file *file;

	(void)arg;
	make_file(scratch("raw"), "", 0, 20000);
	node = must_open("raw", "raw", BLK_O_RDWR);
	file = node->file;
	expect_write(node, 512, 1024, BLK_MAP_DATA, 1024, file);
	/* A write that grows the file is not mapped, since the file tracks its size. */
	expect_write(node, 19968, 512, BLK_MAP_DATA, 32, file);
	expect_write(node, 20000, 480, BLK_MAP_ASK, 480, NULL);
	/* Mappings fit the descriptor's alignment. */
	CHECK(blk_file_set_align(file, 512, 512) == 0);
	expect_read(node, 512, 40960, BLK_MAP_DATA, 19456, file);
	expect_read(node, 100, 512, BLK_MAP_ASK, 512, NULL);
	expect_read(node, 19968, 512, BLK_MAP_ASK, 512, NULL);
	expect_write(node, 512, 1024, BLK_MAP_DATA, 1024, file);
	/* Blocks larger than guest writes: adjacent data would be lost. */
	CHECK(blk_file_set_align(file, 4096, 4096) == 0);
	expect_read(node, 4096, 4096, BLK_MAP_DATA, 4096, file);
	expect_write(node, 4096, 4096, BLK_MAP_ASK, 4096, NULL);
	CHECK(blk_co_close(node) == 0);

	node = must_open("raw", "raw", 0);
	expect_write(node, 512, 1024, BLK_MAP_ASK, 1024, NULL);
	CHECK(blk_co_close(node) == 0);
}

static void expect_status(struct blk_node *node, uint64_t offset, enum blk_map_kind kind,
			  uint64_t bytes, unsigned int depth)
{
	uint64_t size = atomic_load(&node->size);
	struct blk_status status;

	CHECK(blk_co_status(node, offset, size - offset, &status) == 0);
	CHECK(status.kind == kind && status.bytes == bytes && status.depth == depth);
	CHECK(status.zero == (kind != BLK_MAP_DATA));
	while (depth--)
		node = node->backing;
	CHECK(status.node == node);
}

static void status(void *arg)
{
	struct fake_image top = { .name = "top",
				  .size = MiB,
				  .cluster_size = 65536,
				  .backing = "mid",
				  .backing_format = "fake" };
	struct fake_image mid = { .name = "mid",
				  .size = MiB,
				  .cluster_size = 65536,
				  .backing = "sparse",
				  .backing_format = "raw" };
	char *ones = malloc(65536);
	struct blk_node *node, *base;
	struct blk_status status;

	(void)arg;
	memset(ones, 1, 65536);
	make_file(scratch("sparse"), ones, 65536, 5 * 65536);
	fake_add(&top);
	fake_add(&mid);
	top.state[1] = FAKE_DATA;
	top.state[2] = FAKE_ZERO;
	mid.state[3] = FAKE_DATA;
	node = must_open("top", "fake", 0);
	expect_status(node, 0, BLK_MAP_DATA, 65536, 2);
	expect_status(node, 100, BLK_MAP_DATA, 65436, 2);
	expect_status(node, 65536, BLK_MAP_DATA, 65536, 0);
	expect_status(node, 2 * 65536, BLK_MAP_ZERO, 65536, 0);
	expect_status(node, 3 * 65536, BLK_MAP_DATA, 65536, 1);
	expect_status(node, 4 * 65536, BLK_MAP_ZERO, 65536, 2); /* a hole in the file */
	expect_status(node, 5 * 65536, BLK_MAP_ZERO, 11 * 65536, 2); /* beyond its end */
	CHECK(blk_co_status(node, 0, 512, &status) == 0);
	CHECK(status.bytes == 512 && status.file == status.node->file && !status.file_offset);
	CHECK(blk_co_status(node, MiB, 1, &status) == -EIO);
	/* Status above a base: the base's holes do not matter, its end does. */
	base = node->backing->backing;
	CHECK(blk_co_status_above(node, base, 3 * 65536, MiB - 3 * 65536, &status) == 0);
	CHECK(status.kind == BLK_MAP_DATA && status.depth == 1 && status.bytes == 65536);
	CHECK(blk_co_status_above(node, base, 4 * 65536, MiB - 4 * 65536, &status) == 0);
	CHECK(status.kind == BLK_MAP_BACKING && status.node == base && status.depth == 2);
	CHECK(status.bytes == 65536 && !status.zero);
	CHECK(blk_co_status_above(node, base, 5 * 65536, MiB - 5 * 65536, &status) == 0);
	CHECK(status.kind == BLK_MAP_BACKING && status.node == base && status.depth == 2);
	CHECK(status.bytes == 11 * 65536 && status.zero);
	CHECK(blk_co_status_above(node, node->backing, 3 * 65536, 65536, &status) == 0);
	CHECK(status.kind == BLK_MAP_BACKING && status.node == node->backing && !status.zero);
	CHECK(blk_co_close(node) == 0);

	/* If no image has data, the last one of the chain determines the status. */
	node = must_open("top", "fake", BLK_O_NO_BACKING);
	expect_status(node, 0, BLK_MAP_BACKING, 65536, 0);
	CHECK(blk_co_close(node) == 0);
	free(ones);
	fake_clear();
}

/* From where a target reads as zeroes before it is written. */
static void zero_from(void *arg)
{
	struct fake_image empty = { .name = "empty", .size = MiB, .cluster_size = 65536 };
	struct fake_image over = { .name = "over",
				   .size = MiB,
				   .cluster_size = 65536,
				   .backing = "short",
				   .backing_format = "raw" };
	char *ones = malloc(65536);
	struct blk_node *node;

	(void)arg;
	memset(ones, 1, 65536);
	make_file(scratch("hole"), ones, 0, MiB);
	make_file(scratch("old"), ones, 512, MiB);
	make_file(scratch("short"), ones, 65536, 65536);
	fake_add(&empty);
	fake_add(&over);

	node = must_open("hole", "raw", BLK_O_RDWR);
	CHECK(blk_co_zero_from(node, MiB) == 0);
	CHECK(blk_co_pwrite(node, MiB - 512, 512, ones, 0) == 0);
	CHECK(blk_co_zero_from(node, MiB) == MiB);
	CHECK(blk_co_zero_from(node, 65536) == 0);
	CHECK(blk_co_close(node) == 0);
	node = must_open("old", "raw", BLK_O_RDWR);
	CHECK(blk_co_zero_from(node, MiB) == MiB);
	/* The caller says that the target is new (BLK_O_INCOMPLETE). */
	node->flags |= BLK_O_INCOMPLETE;
	CHECK(blk_co_zero_from(node, MiB) == 0);
	node->file->is_device = true;
	CHECK(blk_co_zero_from(node, MiB) == MiB);
	node->file->is_device = false;
	CHECK(blk_co_close(node) == 0);

	node = must_open("empty", "fake", BLK_O_RDWR);
	CHECK(blk_co_zero_from(node, MiB) == 0);
	empty.state[3] = FAKE_ZERO;
	CHECK(blk_co_zero_from(node, MiB) == 0);
	empty.state[15] = FAKE_DATA;
	CHECK(blk_co_zero_from(node, MiB) == MiB);
	CHECK(blk_co_close(node) == 0);
	/* Beyond the backing file's end it reads as zeroes. */
	node = must_open("over", "fake", BLK_O_RDWR);
	CHECK(blk_co_zero_from(node, MiB) == 65536);
	over.state[0] = FAKE_ZERO;
	CHECK(blk_co_zero_from(node, MiB) == 0);
	over.state[1] = FAKE_DATA;
	CHECK(blk_co_zero_from(node, MiB) == MiB);
	CHECK(blk_co_close(node) == 0);
	free(ones);
	fake_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(bounds), CO_TEST(pieces),   CO_TEST(fua_and_flush), CO_TEST(zero_fallback),
		CO_TEST(maps),	 CO_TEST(raw_maps), CO_TEST(status),	    CO_TEST(zero_from),
	};

	return cmocka_run_group_tests_name("block_io", tests, NULL, NULL);
}
