// SPDX-License-Identifier: GPL-2.0
/*
 * Errors of the disk: the guest's next FLUSH reports background failures, whatever the server
 * itself makes durable in between; and operations that fail midway leave the image usable.
 *
 * threads: yes
 */
#include "test_qed_common.h"

#include <linux/falloc.h>

#include "format/qed/commit.h"
#include "format/qed/image.h"
#include "job/commit.h"
#include "util/error.h"

#define CLUSTER	   (64 * KiB)
#define IMAGE_SIZE (256 * MiB)

struct test {
	struct scratch scratch;
	struct blk_node *node;
	struct qed_image *img;
	struct blk_file_ops ops;
};

/* ---- a disk that fails, and memory that is short ---- */

static _Atomic int write_error;
static _Atomic bool hold_write, write_held; /* the next write yields until !write_held */
static _Atomic int truncate_error;
static _Atomic int zero_error; /* error of punching holes and zeroing, which is done nevertheless */
static _Atomic bool no_memory; /* reallocarray() fails */

static ssize_t failing_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			       uint64_t offset)
{
	if (atomic_exchange(&hold_write, false)) {
		write_held = true;
		while (write_held)
			aio_co_sleep(MSEC / 10);
	}
	return write_error ? write_error :
			     blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

static int failing_truncate(struct blk_file *file, uint64_t size)
{
	return truncate_error ? truncate_error : blk_file_kernel_ops.co_truncate(file, size);
}

static int failing_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	int ret = blk_file_kernel_ops.co_fallocate(file, mode, offset, len);

	return zero_error && mode != FALLOC_FL_KEEP_SIZE ? zero_error : ret;
}

/* Replaces the C library's in this program. */
void *reallocarray(void *p, size_t n, size_t size)
{
	if (no_memory || (size && n > SIZE_MAX / size)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, n * size);
}

/* From now on the file of t->node fails when it is to. */
static void take_node(struct test *t)
{
	t->img = t->node->opaque;
	t->ops = blk_file_kernel_ops;
	t->ops.co_pwritev = failing_pwritev;
	t->ops.co_truncate = failing_truncate;
	t->ops.co_fallocate = failing_fallocate;
	t->node->file->ops = &t->ops;
}

static void open_node(struct test *t)
{
	t->node = scratch_co_open(&t->scratch, BLK_O_RDWR | BLK_O_DIRECT, 0);
	take_node(t);
}

static void start_with(struct test *t, bool backing, uint32_t cluster)
{
	struct blk_create_opts opts = { .filename = t->scratch.image,
					.format = "qed",
					.size = IMAGE_SIZE,
					.cluster_size = cluster,
					.table_size = 1,
					.backing_file = backing ? "backing.raw" : NULL,
					.backing_format = "raw" };
	int fd = open(t->scratch.backing, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && close(fd) == 0);
	CHECK(blk_co_create(&opts, NULL) == 0);
	open_node(t);
}

static void start(struct test *t, bool backing)
{
	start_with(t, backing, CLUSTER);
}

static int write_block(struct test *t, uint64_t block, uint32_t version)
{
	uint8_t buf[BLOCK] __attribute__((aligned(BLOCK)));

	fill_block(buf, block, version);
	return blk_co_pwrite(t->node, block * BLOCK, BLOCK, buf, 0);
}

static void expect_block(struct test *t, uint64_t block, uint32_t version)
{
	uint8_t want[BLOCK] __attribute__((aligned(8))), got[BLOCK] __attribute__((aligned(8)));

	fill_block(want, block, version);
	CHECK(blk_co_pread(t->node, block * BLOCK, BLOCK, got, 0) == 0);
	CHECK(!memcmp(want, got, BLOCK));
}

/* Close and check: only leaks are allowed, which the next writer finds. */
static void close_and_check(struct test *t)
{
	struct blk_check_result result;

	CHECK(blk_co_close(t->node) == 0);
	open_node(t);
	CHECK(blk_co_close(t->node) == 0);
	open_node(t);
	CHECK(blk_co_check(t->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(!result.corruptions && !result.leaks && !result.check_errors);
}

static void end(struct test *t)
{
	CHECK(blk_co_close(t->node) == 0);
	(void)unlink(t->scratch.image);
}

/* ---- errors that must be reported to the guest ---- */

/* Operations of the server itself; each makes the image durable. */
static int change_backing(struct test *t)
{
	return blk_co_change_backing(t->node, NULL, NULL, NULL);
}

static int grow(struct test *t)
{
	return blk_co_truncate(t->node, t->node->size + 123 * CLUSTER, NULL);
}

static int sync_node(struct test *t)
{
	return blk_co_sync(t->node);
}

static int commit_dirty(struct test *t)
{
	return qed_co_commit_dirty(t->img);
}

static int make_empty(struct test *t)
{
	return blk_co_make_empty(t->node, NULL);
}

static int set_complete(struct test *t)
{
	return blk_co_set_complete(t->node);
}

static int (*const internal[])(struct test *t) = { change_backing, grow,       sync_node,
						   commit_dirty,   make_empty, set_complete };

/* A commit of the background flusher fails, and others succeed before the guest's FLUSH. */
static void owed(void *arg)
{
	struct test *t = arg;

	for (unsigned int i = 0; i < ARRAY_SIZE(internal); i++) {
		start(t, true);
		CHECK(write_block(t, 0, 2) == 0);
		write_error = -EIO;
		CHECK(qed_co_commit_dirty(t->img) == -EIO);
		write_error = 0;
		CHECK(internal[i](t) == 0);
		CHECK(blk_co_flush(t->node) == -EIO);
		CHECK(blk_co_flush(t->node) == 0);
		end(t);
	}
}

/* The commit of one of those operations fails; the retry succeeds. */
static void owed_by_others(void *arg)
{
	struct test *t = arg;

	for (unsigned int i = 0; i < ARRAY_SIZE(internal); i++) {
		start(t, true);
		/* Growing over the backing file hides its data, which is committed first. */
		CHECK(truncate(t->scratch.backing, 2 * IMAGE_SIZE) == 0);
		CHECK(blk_co_close(t->node) == 0);
		open_node(t);
		CHECK(write_block(t, 0, 2) == 0);
		write_error = -EIO;
		CHECK(internal[i](t) == -EIO);
		write_error = 0;
		CHECK(internal[i](t) == 0);
		CHECK(blk_co_flush(t->node) == -EIO);
		CHECK(blk_co_flush(t->node) == 0);
		CHECK(truncate(t->scratch.backing, 0) == 0);
		end(t);
	}
}

/* A FLUSH that waited for the commit has reported the error: the next does not. */
static void reported_once(void *arg)
{
	struct test *t = arg;

	start(t, false);
	CHECK(write_block(t, 0, 2) == 0);
	write_error = -EIO;
	CHECK(qed_co_commit_dirty(t->img) == -EIO);
	CHECK(blk_co_flush(t->node) == -EIO);
	write_error = 0;
	CHECK(blk_co_flush(t->node) == 0);
	/* Everything is durable then, so closing succeeds. */
	CHECK(write_block(t, 1000, 2) == 0);
	write_error = -EIO;
	CHECK(qed_co_commit_dirty(t->img) == -EIO);
	write_error = 0;
	close_and_check(t);
	expect_block(t, 0, 2);
	expect_block(t, 1000, 2);
	end(t);
}

/* A job commits an overlay into the image: that is durable, and the error of before stays owed. */
static void owed_by_a_job(void *arg)
{
	struct test *t = arg;
	struct commit_opts opts = { .empty = true };
	struct blk_open_opts open = { .flags = BLK_O_RDWR, .writable_depth = 1 };
	struct blk_create_opts create = { .format = "qed",
					  .size = IMAGE_SIZE,
					  .backing_file = "image.qed",
					  .backing_format = "qed" };
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/overlay.qed", t->scratch.dir);
	create.filename = path;
	start(t, false);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(blk_co_create(&create, NULL) == 0);
	CHECK(blk_co_open(&opts.top, path, &open, NULL) == 0);
	opts.base = t->node = opts.top->backing;
	take_node(t);
	CHECK(write_block(t, 0, 2) == 0);
	write_error = -EIO;
	CHECK(qed_co_commit_dirty(t->img) == -EIO);
	write_error = 0;
	t->node = opts.top;
	CHECK(write_block(t, 1000, 3) == 0);
	CHECK(commit_co_run(&opts, NULL) == 0);
	CHECK(blk_co_flush(opts.base) == -EIO);
	CHECK(blk_co_flush(opts.base) == 0);
	CHECK(blk_co_close(opts.top) == 0 && unlink(path) == 0);
	open_node(t);
	expect_block(t, 0, 2);
	expect_block(t, 1000, 3);
	end(t);
}

struct flusher {
	struct test *t;
	struct group *group;
	bool guest;
	int ret;
};

static void flusher(void *arg)
{
	struct flusher *f = arg;

	f->ret = f->guest ? blk_co_flush(f->t->node) : blk_co_sync(f->t->node);
	group_done(f->group);
}

/*
 * A FLUSH and syncs of the server share a commit that fails: the FLUSH reports it, so
 * the next one does not.
 */
static void shared_commit(void *arg)
{
	struct test *t = arg;
	struct group group = { .left = 3 };
	struct flusher first = { t, &group, false, 0 }, second = first, third = first;

	start(t, false);
	CHECK(write_block(t, 0, 2) == 0);
	hold_write = true;
	CHECK(co_start(flusher, &first) == 0);
	while (!write_held)
		aio_co_sleep(MSEC / 10);
	CHECK(write_block(t, 30000, 2) == 0);
	third.guest = true;
	CHECK(co_start(flusher, &second) == 0);
	CHECK(co_start(flusher, &third) == 0);
	write_error = -EIO;
	write_held = false;
	group_wait(&group);
	write_error = 0;
	CHECK(first.ret == -EIO && second.ret == -EIO && third.ret == -EIO);
	CHECK(blk_co_flush(t->node) == 0);
	end(t);
}

/* ---- emptying that fails midway ---- */

/* The file cannot be truncated: its old content must not appear in fresh clusters. */
static void empty_not_cut(void *arg)
{
	struct test *t = arg;

	start(t, false);
	for (uint64_t b = 0; b < 64 * (CLUSTER / BLOCK); b++)
		CHECK(write_block(t, b, 2) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	truncate_error = -EIO;
	CHECK(blk_co_make_empty(t->node, NULL) == -EIO);
	truncate_error = 0;
	for (uint64_t b = 0; b < 64 * (CLUSTER / BLOCK); b += CLUSTER / BLOCK)
		CHECK(write_block(t, b, 3) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	for (uint64_t b = 0; b < 64 * (CLUSTER / BLOCK); b++)
		expect_block(t, b, b % (CLUSTER / BLOCK) ? 0 : 3);
	close_and_check(t);
	for (uint64_t b = 0; b < 64 * (CLUSTER / BLOCK); b++)
		expect_block(t, b, b % (CLUSTER / BLOCK) ? 0 : 3);
	/* And it can be tried again. */
	CHECK(blk_co_make_empty(t->node, NULL) == 0);
	CHECK(write_block(t, 0, 4) == 0);
	close_and_check(t);
	expect_block(t, 0, 4);
	expect_block(t, 1, 0);
	end(t);
}

/* L1 on disk may or may not be zero: data flushed afterwards is there. */
static void empty_half_zeroed(void *arg)
{
	struct test *t = arg;

	start(t, false);
	CHECK(write_block(t, 0, 2) == 0);
	CHECK(write_block(t, IMAGE_SIZE / BLOCK - 1, 2) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	zero_error = -EIO;
	CHECK(blk_co_make_empty(t->node, NULL) == -EIO);
	zero_error = 0;
	expect_block(t, 0, 2);
	CHECK(write_block(t, 1, 3) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	close_and_check(t);
	expect_block(t, 0, 2);
	expect_block(t, 1, 3);
	expect_block(t, IMAGE_SIZE / BLOCK - 1, 2);
	end(t);
}

/* ---- a commit that fails while memory is short ---- */

/* Discard every second cluster, so that a list needs a run for each. */
static void discard_every_second(struct test *t, uint64_t first, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		CHECK(blk_co_pdiscard(t->node, (first + 2 * i) * CLUSTER, CLUSTER) == 0);
}

/*
 * Clusters dropped before the commit find no room in the list of those dropped since. They must
 * not stay in the list of a commit: the next one, of several rounds, would free them after its
 * first round.
 */
static void dropped_without_memory(void *arg)
{
	struct test *t = arg;
	struct qed_allocator *a;
	struct group group = { .left = 1 };
	struct flusher f = { t, &group, true, 0 };

	start(t, false);
	a = &t->img->alloc;
	for (unsigned int c = 0; c < 256; c++)
		CHECK(write_block(t, c * (CLUSTER / BLOCK), 2) == 0);
	CHECK(blk_co_flush(t->node) == 0);
	discard_every_second(t, 0, 8);
	hold_write = true;
	CHECK(co_start(flusher, &f) == 0);
	while (!write_held)
		aio_co_sleep(MSEC / 10);
	discard_every_second(t, 100, 64);
	CHECK(a->committing.nr == 8 && a->dropped.nr == a->dropped.room);
	no_memory = true;
	write_error = -EIO;
	write_held = false;
	group_wait(&group);
	no_memory = false;
	CHECK(f.ret == -EIO);
	CHECK(a->committing.nr == 0);
	CHECK(a->dropping == cluster_runs_total(&a->dropped));
	write_error = 0;
	CHECK(blk_co_flush(t->node) == 0);
	CHECK(a->dropping == 0);
	for (unsigned int c = 0; c < 256; c++) {
		bool gone = (c < 16 && c % 2 == 0) || (c >= 100 && c < 228 && c % 2 == 0);

		expect_block(t, c * (CLUSTER / BLOCK), gone ? 0 : 2);
	}
	/* Clusters that found no memory leak until the next writer. */
	close_and_check(t);
	end(t);
}

/* Return a table's L1 entry on the disk: zero until a commit has written it. */
static uint64_t l1_on_disk(struct test *t, uint64_t i)
{
	int fd = open(t->scratch.image, O_RDONLY | O_CLOEXEC);
	uint64_t entry;

	CHECK(fd >= 0);
	CHECK(pread(fd, &entry, sizeof(entry), (off_t)(t->img->header.l1_table_offset + i * 8)) ==
	      sizeof(entry));
	close(fd);
	return entry;
}

/*
 * Tables of a failed commit find no room in the list of those allocated since, nor
 * those in the list of the next commit, which writes all of them before it succeeds.
 */
static void tables_without_memory(void *arg)
{
	const uint64_t table_blocks = 2 * MiB / BLOCK;
	struct test *t = arg;
	struct qed_commit *c;
	struct group group = { .left = 1 };
	struct flusher f = { t, &group, false, 0 };

	start_with(t, false, 4 * KiB);
	c = &t->img->commit;
	CHECK(write_block(t, table_blocks, 2) == 0);
	hold_write = true;
	CHECK(co_start(flusher, &f) == 0);
	while (!write_held)
		aio_co_sleep(MSEC / 10);
	/* No two are adjacent, so a list needs a run for each. */
	for (uint64_t i = 0; i < 128; i += 2)
		CHECK(write_block(t, i * table_blocks, 2) == 0);
	CHECK(c->batch_tables.nr == 1 && c->new_tables.nr == c->new_tables.room);
	no_memory = true;
	write_error = -EIO;
	write_held = false;
	group_wait(&group);
	CHECK(f.ret == -EIO);
	write_error = 0;
	CHECK(blk_co_sync(t->node) == 0);
	no_memory = false;
	CHECK(l1_on_disk(t, 1));
	for (uint64_t i = 0; i < 128; i += 2)
		CHECK(l1_on_disk(t, i));
	close_and_check(t);
	for (uint64_t i = 0; i < 128; i += 2)
		expect_block(t, i * table_blocks, 2);
	end(t);
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
		CO_TEST_BY(run, owed),
		CO_TEST_BY(run, owed_by_others),
		CO_TEST_BY(run, owed_by_a_job),
		CO_TEST_BY(run, reported_once),
		CO_TEST_BY(run, shared_commit),
		CO_TEST_BY(run, empty_not_cut),
		CO_TEST_BY(run, empty_half_zeroed),
		CO_TEST_BY(run, dropped_without_memory),
		CO_TEST_BY(run, tables_without_memory),
	};

	return cmocka_run_group_tests_name("qed_errors", tests, NULL, NULL);
}
