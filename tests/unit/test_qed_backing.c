// SPDX-License-Identifier: GPL-2.0
/*
 * Changing the backing file of an open QED image, growing and emptying it: the content of
 * the file afterwards, that each step comes after what it needs is durable, and that a
 * crash may come between any two steps.
 */
#include "test_qed_common.h"

#include <linux/falloc.h>

#include "block/zero.h"
#include "format/qed/image.h"
#include "format/qed/qed.h"
#include "job/stream.h"

#define CLUSTER	   (64 * KiB)
#define IMAGE_SIZE (64 * CLUSTER)

struct test {
	struct scratch scratch;
	struct blk_node *node;
	uint8_t *buf;
};

static void open_node(struct test *t, unsigned int flags)
{
	t->node = scratch_co_open(&t->scratch, flags, 0);
}

static void make(struct test *t)
{
	struct blk_create_opts create = { .filename = t->scratch.image,
					  .format = "qed",
					  .size = IMAGE_SIZE,
					  .backing_file = "backing.raw",
					  .backing_format = "raw" };
	int fd;

	scratch_make(&t->scratch);
	t->buf = aligned_alloc(4096, CLUSTER);
	CHECK(t->buf);
	fd = open(t->scratch.backing, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && ftruncate(fd, IMAGE_SIZE) == 0);
	fill_block(t->buf, 1, 1);
	CHECK(pwrite(fd, t->buf, BLOCK, CLUSTER) == BLOCK);
	CHECK(close(fd) == 0);
	CHECK(blk_co_create(&create, NULL) == 0);
}

static void unmake(struct test *t)
{
	free(t->buf);
	scratch_remove(&t->scratch);
}

static void expect_block(struct test *t, uint64_t cluster, uint64_t block, uint32_t version)
{
	uint8_t want[BLOCK] __attribute__((aligned(8)));

	fill_block(want, block, version);
	CHECK(blk_co_pread(t->node, cluster * CLUSTER, BLOCK, t->buf, 0) == 0);
	CHECK(!memcmp(want, t->buf, BLOCK));
}

/*
 * The operations on the file, in order: D(ata or table), H(eader), N(ame), Z(eroes
 * over data), C(utting or growing), and F(lush).
 */
static char steps[256];
static unsigned int nr_steps;

static void step(char what)
{
	if (nr_steps < sizeof(steps) - 1)
		steps[nr_steps++] = what;
	steps[nr_steps] = '\0';
}

static ssize_t noting_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			      uint64_t offset)
{
	size_t len = 0;

	for (int i = 0; i < iovcnt; i++)
		len += iov[i].iov_len;
	step(offset >= CLUSTER ? 'D' : offset == 0 && len == QED_HEADER_BYTES ? 'H' : 'N');
	return blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

static int noting_flush(struct blk_file *file)
{
	int ret = blk_file_kernel_ops.co_flush(file);

	step('F');
	return ret;
}

static int noting_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	if (mode != FALLOC_FL_KEEP_SIZE)
		step('Z');
	return blk_file_kernel_ops.co_fallocate(file, mode, offset, len);
}

static int noting_truncate(struct blk_file *file, uint64_t size)
{
	step('C');
	return blk_file_kernel_ops.co_truncate(file, size);
}

static struct blk_file_ops noting_ops(void)
{
	struct blk_file_ops ops = blk_file_kernel_ops;

	ops.co_pwritev = noting_pwritev;
	ops.co_flush = noting_flush;
	ops.co_fallocate = noting_fallocate;
	ops.co_truncate = noting_truncate;
	nr_steps = 0;
	steps[0] = '\0';
	return ops;
}

static void to_none(void *arg)
{
	struct test *t = arg;
	struct blk_file_ops ops = noting_ops();
	struct blk_node *removed;

	make(t);
	open_node(t, BLK_O_RDWR);
	/* As after a stream: all data of the backing file is in the image. */
	fill_block(t->buf, 1, 1);
	memset(t->buf + BLOCK, 0, CLUSTER - BLOCK);
	CHECK(blk_co_pwrite(t->node, CLUSTER, CLUSTER, t->buf, BLK_REQ_POPULATE) == 0);
	fill_block(t->buf, 2, 2);
	CHECK(blk_co_pwrite(t->node, 2 * CLUSTER, BLOCK, t->buf, 0) == 0);
	t->node->file->ops = &ops;
	CHECK(blk_co_rebase(t->node, NULL, &removed, NULL) == 0);
	t->node->file->ops = &blk_file_kernel_ops;
	/* Data durable, entries durable, and only then the header. */
	printf("# steps %s\n", steps);
	CHECK(nr_steps >= 4 && strstr(steps, "F") && strstr(steps, "DF"));
	CHECK(!strcmp(steps + nr_steps - 3, "FHF"));
	CHECK(strchr(steps, 'H') == steps + nr_steps - 2);
	CHECK(!t->node->backing && !t->node->backing_name && !t->node->backing_format);
	CHECK(blk_co_close(removed) == 0);
	CHECK(unlink(t->scratch.backing) == 0);
	expect_block(t, 1, 1, 1);
	expect_block(t, 2, 2, 2);
	/* Without a backing file a discard deallocates, and unwritten clusters are zero. */
	CHECK(blk_co_pdiscard(t->node, CLUSTER, CLUSTER) == 0);
	expect_block(t, 1, 1, 0);
	expect_block(t, 3, 3, 0);
	CHECK(blk_co_rebase(t->node, NULL, &removed, NULL) == -EINVAL);
	CHECK(blk_co_close(t->node) == 0);
	open_node(t, 0);
	CHECK(!t->node->backing_name);
	expect_block(t, 1, 1, 0);
	expect_block(t, 2, 2, 2);
	CHECK(blk_co_close(t->node) == 0);
	unmake(t);
}

static void test_to_none(void **state)
{
	struct test t = { 0 };

	(void)state;
	run_co(64, to_none, &t);
}

/*
 * A discard between the change of the header and of the chain: requests still use the
 * backing file, which must stay hidden.
 */
static void discard_between(void *arg)
{
	struct test *t = arg;

	make(t);
	open_node(t, BLK_O_RDWR);
	CHECK(qed_co_change_backing(t->node, NULL, NULL, NULL) == 0);
	CHECK(t->node->backing);
	CHECK(blk_co_pdiscard(t->node, CLUSTER, CLUSTER) == 0);
	expect_block(t, 1, 1, 0);
	CHECK(blk_co_close(t->node) == 0);
	unmake(t);
}

static void test_discard_between(void **state)
{
	struct test t = { 0 };

	(void)state;
	run_co(64, discard_between, &t);
}

/* A new name is written elsewhere than the old one, so that one of them is always complete. */
static void to_another(void *arg)
{
	struct test *t = arg;
	struct blk_file_ops ops = noting_ops();
	struct qed_image *img;
	uint32_t old_start, old_end;
	char other[PATH_MAX];
	struct error err = ERROR_INIT;

	make(t);
	snprintf(other, sizeof(other), "%s/a-name-that-is-longer-than-the-old-one.raw",
		 t->scratch.dir);
	CHECK(link(t->scratch.backing, other) == 0);
	open_node(t, BLK_O_RDWR);
	img = t->node->opaque;
	for (unsigned int i = 0; i < 5; i++) {
		old_start = img->header.backing_filename_offset;
		old_end = old_start + img->header.backing_filename_size;
		nr_steps = 0;
		t->node->file->ops = &ops;
		CHECK(qed_co_change_backing(t->node, i % 2 ? "backing.raw" : other,
					    i % 2 ? "raw" : "qed", NULL) == 0);
		t->node->file->ops = &blk_file_kernel_ops;
		CHECK(!strcmp(steps + nr_steps - 4, "NFHF"));
		CHECK(img->header.backing_filename_offset >= old_end ||
		      img->header.backing_filename_offset + img->header.backing_filename_size <=
			      old_start);
		CHECK(!strcmp(t->node->backing_name, i % 2 ? "backing.raw" : other));
		CHECK(!t->node->backing_format == !(i % 2));
	}
	memset(t->buf, 'x', 2000);
	t->buf[2000] = '\0';
	CHECK(qed_co_change_backing(t->node, (char *)t->buf, NULL, &err) == -EINVAL);
	error_free(&err);
	CHECK(!strcmp(t->node->backing_name, other));
	CHECK(blk_co_close(t->node) == 0);
	CHECK(unlink(other) == 0);
	unmake(t);
}

static void test_to_another(void **state)
{
	struct test t = { 0 };

	(void)state;
	run_co(64, to_another, &t);
}

/* A base that is a range of a file stays that range. */
static void to_window(void *arg)
{
	struct test *t = arg;
	struct blk_create_opts create = { .format = "qed",
					  .size = IMAGE_SIZE / 2,
					  .backing_format = "raw" };
	struct blk_node *removed;
	char middle[PATH_MAX], window[PATH_MAX + 200];

	make(t);
	snprintf(middle, sizeof(middle), "%s/middle.qed", t->scratch.dir);
	snprintf(window, sizeof(window),
		 "json:{\"driver\":\"raw\",\"offset\":%llu,\"file\":{\"driver\":\"file\","
		 "\"filename\":\"%s\"}}",
		 CLUSTER, t->scratch.backing);
	create.filename = middle;
	create.backing_file = window;
	CHECK(blk_co_create(&create, NULL) == 0);
	create.filename = t->scratch.image;
	create.backing_file = middle;
	create.backing_format = "qed";
	CHECK(blk_co_create(&create, NULL) == 0);
	open_node(t, BLK_O_RDWR);
	expect_block(t, 0, 1, 1);
	CHECK(blk_co_rebase(t->node, t->node->backing->backing, &removed, NULL) == 0);
	CHECK(blk_co_close(removed) == 0);
	CHECK(blk_co_close(t->node) == 0);
	open_node(t, 0);
	CHECK(t->node->backing && !t->node->backing->backing);
	expect_block(t, 0, 1, 1);
	CHECK(blk_co_close(t->node) == 0);
	CHECK(unlink(middle) == 0);
	unmake(t);
}

static void test_to_window(void **state)
{
	struct test t = { 0 };

	(void)state;
	run_co(64, to_window, &t);
}

/* ---- Bases that an image cannot store: a stream to one is refused at the start ---- */

static void expect_refused(struct test *t, struct blk_node *base, int code, const char *line)
{
	struct stream_opts opts = { .base = base };
	struct blk_node *old = t->node->backing;
	struct error err = ERROR_INIT;
	struct stream *stream = NULL;
	int ret = stream_co_start(&stream, t->node, &opts, &err);

	if (!ret) {
		job_co_wait_end(&stream->job);
		stream_co_free(stream);
	}
	if (ret != code || !strstr(error_text(&err), line))
		fprintf(stderr, "%d: %s\n", ret, error_text(&err));
	CHECK(ret == code && strstr(error_text(&err), line));
	error_free(&err);
	CHECK(t->node->backing == old && populate_can(t->node));
}

/*
 * Create an image over a middle one over the raw one; @options: the options of the
 * first name the backing file of the second.
 */
static void make_chain(struct test *t, char middle[PATH_MAX], bool options)
{
	struct blk_create_opts create = { .filename = middle,
					  .format = "qed",
					  .size = IMAGE_SIZE,
					  .backing_file = options ? NULL : "backing.raw",
					  .backing_format = options ? NULL : "raw" };
	char name[3 * PATH_MAX];

	make(t);
	snprintf(middle, PATH_MAX, "%s/middle.qed", t->scratch.dir);
	CHECK(blk_co_create(&create, NULL) == 0);
	snprintf(name, sizeof(name),
		 "json:{\"driver\":\"qed\",\"file.driver\":\"file\",\"file.filename\":\"%s\","
		 "\"backing.driver\":\"raw\",\"backing.file.driver\":\"file\","
		 "\"backing.file.filename\":\"%s\"}",
		 middle, t->scratch.backing);
	create.filename = t->scratch.image;
	create.backing_file = options ? name : middle;
	create.backing_format = NULL;
	CHECK(blk_co_create(&create, NULL) == 0);
	open_node(t, BLK_O_RDWR);
	CHECK(t->node->backing && t->node->backing->backing);
}

static void unmake_chain(struct test *t, const char *middle)
{
	CHECK(blk_co_close(t->node) == 0);
	CHECK(unlink(middle) == 0);
	unmake(t);
}

static void not_nameable(void *arg)
{
	struct test *t = arg;
	char middle[PATH_MAX];
	struct qed_image *img;
	uint32_t header_size;

	make_chain(t, middle, true);
	expect_refused(t, t->node->backing->backing, -ENOTSUP,
		       "only options of another image say what it is");
	unmake_chain(t, middle);

	make_chain(t, middle, false);
	expect_refused(t, t->node, -EINVAL, "not in the backing chain");
	img = t->node->opaque;
	/* The place of the name may be used by an unknown feature. */
	img->header.compat_features = 1 << 7;
	expect_refused(t, t->node->backing->backing, -ENOTSUP, "features of a newer version");
	img->header.compat_features = 0;
	/* As if the old name filled the rest of the header. */
	header_size = img->header.header_size;
	img->header.header_size = 0;
	expect_refused(t, t->node->backing->backing, -ENOSPC, "no room in the header");
	img->header.header_size = header_size;
	unmake_chain(t, middle);
}

static void test_not_nameable(void **state)
{
	struct test t = { 0 };

	(void)state;
	run_co(64, not_nameable, &t);
}

/* The header gets the new size only after the backing file's data there is hidden, durably. */
static void growing(void *arg)
{
	struct test *t = arg;
	struct blk_file_ops ops = noting_ops();
	uint64_t old = 4 * CLUSTER + 3 * SECTOR_SIZE;
	struct blk_create_opts create = { .filename = t->scratch.image,
					  .format = "qed",
					  .size = old,
					  .backing_file = "backing.raw",
					  .backing_format = "raw" };
	int fd;

	make(t);
	fd = open(t->scratch.backing, O_WRONLY | O_CLOEXEC);
	memset(t->buf, 'x', CLUSTER);
	for (unsigned int i = 0; i < 8; i++)
		CHECK(pwrite(fd, t->buf, CLUSTER, i * CLUSTER) == CLUSTER);
	CHECK(ftruncate(fd, 8 * CLUSTER) == 0 && close(fd) == 0);
	CHECK(blk_co_create(&create, NULL) == 0);
	open_node(t, BLK_O_RDWR);
	t->node->file->ops = &ops;
	CHECK(blk_co_truncate(t->node, IMAGE_SIZE, NULL) == 0);
	t->node->file->ops = &blk_file_kernel_ops;
	printf("# steps %s\n", steps);
	CHECK(nr_steps > 4 && !strcmp(steps + nr_steps - 4, "DFHF"));
	CHECK(strchr(steps, 'H') == steps + nr_steps - 2);
	CHECK(blk_co_close(t->node) == 0);
	open_node(t, 0);
	CHECK(blk_co_pread(t->node, 4 * CLUSTER, CLUSTER, t->buf, 0) == 0);
	CHECK(t->buf[0] == 'x' && t->buf[3 * SECTOR_SIZE - 1] == 'x');
	CHECK(buffer_is_zero(t->buf + 3 * SECTOR_SIZE, CLUSTER - 3 * SECTOR_SIZE));
	for (unsigned int i = 5; i < IMAGE_SIZE / CLUSTER; i++)
		expect_block(t, i, i, 0);
	CHECK(blk_co_close(t->node) == 0);
	unmake(t);
}

/* Without the backing file nothing can be copied into a partial last cluster. */
static void growing_alone(void *arg)
{
	struct test *t = arg;
	struct error err = ERROR_INIT;
	struct blk_create_opts create = { .filename = t->scratch.image,
					  .format = "qed",
					  .size = 4 * CLUSTER + SECTOR_SIZE,
					  .backing_file = "backing.raw",
					  .backing_format = "raw" };

	make(t);
	CHECK(blk_co_create(&create, NULL) == 0);
	open_node(t, BLK_O_RDWR | BLK_O_NO_BACKING);
	CHECK(blk_co_truncate(t->node, IMAGE_SIZE, &err) == -ENOTSUP);
	CHECK(strstr(error_text(&err), "the last cluster shows the backing file"));
	error_free(&err);
	CHECK(blk_co_close(t->node) == 0);
	open_node(t, BLK_O_RDWR);
	CHECK(atomic_load(&t->node->size) == create.size);
	CHECK(blk_co_pwrite_zeroes(t->node, 4 * CLUSTER, SECTOR_SIZE, 0) == 0);
	CHECK(blk_co_close(t->node) == 0);
	/* Now the image has that cluster. */
	open_node(t, BLK_O_RDWR | BLK_O_NO_BACKING);
	CHECK(blk_co_truncate(t->node, IMAGE_SIZE, NULL) == 0);
	CHECK(blk_co_close(t->node) == 0);
	unmake(t);
}

static void test_growing(void **state)
{
	struct test t = { 0 };

	(void)state;
	run_co(64, growing, &t);
	run_co(64, growing_alone, &t);
}

static void expect_clean(struct test *t)
{
	struct blk_check_result result;

	CHECK(blk_co_check(t->node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(!result.corruptions && !result.leaks && !result.check_errors);
}

static void emptying(void *arg)
{
	struct test *t = arg;
	struct blk_file_ops ops;
	struct qed_image *img;
	uint64_t end;

	make(t);
	open_node(t, 0);
	CHECK(blk_co_make_empty(t->node, NULL) == -EPERM);
	CHECK(blk_co_close(t->node) == 0);
	open_node(t, BLK_O_RDWR);
	img = t->node->opaque;
	end = img->header.l1_table_offset + img->table_bytes;
	for (unsigned int i = 0; i < 20; i++) {
		fill_block(t->buf, i, 7);
		CHECK(blk_co_pwrite(t->node, i * CLUSTER, BLOCK, t->buf, 0) == 0);
	}
	CHECK(blk_co_pdiscard(t->node, 5 * CLUSTER, 4 * CLUSTER) == 0);
	ops = noting_ops();
	t->node->file->ops = &ops;
	CHECK(blk_co_make_empty(t->node, NULL) == 0);
	t->node->file->ops = &blk_file_kernel_ops;
	printf("# steps %s\n", steps);
	/*
	 * Completed requests are committed; then L1 is zeroed, durably; only then the clusters are
	 * freed.
	 */
	CHECK(strstr(steps, "DF") && !strcmp(steps + nr_steps - 3, "ZFC"));
	CHECK(atomic_load(&t->node->file->size) == end);
	/* It is usable like a new image. */
	expect_block(t, 1, 1, 1);
	expect_block(t, 2, 2, 0);
	fill_block(t->buf, 3, 8);
	CHECK(blk_co_pwrite(t->node, 3 * CLUSTER, BLOCK, t->buf, 0) == 0);
	expect_block(t, 3, 3, 8);
	CHECK(blk_co_flush(t->node) == 0);
	CHECK(blk_co_close(t->node) == 0);
	open_node(t, 0);
	expect_block(t, 1, 1, 1);
	expect_block(t, 3, 3, 8);
	expect_block(t, 4, 4, 0);
	expect_clean(t);
	CHECK(blk_co_close(t->node) == 0);
	unmake(t);
}

static void test_emptying(void **state)
{
	struct test t = { 0 };

	(void)state;
	run_co(64, emptying, &t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growing),	     cmocka_unit_test(test_emptying),
		cmocka_unit_test(test_to_none),	     cmocka_unit_test(test_to_another),
		cmocka_unit_test(test_to_window),    cmocka_unit_test(test_discard_between),
		cmocka_unit_test(test_not_nameable),
	};

	return cmocka_run_group_tests_name("qed_backing", tests, NULL, NULL);
}
