// SPDX-License-Identifier: GPL-2.0
/*
 * The order of durability when creating and opening an image. The linker redirects
 * blk_file_co_open() to the function below (--wrap), so that the image file is recorded from
 * its first operation on.
 */
#include "test_qed_recorder.h"

#define CLUSTER	   4096u
#define IMAGE_SIZE (64 * MiB)

static struct rec_test *recorded;

int __real_blk_file_co_open(struct blk_file **file, const char *name, unsigned int flags,
			    unsigned int perm, unsigned int shared, struct error *err);
int __wrap_blk_file_co_open(struct blk_file **file, const char *name, unsigned int flags,
			    unsigned int perm, unsigned int shared, struct error *err);

int __wrap_blk_file_co_open(struct blk_file **file, const char *name, unsigned int flags,
			    unsigned int perm, unsigned int shared, struct error *err)
{
	int ret = __real_blk_file_co_open(file, name, flags, perm, shared, err);

	if (!ret && recorded && !strcmp(name, recorded->scratch.image))
		record_file(*file, &recorded->rec);
	return ret;
}

static const struct op *first_write(const struct rec_test *t, uint64_t offset)
{
	const struct op *op = next_op(&t->rec, NULL, OP_WRITE, offset, offset + 1);

	CHECK(op);
	return op;
}

static uint64_t peek(const struct rec_test *t, uint64_t offset)
{
	int fd = open(t->scratch.image, O_RDONLY);
	uint64_t value;

	CHECK(fd >= 0 && pread(fd, &value, sizeof(value), offset) == sizeof(value));
	close(fd);
	return value;
}

static void poke(const struct rec_test *t, uint64_t offset, uint64_t value)
{
	int fd = open(t->scratch.image, O_RDWR);

	CHECK(fd >= 0 && pwrite(fd, &value, sizeof(value), offset) == sizeof(value));
	close(fd);
}

/* Create an image with eight blocks; from now on its file is recorded. */
static void make_image(struct rec_test *t)
{
	recorded = NULL;
	rec_create(t, CLUSTER, IMAGE_SIZE, 0);
	rec_open(t, BLK_O_RDWR, NULL);
	for (unsigned int b = 0; b < 8; b++)
		CHECK(rec_write(t, b, 2) == 0);
	CHECK(blk_co_close(t->node) == 0);
	recorded = t;
}

static void open_recorded(struct rec_test *t)
{
	t->node = scratch_co_open(&t->scratch, BLK_O_RDWR, 0);
}

/* An old image is removed, durably, before the new header is written. */
static void old_image_is_gone_before_the_new_header(void *arg)
{
	struct rec_test *t = arg;
	struct blk_create_opts opts = {
		.filename = t->scratch.image,
		.format = "qed",
		.size = IMAGE_SIZE,
		.cluster_size = CLUSTER,
		.table_size = 1,
	};
	const struct op *header;

	make_image(t);
	CHECK(blk_co_create(&opts, NULL) == 0);
	header = first_write(t, 0);
	CHECK(next_op(&t->rec, NULL, OP_TRUNCATE, 0, 1) < header);
	CHECK(all_flushed_before(&t->rec, header) && all_flushed(&t->rec));
	recorded = NULL;
}

/* A writer clears autoclear bits it does not know, durably, before any other write. */
static void unknown_bits_go_first(void *arg)
{
	struct rec_test *t = arg;
	const struct op *header, *data;

	make_image(t);
	poke(t, 32, 1ULL << 40);
	open_recorded(t);
	CHECK(peek(t, 32) == 0);
	CHECK(rec_write(t, 0, 3) == 0);
	header = first_write(t, 0);
	data = next_op(&t->rec, NULL, OP_WRITE, CLUSTER, UINT64_MAX);
	CHECK(data && flushed_between(&t->rec, header, data));
	CHECK(blk_co_close(t->node) == 0);
	recorded = NULL;
}

/* An image with NEED_CHECK is repaired when it is opened: the bit is cleared last. */
static void repaired_when_opened(void *arg)
{
	struct rec_test *t = arg;
	const struct op *header;
	uint64_t table;

	make_image(t);
	table = peek(t, CLUSTER);
	poke(t, table + 8 * 5, 1ULL << 40);
	poke(t, 16, peek(t, 16) | QED_F_NEED_CHECK);
	open_recorded(t);
	header = first_write(t, 0);
	CHECK(first_write(t, table) < header);
	/* A free cluster may be punched at any time. */
	for (const struct op *op = t->rec.ops; op < header; op++)
		CHECK(op->kind == OP_FLUSH || op->kind == OP_PUNCH ||
		      flushed_between(&t->rec, op, header));
	CHECK(flushed_between(&t->rec, header, NULL));
	CHECK(rec_reads(t, 5, 0) && rec_reads(t, 4, 2));
	CHECK(blk_co_close(t->node) == 0);
	recorded = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST_BY(rec_run, old_image_is_gone_before_the_new_header),
		CO_TEST_BY(rec_run, unknown_bits_go_first),
		CO_TEST_BY(rec_run, repaired_when_opened),
	};

	return cmocka_run_group_tests_name("qed_opening", tests, NULL, NULL);
}
