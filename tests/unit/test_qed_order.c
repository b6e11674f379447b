// SPDX-License-Identifier: GPL-2.0
/*
 * The order of durability in a commit, in the repair of an image, in the replay of a killed
 * server's rescue area, and in closing. Documentation/ordering.rst has the reasons.
 *
 * A loss of power between two writes that lack the fdatasync between them is rare, and mostly
 * harmless; these tests check for the fdatasync itself.
 */
#include "format/qed/rescue.h"
#include "test_qed_recorder.h"

#include <endian.h>

#define CLUSTER	     4096u
#define IMAGE_SIZE   (64 * MiB)
#define TABLE_BLOCKS (2 * MiB / BLOCK) /* blocks of the guest per table of one cluster */

static uint64_t l1_offset(const struct rec_test *t)
{
	return image_of(t)->header.l1_table_offset;
}

static uint64_t table_offset(const struct rec_test *t, uint64_t i)
{
	uint64_t offset = atomic_load(&image_of(t)->l1[i]);

	CHECK(offset);
	return offset;
}

static const struct op *first_write(const struct rec_test *t, uint64_t offset)
{
	const struct op *op = next_op(&t->rec, NULL, OP_WRITE, offset, offset + 1);

	CHECK(op);
	return op;
}

/* A commit: data and the file's size, fdatasync, L2 and L1, fdatasync. */
static void commit_has_two_phases(void *arg)
{
	struct rec_test *t = arg;
	const struct op *slice, *l1;

	rec_create(t, CLUSTER, IMAGE_SIZE, 0);
	rec_open(t, BLK_O_RDWR, NULL);
	CHECK(rec_write(t, 0, 2) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	slice = first_write(t, table_offset(t, 0));
	l1 = first_write(t, l1_offset(t));
	CHECK(next_op(&t->rec, NULL, OP_TRUNCATE, 0, UINT64_MAX));
	for (const struct op *op = t->rec.ops; op < t->rec.ops + t->rec.nr; op++)
		if (op->kind != OP_FLUSH && op != slice && op != l1)
			CHECK(flushed_between(&t->rec, op, slice) &&
			      flushed_between(&t->rec, op, l1));
	CHECK(all_flushed(&t->rec));
	CHECK(blk_co_close(t->node) == 0);
}

static void flush_main(void *arg)
{
	struct rec_test *t = arg;

	CHECK(blk_co_flush(t->node) == 0);
	t->rec.watched = 0; /* which tells the test that the commit has ended */
}

static void write_second_table(void *arg)
{
	struct rec_test *t = arg;

	CHECK(rec_write(t, TABLE_BLOCKS, 3) == 0);
}

/* A table allocated while a commit waits for its first fdatasync is not part of that commit. */
static void later_table_is_not_in_the_commit(void *arg)
{
	struct rec_test *t = arg;
	uint64_t entries[2];

	rec_create(t, CLUSTER, IMAGE_SIZE, 0);
	rec_open(t, BLK_O_RDWR, NULL);
	CHECK(rec_write(t, 0, 2) == 0);
	t->rec.watched = l1_offset(t);
	t->rec.hold_flushes = true;
	CHECK(co_start(flush_main, t) == 0);
	CHECK(t->rec.held == 1);
	CHECK(co_start(write_second_table, t) == 0);
	for (unsigned int i = 0; !atomic_load(&image_of(t)->l1[1]); i++) {
		CHECK(i < 10000);
		aio_co_sleep(MSEC);
	}
	t->rec.hold_flushes = false;
	for (unsigned int i = 0; t->rec.watched; i++) {
		CHECK(i < 10000);
		aio_co_sleep(MSEC);
	}
	memcpy(entries, t->rec.seen, sizeof(entries));
	CHECK(le64toh(entries[0]) == table_offset(t, 0) && !entries[1]);
	CHECK(blk_co_flush(t->node) == 0);
	CHECK(blk_co_close(t->node) == 0);
}

/* ---- Replaying the rescue area of a killed server ---- */

/*
 * With BLK_O_CHECK, which normally has no such area: nothing is replayed yet, so that
 * the test can record the replay.
 */
static void open_with_rescue(struct rec_test *t, bool replay, unsigned int flags)
{
	struct blk_rescue rescue = { .replay = replay };
	struct blk_open_opts opts = { .flags = BLK_O_RDWR, .rescue = &rescue };

	rescue.fd = open(t->rescue, O_RDWR | O_CREAT, 0600);
	CHECK(rescue.fd >= 0);
	rec_open(t, BLK_O_RDWR | flags, &rescue);
	if (flags & BLK_O_CHECK)
		CHECK(qed_rescue_open(image_of(t), &opts, NULL) == 0);
	close(rescue.fd);
}

/* Write two blocks with new tables, and leave the files as without a commit. */
static void die_with_two_tables(struct rec_test *t)
{
	char image[PATH_MAX + 8], rescue[PATH_MAX + 16];

	snprintf(image, sizeof(image), "%s.saved", t->scratch.image);
	snprintf(rescue, sizeof(rescue), "%s.saved", t->rescue);
	rec_create(t, CLUSTER, IMAGE_SIZE, 0);
	open_with_rescue(t, false, 0);
	/* Hold all commits. */
	t->rec.hold_flushes = true;
	CHECK(rec_write(t, 0, 2) == 0);
	CHECK(rec_write(t, TABLE_BLOCKS, 3) == 0);
	copy_file(t->scratch.image, image);
	copy_file(t->rescue, rescue);
	t->rec.hold_flushes = false;
	CHECK(blk_co_close(t->node) == 0);
	/* The area identifies the image by its inode. */
	copy_file(image, t->scratch.image);
	copy_file(rescue, t->rescue);
	CHECK(unlink(image) == 0 && unlink(rescue) == 0);
}

/* A replay is a commit: first the dead server's data is made durable, at the end everything. */
static void replay_is_a_commit(void *arg)
{
	struct rec_test *t = arg;
	unsigned int writes = 0;
	const struct op *first;

	die_with_two_tables(t);
	/* With BLK_O_CHECK the replay is not automatic. */
	open_with_rescue(t, true, BLK_O_CHECK);
	CHECK(qed_co_rescue_replay(image_of(t), NULL) == 0);
	for (const struct op *op = t->rec.ops; op < t->rec.ops + t->rec.nr; op++)
		writes += op->kind == OP_WRITE;
	/* Two L1 entries and two slices. */
	CHECK(writes == 4);
	first = &t->rec.ops[0];
	CHECK(first->kind == OP_FLUSH && !first->ret);
	CHECK(first->ended < next_op(&t->rec, NULL, OP_WRITE, 0, UINT64_MAX)->begun);
	CHECK(all_flushed(&t->rec));
	CHECK(rec_reads(t, 0, 2) && rec_reads(t, TABLE_BLOCKS, 3));
	CHECK(blk_co_close(t->node) == 0);
}

/*
 * A write error ends the replay; closing the image then keeps the rescue area, so that
 * the replay can be repeated.
 */
static void replay_fails_and_is_repeated(void *arg)
{
	struct rec_test *t = arg;

	die_with_two_tables(t);
	for (int step = 0; step < 4; step++) {
		open_with_rescue(t, true, BLK_O_CHECK | BLK_O_DIRECT);
		t->rec.write_error = -EIO;
		t->rec.fail_write_after = step;
		CHECK(qed_co_rescue_replay(image_of(t), NULL) == -EIO);
		(void)blk_co_close(t->node);
	}
	open_with_rescue(t, true, 0);
	CHECK(rec_reads(t, 0, 2) && rec_reads(t, TABLE_BLOCKS, 3));
	CHECK(blk_co_close(t->node) == 0);
}

/*
 * An error of either fdatasync is final: the data that entries point to may be lost.
 * Without the first one no entry is written; a later successor refuses to replay.
 */
static void replay_without_a_flush_is_refused(void *arg)
{
	struct rec_test *t = arg;
	struct blk_rescue rescue = { .replay = true };
	struct blk_open_opts opts = { .format = "qed", .flags = BLK_O_RDWR, .rescue = &rescue };
	struct error err = ERROR_INIT;

	for (int step = 0; step < 2; step++) {
		die_with_two_tables(t);
		open_with_rescue(t, true, BLK_O_CHECK | BLK_O_DIRECT);
		t->rec.flush_error = -EIO;
		t->rec.fail_flush_after = step;
		CHECK(qed_co_rescue_replay(image_of(t), NULL) == -EIO);
		CHECK(!next_op(&t->rec, NULL, OP_WRITE, 0, UINT64_MAX) == !step);
		(void)blk_co_close(t->node);
		rescue.fd = open(t->rescue, O_RDWR);
		CHECK(rescue.fd >= 0);
		CHECK(blk_co_open(&t->node, t->scratch.image, &opts, &err) == -EIO);
		CHECK(strstr(error_text(&err), "a flush had failed"));
		error_free(&err);
		close(rescue.fd);
	}
}

/* ---- Repairing ---- */

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

/* Create an image with eight blocks, damaged entries 4 and 5, and NEED_CHECK. */
static void make_damaged(struct rec_test *t, uint64_t *table, uint64_t from, uint64_t bad)
{
	rec_create(t, CLUSTER, IMAGE_SIZE, 0);
	rec_open(t, BLK_O_RDWR, NULL);
	for (unsigned int b = 0; b < 8; b++)
		CHECK(rec_write(t, b, 2) == 0);
	CHECK(blk_co_close(t->node) == 0);
	*table = peek(t, CLUSTER);
	poke(t, *table + 8 * 5, from ? peek(t, *table + 8 * from) : bad);
	poke(t, 16, peek(t, 16) | QED_F_NEED_CHECK);
}

static void repair(struct rec_test *t)
{
	struct blk_check_result result;

	rec_open(t, BLK_O_RDWR | BLK_O_CHECK, NULL);
	CHECK(blk_co_check(t->node, BLK_FIX_ERRORS, NULL, NULL, &result, NULL) == 0);
	CHECK(result.corruptions_fixed == 1 && !result.corruptions);
}

/* NEED_CHECK is cleared once all repairs are durable, and the clearing is made durable, too. */
static void mark_goes_after_the_repair(void *arg)
{
	struct rec_test *t = arg;
	const struct op *header;
	uint64_t table;

	make_damaged(t, &table, 0, 1ULL << 40);
	repair(t);
	(void)first_write(t, table);
	header = first_write(t, 0);
	CHECK(all_flushed_before(&t->rec, header));
	CHECK(flushed_between(&t->rec, header, NULL));
	CHECK(blk_co_close(t->node) == 0);
	CHECK(!(peek(t, 16) & QED_F_NEED_CHECK));
}

/* The copy of a cluster that was referenced twice is durable before an entry points to it. */
static void copy_is_durable_before_its_entry(void *arg)
{
	struct rec_test *t = arg;
	const struct op *copy, *entry;
	uint64_t table, to;

	make_damaged(t, &table, 4, 0);
	repair(t);
	to = peek(t, table + 8 * 5);
	CHECK(to != peek(t, table + 8 * 4));
	copy = first_write(t, to);
	entry = first_write(t, table);
	CHECK(flushed_between(&t->rec, copy, entry));
	CHECK(all_flushed_before(&t->rec, first_write(t, 0)));
	fill_block(t->buf, 4, 2);
	CHECK(blk_co_close(t->node) == 0);
}

/* A bad table is removed from L1, durably, before NEED_CHECK is cleared. */
static void table_goes_before_the_mark(void *arg)
{
	struct rec_test *t = arg;
	uint64_t table;

	make_damaged(t, &table, 4, 0);
	poke(t, CLUSTER + 8, 1ULL << 40);
	poke(t, table + 8 * 5, 0);
	repair(t);
	(void)first_write(t, l1_offset(t));
	CHECK(all_flushed_before(&t->rec, first_write(t, 0)));
	CHECK(blk_co_close(t->node) == 0);
	CHECK(!peek(t, CLUSTER + 8));
}

/* ---- Another backing file ---- */

/* All completed writes and the new name are durable before the header points to the name. */
static void name_is_durable_before_the_header(void *arg)
{
	struct rec_test *t = arg;
	const struct op *header;

	rec_create(t, CLUSTER, IMAGE_SIZE, 16);
	rec_open(t, BLK_O_RDWR, NULL);
	CHECK(rec_write(t, 0, 2) == 0);
	CHECK(blk_co_change_backing(t->node, "other.raw", "raw", NULL) == 0);
	header = first_write(t, 0);
	CHECK(next_op(&t->rec, NULL, OP_WRITE, QED_HEADER_BYTES, CLUSTER) < header);
	CHECK(all_flushed_before(&t->rec, header) && all_flushed(&t->rec));
	CHECK(blk_co_close(t->node) == 0);
}

/* ---- Closing ---- */

/* The hole at the file's end tells the next opener that the image was not closed. */
static void open_file_ends_in_a_hole(void *arg)
{
	struct rec_test *t = arg;
	uint64_t size, grown = 0;

	rec_create(t, CLUSTER, IMAGE_SIZE, 0);
	rec_open(t, BLK_O_RDWR, NULL);
	size = atomic_load(&t->node->file->size);
	/* Write until the file has grown twice. */
	for (uint64_t block = 0; grown < 2; block++) {
		CHECK(rec_write(t, block, 2) == 0);
		grown += atomic_load(&t->node->file->size) != size;
		size = atomic_load(&t->node->file->size);
		CHECK(size >= (image_of(t)->alloc.frontier + 1) * CLUSTER);
	}
	CHECK(blk_co_close(t->node) == 0);
}

/* The hole at the file's end says that leaks must be searched for, until the header says so. */
static void leaks_are_noted_before_the_cut(void *arg)
{
	struct rec_test *t = arg;
	const struct op *header, *cut;
	uint64_t size;

	rec_create(t, CLUSTER, IMAGE_SIZE, 0);
	rec_open(t, BLK_O_RDWR, NULL);
	CHECK(rec_write(t, 0, 2) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	image_of(t)->scan.unfinished = true;
	size = atomic_load(&t->node->file->size);
	t->rec.nr = 0;
	CHECK(blk_co_close(t->node) == 0);
	header = first_write(t, 0);
	cut = next_op(&t->rec, NULL, OP_TRUNCATE, 0, size - 1);
	CHECK(cut && flushed_between(&t->rec, header, cut));
	CHECK(all_flushed_before(&t->rec, cut));
	CHECK(all_flushed(&t->rec));
	CHECK(peek(t, 32) & QED_AUTOCLEAR_LEAKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST_BY(rec_run, commit_has_two_phases),
		CO_TEST_BY(rec_run, later_table_is_not_in_the_commit),
		CO_TEST_BY(rec_run, replay_is_a_commit),
		CO_TEST_BY(rec_run, replay_fails_and_is_repeated),
		CO_TEST_BY(rec_run, replay_without_a_flush_is_refused),
		CO_TEST_BY(rec_run, mark_goes_after_the_repair),
		CO_TEST_BY(rec_run, copy_is_durable_before_its_entry),
		CO_TEST_BY(rec_run, table_goes_before_the_mark),
		CO_TEST_BY(rec_run, name_is_durable_before_the_header),
		CO_TEST_BY(rec_run, open_file_ends_in_a_hole),
		CO_TEST_BY(rec_run, leaks_are_noted_before_the_cut),
	};

	return cmocka_run_group_tests_name("qed_order", tests, NULL, NULL);
}
