// SPDX-License-Identifier: GPL-2.0
/*
 * Opening images: backing chains and their names, formats given and probed, errors and
 * their messages.
 */
#include "test_block_fake.h"

#include "file/image_lock.h"
#include "file/name.h"
#include "file/protocol.h"

static void expect_no_open(const char *name, const struct blk_open_opts *opts, int code,
			   const char *line)
{
	struct error err = ERROR_INIT;
	struct blk_node *node;
	char expected[600];
	int ret;

	/* File names in @line are relative to the scratch directory. */
	snprintf(expected, sizeof(expected), "%s", scratch(line));
	ret = blk_co_open(&node, scratch(name), opts, &err);
	if (ret != code || strcmp(error_text(&err), expected))
		printf("got %d \"%s\", not %d \"%s\"\n", ret, error_text(&err), code, expected);
	CHECK(ret == code);
	CHECK(!strcmp(error_text(&err), expected));
	error_free(&err);
}

/* ---- names ---- */

static void expect_beside(const char *image, const char *backing, const char *expected)
{
	char *name;

	assert_int_equal(blk_name_beside(image, backing, &name, NULL), expected ? 0 : -EINVAL);
	if (expected)
		assert_string_equal(name, expected);
	else
		assert_null(name);
	free(name);
}

static void test_beside(void **state)
{
	(void)state;
	expect_beside("vm.qed", "golden.img", "golden.img");
	expect_beside("/images/vm.qed", "golden.img", "/images/golden.img");
	expect_beside("dir/vm.qed", "../golden.img", "dir/../golden.img");
	expect_beside("dir/vm.qed", "/golden.img", "/golden.img");
	expect_beside("./v:m.qed", "golden.img", "./golden.img");
	expect_beside("/vm.qed", "a:b", "a:b");
	expect_beside("dir/vm.qed", "./a:b", "dir/./a:b");
	expect_beside("dir/vm.qed", "file:golden.img", "file:golden.img");
	expect_beside("dir/vm.qed", "nbd://host/x", "nbd://host/x");
	expect_beside("dir/vm.qed", "json:{}", "json:{}");
	expect_beside("nbd://host/dir/vm", "golden.img", NULL);
	expect_beside("nbd://host/dir/vm", "/golden.img", "/golden.img");
}

static void expect_place(const char *name, const char *driver, const char *expected,
			 unsigned int flags)
{
	const struct blk_protocol *protocol = driver ? blk_protocol_find(driver) : NULL;
	unsigned int got = 0;
	char *place;

	assert_int_equal(blk_name_place(name, protocol, &place, &got, NULL),
			 expected ? 0 : -EINVAL);
	if (expected)
		assert_string_equal(place, expected);
	else
		assert_null(place);
	assert_int_equal(got, flags);
	free(place);
}

static void test_place(void **state)
{
	(void)state;
	expect_place("a", NULL, "a", 0);
	expect_place("./a:b", NULL, "./a:b", 0);
	expect_place("file:a", NULL, "a", BLK_FILE_REGULAR);
	expect_place("file:a:b", NULL, "./a:b", BLK_FILE_REGULAR);
	expect_place("file:///a:b", NULL, "///a:b", BLK_FILE_REGULAR);
	expect_place("file:json:{}", NULL, "./json:{}", BLK_FILE_REGULAR);
	expect_place("host_device:a", NULL, "a", BLK_FILE_HOST_DEVICE);
	expect_place("host_device:a", "file", "host_device:a", BLK_FILE_REGULAR);
	expect_place("nbd:a", "file", "./nbd:a", BLK_FILE_REGULAR);
	expect_place("file:nbd:a", "file", "./nbd:a", BLK_FILE_REGULAR);
	expect_place("nbd:a", NULL, "nbd:a", 0);
	expect_place("a:b", NULL, NULL, 0);
	expect_place("raw:a", NULL, NULL, 0);
	expect_place(":a", NULL, NULL, 0);
	expect_place("json:{}", NULL, NULL, 0);
}

static void test_same(void **state)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	make_file(scratch("one"), "1", 1, 1);
	make_file(scratch("two"), "2", 1, 1);
	CHECK(!symlink("one", scratch("link")));
	CHECK(!chdir(scratch("")));
	assert_true(blk_name_same("none", "file:none"));
	assert_true(blk_name_same("./one", "file:one"));
	assert_false(blk_name_same("one", "x:one"));
	assert_true(blk_name_same("link", "host_device:one"));
	assert_false(blk_name_same("one", "two"));
	assert_false(blk_name_same("one", "none"));
	assert_false(blk_name_same("nbd:one", "one"));
	assert_true(blk_name_same("nbd://h/x", "nbd://h/x"));
	CHECK(!fchdir(here) && !close(here));
}

static void test_url(void **state)
{
	static const char *const urls[] = { "nbd://host/x",	      "nbd:unix:/s",
					    "nbds://host:1/",	      "nbd+unix:///x?socket=s",
					    "nbds+unix:///?socket=s", "json:{}" };
	static const char *const files[] = { "a:b",  "./nbd:x", "/nbd://x", "nbd",
					     "nbds", "xnbd:",	"http://x" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		assert_true(blk_name_is_url(urls[i]));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		assert_false(blk_name_is_url(files[i]));
}

/* ---- chains ---- */

static void chain(void *arg)
{
	struct fake_image top = { .name = "top",
				  .size = MiB,
				  .cluster_size = 65536,
				  .backing = "sub/middle",
				  .backing_format = "fake" };
	struct fake_image middle = { .name = "middle",
				     .size = MiB,
				     .cluster_size = 4096,
				     .backing = "../golden",
				     .backing_format = "raw" };
	struct blk_open_opts opts = { .format = "fake" };
	struct error err = ERROR_INIT;
	struct blk_node *node;
	char *name;

	(void)arg;
	CHECK(mkdir(scratch("sub"), 0755) == 0);
	fake_add(&top);
	fake_add(&middle);
	CHECK(rename(scratch("middle"), scratch("sub/middle")) == 0);
	make_file(scratch("golden"), "golden", 6, 1000);

	node = must_open("top", "fake", BLK_O_RDWR | OPEN_COPY_ON_READ | BLK_O_CHECK);
	CHECK(!node->probed && node->copy_pool && populate_can(node));
	CHECK(bufpool_buf_size(node->copy_pool) == 65536);
	CHECK(node->backing->opaque == &middle && node->backing->flags == 0);
	CHECK(node->backing->copy_pool && !node->backing->filter);
	CHECK(node->backing->backing->driver == &blk_driver_raw);
	CHECK(atomic_load(&node->backing->backing->size) == 1024);
	CHECK(!node->backing->backing->file->writable);
	CHECK(blk_backing_name(node, &name, &err) == 0);
	CHECK(!strcmp(name, node->backing->filename));
	free(name);
	CHECK(top.starts == 1 && middle.starts == 1);
	CHECK(blk_co_close(node) == 0);
	CHECK(top.closes == 1 && middle.closes == 1);

	/* The backing format applies only to the direct backing file. */
	top.backing_format = "odd";
	opts.backing_format = "fake";
	CHECK(blk_co_open(&node, scratch("top"), &opts, &err) == 0);
	CHECK(node->backing->driver == &fake_driver);
	CHECK(node->backing->backing->driver == &blk_driver_raw);
	CHECK(blk_co_close(node) == 0);

	node = must_open("top", "fake", BLK_O_NO_BACKING);
	CHECK(!node->backing && node->backing_name && top.starts == 3 && middle.starts == 2);
	top.fail_close = ENOSPC;
	CHECK(blk_co_close(node) == -ENOSPC);
	fake_clear();
}

static void bad_chains(void *arg)
{
	struct blk_open_opts opts = { .format = "fake", .flags = BLK_O_RDWR };
	struct fake_image orphan = {
		.name = "orphan", .size = MiB, .cluster_size = 4096, .backing = "missing"
	};
	struct fake_image ring[] = {
		{ .name = "ring0", .size = MiB, .cluster_size = 4096, .backing = "ring1" },
		{ .name = "ring1", .size = MiB, .cluster_size = 4096, .backing = "./ring0" },
		{ .name = "self", .size = MiB, .cluster_size = 4096, .backing = "self" },
	};

	(void)arg;
	fake_add(&orphan);
	expect_no_open("orphan", &opts, -ENOENT, "missing: No such file or directory");
	CHECK(orphan.closes == 1 && orphan.starts == 0);
	orphan.backing_format = "vmdk";
	make_file(scratch("missing"), "", 0, 512);
	expect_no_open("orphan", &opts, -ENOTSUP, "missing: format vmdk is not supported");
	opts.backing_format = "odd";
	expect_no_open("orphan", &opts, -EINVAL, "missing: Unknown driver 'odd'");

	opts.backing_format = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(ring); i++) {
		ring[i].backing_format = "fake";
		fake_add(&ring[i]);
	}
	/* Writable or not: the error is about the loop, not about a lock of the same process. */
	expect_no_open("ring0", &opts, -ELOOP,
		       "./ring0: the backing chain loops back to this file");
	expect_no_open("self", &opts, -ELOOP, "self: the backing chain loops back to this file");
	opts.flags = 0;
	expect_no_open("self", &opts, -ELOOP, "self: the backing chain loops back to this file");
	for (size_t i = 0; i < ARRAY_SIZE(ring); i++)
		CHECK(ring[i].starts == 0);
	fake_clear();
}

static void long_chain(void *arg)
{
	static struct fake_image images[BLK_MAX_CHAIN + 1];
	static char names[BLK_MAX_CHAIN + 1][16];
	struct blk_open_opts opts = { .format = "fake" };
	struct blk_node *node;
	char line[64], byte = 1;

	(void)arg;
	for (int i = 0; i <= BLK_MAX_CHAIN; i++) {
		snprintf(names[i], sizeof(names[i]), "long%d", i);
		images[i] = (struct fake_image){ .name = names[i],
						 .size = 4096,
						 .cluster_size = 4096,
						 .backing_format = "fake" };
		if (i)
			images[i - 1].backing = names[i];
		fake_add(&images[i]);
	}
	snprintf(line, sizeof(line), "long0: more than %d images in its backing chain",
		 BLK_MAX_CHAIN);
	expect_no_open("long0", &opts, -ELOOP, line);

	/* A chain with one image less can be opened and read. */
	images[BLK_MAX_CHAIN].data[7] = 42;
	images[BLK_MAX_CHAIN].state[0] = FAKE_DATA;
	node = must_open("long1", "fake", 0);
	CHECK(blk_co_pread(node, 7, 1, &byte, 0) == 0 && byte == 42);
	CHECK(blk_co_close(node) == 0);
	fake_clear();
}

/* ---- formats ---- */

static void formats(void *arg)
{
	static const struct {
		const char *format, *magic;
		unsigned int offset;
	} foreign[] = {
		{ "vmdk", "KDMV", 0 },
		{ "vhdx", "vhdxfile", 0 },
		{ "vdi", "\x7f\x10\xda\xbe", 64 },
		{ "luks", "LUKS\xba\xbe", 0 },
		{ "vpc", "conectix", 0 },
	};
	struct blk_open_opts opts = { .flags = BLK_O_RDWR };
	struct fake_image fixed = { .name = "fixed.img", .size = 4096, .cluster_size = 4096 };
	struct blk_node *node;
	char head[512], line[128];

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		memset(head, 0, sizeof(head));
		memcpy(head + foreign[i].offset, foreign[i].magic, strlen(foreign[i].magic));
		make_file(scratch("image"), head, sizeof(head), MiB);
		snprintf(line, sizeof(line), "image: format %s is not supported",
			 foreign[i].format);
		expect_no_open("image", &opts, -ENOTSUP, line);
		/* Format raw as given is not probed. */
		node = must_open("image", "raw", BLK_O_RDWR);
		CHECK(!node->probed);
		CHECK(blk_co_close(node) == 0);
	}
	make_file(scratch("image"), "", 0, 0);
	node = must_open("image", NULL, BLK_O_RDWR);
	CHECK(node->probed && node->driver == &blk_driver_raw && atomic_load(&node->size) == 0);
	CHECK(blk_co_close(node) == 0);

	opts.format = "foo";
	expect_no_open("image", &opts, -EINVAL, "image: Unknown driver 'foo'");
	opts.format = "fake";
	expect_no_open("image", &opts, -EINVAL, "image: no such fake");
	fake_add(&fixed);
	opts.format = "fixed";
	expect_no_open("fixed.img", &opts, -ENOTSUP,
		       "fixed.img: format fixed cannot be written to");
	CHECK(mkdir(scratch("folder"), 0755) == 0);
	opts.format = NULL;
	expect_no_open("folder", &opts, -EISDIR, "folder: Is a directory");
	fake_clear();
}

/* ---- opening an image that is open already ---- */

static void sharing(void *arg)
{
	static const char *const busy[] = {
		"golden: Failed to get \"write\" lock: is another process using the image?",
		"vm: Failed to get \"write\" lock: is another process using the image?",
		"vm: Failed to get shared \"write\" lock: is another process using the image?",
	};
	struct blk_open_opts raw_rw = { .format = "raw", .flags = BLK_O_RDWR };
	struct blk_open_opts raw_ro = { .format = "raw" };
	struct fake_image vm = { .name = "vm",
				 .size = MiB,
				 .cluster_size = 4096,
				 .backing = "golden",
				 .backing_format = "raw" };
	struct fake_image vm2 = { .name = "vm2",
				  .size = MiB,
				  .cluster_size = 4096,
				  .backing = "golden",
				  .backing_format = "raw" };
	struct blk_node *node, *node2, *look;

	(void)arg;
	fake_add(&vm);
	fake_add(&vm2);
	make_file(scratch("golden"), "", 0, MiB);
	node = must_open("vm", "fake", BLK_O_RDWR);
	/* Two overlays share a golden image, and other readers may open it. */
	node2 = must_open("vm2", "fake", BLK_O_RDWR);
	look = must_open("golden", "raw", 0);
	CHECK(blk_co_close(look) == 0);
	/*
	 * It cannot be opened for writing, and an image with a writer has no other writer or
	 * reader.
	 */
	expect_no_open("golden", &raw_rw, -EBUSY, busy[0]);
	expect_no_open("vm", &raw_rw, -EBUSY, busy[1]);
	expect_no_open("vm", &raw_ro, -EBUSY, busy[2]);
	look = must_open("vm", "raw", BLK_O_NO_LOCK);
	CHECK(blk_co_close(look) == 0);
	CHECK(blk_co_close(node2) == 0);
	CHECK(blk_co_close(node) == 0);
	node = must_open("golden", "raw", BLK_O_RDWR);
	CHECK(blk_co_close(node) == 0);
	fake_clear();
}

/* ---- raw images ---- */

static void expect_no_create(const struct blk_create_opts *opts, int code, const char *line)
{
	struct error err = ERROR_INIT;
	char expected[600];

	snprintf(expected, sizeof(expected), "%s", scratch(line));
	CHECK(blk_co_create(opts, &err) == code);
	if (strcmp(error_text(&err), expected))
		printf("got \"%s\", not \"%s\"\n", error_text(&err), expected);
	CHECK(!strcmp(error_text(&err), expected));
	error_free(&err);
}

static void raw_images(void *arg)
{
	struct blk_create_opts opts = { .format = "raw", .size = MiB, .exclusive = true };
	struct error err = ERROR_INIT;
	struct blk_node *node;
	struct blk_info info;
	char path[512], buf[4096];

	(void)arg;
	snprintf(path, sizeof(path), "%s", scratch("new.raw"));
	opts.filename = path;
	CHECK(blk_co_create(&opts, &err) == 0);
	CHECK(file_bytes(path) == MiB);
	expect_no_create(&opts, -EEXIST, "new.raw: File exists");
	opts.exclusive = false;

	node = must_open("new.raw", "raw", BLK_O_RDWR | BLK_O_DIRECT);
	expect_no_create(&opts, -EBUSY,
			 "new.raw: Failed to get \"write\" lock: is another process using "
			 "the image?");
	memset(buf, 3, sizeof(buf));
	CHECK(blk_co_pwrite(node, MiB - 4096, 4096, buf, BLK_REQ_FUA) == 0);
	CHECK(blk_co_info(node, &info) == 0);
	CHECK(info.virtual_size == MiB && info.actual_size == 4096 && !info.cluster_size);
	CHECK(blk_co_pdiscard(node, 0, MiB) == 0);
	CHECK(blk_co_pread(node, MiB - 4096, 4096, buf, 0) == 0 && buffer_is_zero(buf, 4096));
	CHECK(blk_co_truncate(node, MiB + 512, &err) == 0);
	CHECK(file_bytes(path) == MiB + 512 && atomic_load(&node->size) == MiB + 512);
	CHECK(blk_co_close(node) == 0);

	/* An existing file is overwritten. */
	opts.size = 512;
	CHECK(blk_co_create(&opts, &err) == 0 && file_bytes(path) == 512);
	opts.backing_file = "golden";
	expect_no_create(&opts, -ENOTSUP,
			 "new.raw: Backing file not supported for file format 'raw'");
	opts.backing_file = NULL;
	opts.cluster_size = 65536;
	expect_no_create(&opts, -EINVAL, "new.raw: format raw has no option cluster_size");
	opts.cluster_size = 0;
	opts.format = "fake";
	expect_no_create(&opts, -ENOTSUP, "new.raw: format fake cannot be created");
	opts.format = "bar";
	expect_no_create(&opts, -EINVAL, "new.raw: Unknown driver 'bar'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beside),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_url),
		CO_TEST(chain),
		CO_TEST(bad_chains),
		CO_TEST(long_chain),
		CO_TEST(formats),
		CO_TEST(sharing),
		CO_TEST(raw_images),
	};

	return cmocka_run_group_tests_name("block_node", tests, NULL, NULL);
}
