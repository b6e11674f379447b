// SPDX-License-Identifier: GPL-2.0
/* The served image: options for an existing image, and its name after its close. */
#include "test_aio_common.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "block/io.h"
#include "device/device_image.c"

static char dir[] = "/tmp/qedblk-image.XXXXXX";

static void co_create_qed(const char *path, const char *backing, const char *backing_format)
{
	struct error err = ERROR_INIT;
	struct blk_create_opts opts = {
		.filename = path,
		.format = "qed",
		.size = 16 * MiB,
		.backing_file = backing,
		.backing_format = backing_format,
		.exclusive = true,
	};

	if (blk_co_create(&opts, &err)) {
		fprintf(stderr, "%s: %s\n", path, error_text(&err));
		abort();
	}
}

static void open_and_close(const char *name, const char *format, const char *wanted)
{
	const struct device_options options = {
		.name = "v",
		.image = name,
		.backing = "base.img",
		.backing_format = format,
		.foreground = true,
		.discard = true,
	};
	struct error err = ERROR_INIT;
	struct device_image image;

	CHECK(!device_image_co_open(&image, &options, -1, &err));
	CHECK(!strcmp(image.node->backing->driver->name, wanted));
	CHECK(!device_image_co_close(&image));
	/* An error of the close is reported with the image's name. */
	CHECK(image.path && image.path[0] == '/' && strstr(image.path, name));
	device_image_free(&image);
	CHECK(!image.path);
}

static void backing_format(void *arg)
{
	(void)arg;
	/* base.img looks like a QED image, as if its guest had written that into a raw image. */
	co_create_qed("base.img", NULL, NULL);
	co_create_qed("top.qed", "base.img", NULL);
	open_and_close("top.qed", NULL, "qed");
	open_and_close("top.qed", "raw", "raw");
}

static void stored_format(void *arg)
{
	const struct device_options options = {
		.name = "v",
		.image = "noprobe.qed",
		.backing = "base.img",
		.backing_format = "qed",
		.foreground = true,
	};
	struct error err = ERROR_INIT;
	struct device_image image;

	(void)arg;
	co_create_qed("noprobe.qed", "base.img", "raw");
	open_and_close("noprobe.qed", NULL, "raw");
	open_and_close("noprobe.qed", "raw", "raw");
	CHECK(device_image_co_open(&image, &options, -1, &err) == -EINVAL);
	CHECK(strstr(error_text(&err), "its backing file's format is raw"));
	error_free(&err);
	device_image_free(&image);
}

static void no_room(void *arg)
{
	const struct device_options options = {
		.name = "v",
		.image = "huge.raw",
		.format = "raw",
		/* More than the host's file systems support in one file. */
		.size = INT64_MAX - 64 * KiB + 1,
		.foreground = true,
	};
	struct error err = ERROR_INIT;
	struct device_image image;
	struct stat st;

	(void)arg;
	CHECK(device_image_co_open(&image, &options, -1, &err) < 0);
	CHECK(stat("huge.raw", &st) && errno == ENOENT);
	error_free(&err);
	device_image_free(&image);
}

/* Make an image, with names as typed, and check its own path and its backing file's. */
static void make_by_names(const char *name, const char *backing, const char *path,
			  const char *stored)
{
	const struct device_options options = {
		.name = "v",
		.image = name,
		.backing = backing,
		.backing_format = "raw",
		.foreground = true,
	};
	struct error err = ERROR_INIT;
	struct device_image image;
	char full[256];

	CHECK(!device_image_co_open(&image, &options, -1, &err));
	snprintf(full, sizeof(full), "%s/%s", dir, path);
	CHECK(!strcmp(image.path, full));
	snprintf(full, sizeof(full), "%s%s", stored[0] == '/' ? dir : "", stored);
	CHECK(!strcmp(image.node->backing_name, full));
	CHECK(!strcmp(image.node->backing->driver->name, "raw"));
	device_image_keep(&image);
	CHECK(!device_image_co_close(&image));
	device_image_free(&image);
	/* The same command line, later. */
	CHECK(!device_image_co_open(&image, &options, -1, &err));
	CHECK(!device_image_co_close(&image));
	device_image_free(&image);
}

static void names(void *arg)
{
	const struct device_options unknown = { .name = "v", .image = "n:w.qed" };
	const struct device_options backing = {
		.name = "v",
		.image = "new.qed",
		.backing = "n:w.img",
	};
	struct error err = ERROR_INIT;
	struct device_image image;

	(void)arg;
	make_by_names("new.qed", "base.img", "new.qed", "base.img");
	unlink("new.qed");
	/* In the image's header "file:" would count from the directory of each reader. */
	make_by_names("file:new.qed", "file:base.img", "new.qed", "/base.img");
	CHECK(!rename("base.img", "n:w.img"));
	make_by_names("./n:w.qed", "./n:w.img", "./n:w.qed", "./n:w.img");
	unlink("n:w.qed");
	make_by_names("file:n:w.qed", "file:n:w.img", "./n:w.qed", "/./n:w.img");
	CHECK(device_image_co_open(&image, &unknown, -1, &err) == -EINVAL);
	CHECK(!strcmp(error_text(&err),
		      "n:w.qed: Unknown protocol 'n': a file of this name is ./n:w.qed"));
	error_free(&err);
	unlink("new.qed");
	CHECK(device_image_co_open(&image, &backing, -1, &err) == -EINVAL);
	CHECK(strstr(error_text(&err), "--backing n:w.img: Unknown protocol 'n'"));
	error_free(&err);
	device_image_free(&image);
}

/* Attributes are read by this: the errno of the next reads, or 0. */
static _Atomic int note_errno;

ssize_t fgetxattr(int fd, const char *name, void *value, size_t size)
{
	if (note_errno) {
		errno = note_errno;
		return -1;
	}
	return (ssize_t)syscall(SYS_fgetxattr, fd, name, value, size);
}

/* A record that cannot be read is a reason to warn, and stays. */
static void unreadable_record(void *arg)
{
	struct device_options options = {
		.name = "v",
		.image = "over.qed",
		.recover = true,
	};
	struct error err = ERROR_INIT;
	struct device_image image;
	char *note, *text;

	(void)arg;
	close(open("base.raw", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	co_create_qed("over.qed", "base.raw", "raw");
	for (unsigned int i = 0; i < 2; i++, options.recover = false) {
		note_errno = EACCES;
		CHECK(!device_image_co_open(&image, &options, -1, &err));
		text = device_image_unread_warning(&image);
		CHECK(text && strstr(text, strerror(EACCES)));
		free(text);
		note_errno = 0;
		CHECK(blk_file_co_get_note(image.node->file, &note) == -ENODATA);
		CHECK(!device_image_co_close(&image));
		device_image_free(&image);
	}
	note_errno = EACCES;
	options.strict_backing = true;
	CHECK(device_image_co_open(&image, &options, -1, &err) == -EACCES);
	note_errno = 0;
	error_free(&err);
	device_image_free(&image);
	unlink("over.qed");
	unlink("base.raw");
}

/* A golden image below two formats is cut: its bytes must not become zeroes. */
static void cut_below_two_formats(void *arg)
{
	const struct device_options options = { .name = "v", .image = "over.qed" };
	struct error err = ERROR_INIT;
	struct device_image image;
	char buf[4096];
	int fd = open("cut.raw", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)arg;
	CHECK(fd >= 0 && !ftruncate(fd, MiB));
	co_create_qed("over.qed",
		      "json:{\"driver\":\"raw\",\"offset\":65536,\"file\":{\"driver\":\"raw\","
		      "\"file\":{\"driver\":\"file\",\"filename\":\"cut.raw\"}}}",
		      "raw");
	CHECK(!device_image_co_open(&image, &options, -1, &err));
	CHECK(!blk_co_pread(image.node, 512 * KiB, sizeof(buf), buf, 0));
	CHECK(!ftruncate(fd, 256 * KiB));
	CHECK(blk_co_pread(image.node, 512 * KiB, sizeof(buf), buf, 0) == -EIO);
	CHECK(!device_image_co_close(&image));
	device_image_free(&image);
	close(fd);
	unlink("over.qed");
	unlink("cut.raw");
}

/* Open with @image and @backing as typed, and return the result. */
static int co_open_with(const char *name, const char *backing)
{
	const struct device_options options = {
		.name = "v",
		.image = name,
		.backing = backing,
		.foreground = true,
	};
	struct error err = ERROR_INIT;
	struct device_image image;
	int ret = device_image_co_open(&image, &options, -1, &err);

	if (!ret) {
		device_image_keep(&image);
		CHECK(!device_image_co_close(&image));
	}
	error_free(&err);
	device_image_free(&image);
	return ret;
}

static void json_names(void *arg)
{
	char json[256], nothing[256], base[128];

	(void)arg;
	snprintf(base, sizeof(base), "%s/n:w.img", dir);
	snprintf(json, sizeof(json),
		 "json:{'driver':'raw','file':{'driver':'file','filename':'%s'}}", base);
	CHECK(!co_open_with("new.qed", json));
	/* The same command line, later, and another one. */
	CHECK(!co_open_with("new.qed", json));
	/* Options that leave out the backing file which the header names. */
	snprintf(nothing, sizeof(nothing),
		 "json:{'driver':'qed','file':{'driver':'file','filename':'%s/new.qed'},"
		 "'backing':null}",
		 dir);
	CHECK(co_open_with(nothing, base) < 0);
	unlink("new.qed");
}

static int set_up(void **state)
{
	(void)state;
	return !mkdtemp(dir) || chdir(dir);
}

static int tear_down(void **state)
{
	static const char *const names[] = { "base.img", "top.qed", "noprobe.qed", "huge.raw",
					     "new.qed",	 "n:w.qed", "n:w.img" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(names[i]);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(backing_format),
		CO_TEST(stored_format),
		CO_TEST(no_room),
		CO_TEST(names),
		CO_TEST(json_names),
		CO_TEST(unreadable_record),
		CO_TEST(cut_below_two_formats),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
