// SPDX-License-Identifier: GPL-2.0
/*
 * Image files and the kernel: refusals at opening, failing disks, short
 * transfers, holes.
 */
#include <signal.h>
#include <sys/resource.h>

#include "test_block_file.h"

#include "file/image_lock.h"

/* ---- opening ---- */

static void expect_refusal(const char *path, unsigned int flags, int code, const char *reason)
{
	struct error err = ERROR_INIT;
	struct blk_file *file;
	char line[600];

	CHECK(blk_file_co_open(&file, path, flags, 0, 0, &err) == code);
	snprintf(line, sizeof(line), "%s: %s", path, reason);
	if (strcmp(error_text(&err), line))
		printf("got \"%s\", not \"%s\"\n", error_text(&err), line);
	CHECK(!strcmp(error_text(&err), line));
	error_free(&err);
}

static void refusals(void *arg)
{
	const char *odd = "Not a regular file or block device";

	(void)arg;
	expect_refusal(scratch("missing"), BLK_FILE_RDWR, -ENOENT, "No such file or directory");
	expect_refusal(scratch("missing/x"), 0, -ENOENT, "No such file or directory");
	expect_refusal("/", 0, -EISDIR, "Is a directory");
	expect_refusal("/dev/null", BLK_FILE_RDWR, -EINVAL, odd);
	CHECK(mkfifo(scratch("fifo"), 0600) == 0);
	expect_refusal(scratch("fifo"), 0, -EINVAL, odd);
	expect_refusal(scratch("fifo"), BLK_FILE_RDWR | BLK_FILE_CREATE, -EINVAL, odd);
	make_file(scratch("there"), "", 0, 0);
	expect_refusal(scratch("there"), BLK_FILE_RDWR | BLK_FILE_CREATE | BLK_FILE_EXCL, -EEXIST,
		       "File exists");
	expect_refusal(scratch("there/x"), 0, -ENOTDIR, "Not a directory");
	CHECK(symlink("self", scratch("self")) == 0);
	expect_refusal(scratch("self"), 0, -ELOOP, "Too many levels of symbolic links");
}

/* Another program may change the file's size before we get the lock. */
static void longer_when_locked(void *arg)
{
	const char *path = scratch("other-writer");
	struct blk_file *file;

	(void)arg;
	make_file(path, "", 0, 4096);
	CHECK(blk_file_co_open(&file, path, BLK_FILE_RDWR, 0, 0, NULL) == 0);
	make_file(path, "", 0, 3 * 4096);
	CHECK(blk_file_co_lock(file, IMAGE_PERM_WRITE, 0, NULL) == 0);
	CHECK(atomic_load(&file->size) == 3 * 4096);
	blk_file_co_close(file);
}

/* Another program cuts a backing file: its bytes must not become zeroes. */
static void cut_by_another(void *arg)
{
	const char *path = scratch("cut");
	char buf[8192];
	uint64_t run;

	(void)arg;
	for (unsigned int flags = 0; flags <= BLK_FILE_DIRECT; flags += BLK_FILE_DIRECT) {
		struct blk_file *file;

		make_file(path, "x", 1, 16384 + 100);
		CHECK(blk_file_co_open(&file, path, flags, 0, 0, NULL) == 0);
		file->fixed_end = true;
		/* The end at which it was opened is no error. */
		CHECK(blk_file_co_pread(file, buf, sizeof(buf), 12288) == 0);
		CHECK(blk_file_co_is_data(file, 12288, 4096, &run) == 0);
		CHECK(truncate(path, 8192) == 0);
		CHECK(blk_file_co_pread(file, buf, 4096, 4096) == 0);
		CHECK(blk_file_co_pread(file, buf, 8192, 4096) == -EIO);
		CHECK(blk_file_co_pread(file, buf, 4096, 12288) == -EIO);
		CHECK(blk_file_co_pread(file, buf, 1, 16384 + 99) == -EIO);
		CHECK(blk_file_co_is_data(file, 12288, 4096, &run) == 1 && run == 4096);
		CHECK(blk_file_co_pread(file, buf, 4096, 20480) == 0);
		blk_file_co_close(file);
	}
}

static void creation(void *arg)
{
	unsigned int flags = BLK_FILE_RDWR | BLK_FILE_CREATE | BLK_FILE_EXCL | BLK_FILE_DIRECT;
	const char *path = scratch("created");
	struct error err = ERROR_INIT;
	struct blk_file *file;

	(void)arg;
	CHECK(blk_file_co_open(&file, path, flags, 0, 0, &err) == 0);
	CHECK(atomic_load(&file->size) == 0);
	CHECK(!(fcntl(file->fd, F_GETFL) & O_NONBLOCK));
	CHECK(!!(fcntl(file->fd, F_GETFL) & O_DIRECT) == file->direct);
	CHECK(file->direct ? file->align >= 512 : file->align == 1);
	blk_file_co_close(file);
	/* Read-only: writing fails, flushing has nothing to do. */
	CHECK(blk_file_co_open(&file, path, 0, 0, 0, &err) == 0);
	CHECK(blk_file_co_pwrite(file, "x", 1, 0) == -EBADF);
	CHECK(blk_file_co_write_zeroes(file, 0, 1, false) == -EBADF);
	CHECK(blk_file_co_flush(file) == 0);
	blk_file_co_close(file);
}

/* ---- a disk that fails ---- */

static void failures(void *arg)
{
	static const struct mode mode = { "", true, 4096, false };
	const char *path = scratch("failing");
	struct blk_file *file;
	char buf[100], *big = malloc(MiB);

	(void)arg;
	memset(big, 'o', MiB);
	make_file(path, big, MiB, MiB);
	file = open_mode(path, &mode);
	memset(buf, 'n', sizeof(buf));

	/* A partial block cannot be written when the rest of it cannot be read. */
	inject_read = EIO;
	CHECK(blk_file_co_pread(file, buf, 1, 5) == -EIO);
	CHECK(blk_file_co_pwrite(file, buf, 100, 5000) == -EIO);
	inject_read = 0;
	inject_write = ENOSPC;
	CHECK(blk_file_co_pwrite(file, buf, 100, 5000) == -ENOSPC);
	CHECK(blk_file_co_pwrite(file, big, MiB, MiB) == -ENOSPC);
	inject_write = 0;
	inject_short = 4096;
	CHECK(blk_file_co_pwrite(file, big, 8192, 4096) == -EIO);
	inject_short = -1;
	CHECK(atomic_load(&file->size) == MiB);
	CHECK(cds_list_empty(&file->ranges.holds));

	/* If fallocate is unsupported, zeroes are written, and it is not tried again. */
	inject_fallocate = EOPNOTSUPP;
	CHECK(blk_file_co_punch_hole(file, 0, 8192) == -ENOTSUP);
	CHECK(file->no_punch_hole);
	CHECK(blk_file_co_write_zeroes(file, 100, 10000, true) == 0);
	CHECK(file->no_zero_range);
	inject_fallocate = EIO;
	CHECK(blk_file_co_write_zeroes(file, 20000, 10000, true) == 0);
	CHECK(blk_file_co_pread(file, big, 40000, 0) == 0);
	CHECK(big[99] == 'o' && buffer_is_zero(big + 100, 10000) && big[10100] == 'o');
	CHECK(big[19999] == 'o' && buffer_is_zero(big + 20000, 10000) && big[30000] == 'o');
	/* Any other failure is returned. */
	atomic_store(&file->no_zero_range, false);
	CHECK(blk_file_co_write_zeroes(file, 40000, 10000, false) == -EIO);
	inject_fallocate = 0;
	blk_file_co_close(file);
	free(big);
}

/* A short write is continued, to its end or an error. */
static void partly_written(void *arg)
{
	struct rlimit old, limit = { 300000, 300000 };
	static const struct mode mode = { "", false, 0, false };
	struct blk_file *file = open_mode(scratch("limited"), &mode);
	char *big = calloc(1, MiB);

	(void)arg;
	CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
	limit.rlim_max = old.rlim_max;
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHECK(blk_file_co_pwrite(file, big, 200000, 0) == 0);
	CHECK(blk_file_co_pwrite(file, big, 200000, 200000) == -EFBIG);
	CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
	blk_file_co_close(file);
	free(big);
}

static void test_partly_written(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	run_co(32, partly_written, NULL);
}

/* ---- data and holes ---- */

static void holes(void *arg)
{
	static const struct mode mode = { "", false, 0, false };
	struct blk_file *file = open_mode(scratch("holes"), &mode);
	uint64_t run, bytes;
	char *buf = malloc(MiB);

	(void)arg;
	memset(buf, 1, MiB);
	CHECK(blk_file_co_pwrite(file, buf, MiB, MiB) == 0);
	CHECK(blk_file_co_truncate(file, 3 * MiB) == 0);
	CHECK(blk_file_co_is_data(file, 0, 3 * MiB, &run) == 0 && run == MiB);
	CHECK(blk_file_co_is_data(file, 5, 100, &run) == 0 && run == 100);
	CHECK(blk_file_co_is_data(file, MiB + 1, 3 * MiB, &run) == 1 && run == MiB - 1);
	CHECK(blk_file_co_is_data(file, 2 * MiB, 9 * MiB, &run) == 0 && run == 9 * MiB);
	CHECK(blk_file_co_is_data(file, 4 * MiB, MiB, &run) == 0 && run == MiB);
	CHECK(blk_file_co_flush(file) == 0);
	CHECK(blk_file_co_allocated(file, &bytes) == 0 && bytes >= MiB && bytes < 2 * MiB);

	if (blk_file_co_punch_hole(file, MiB, MiB / 2) == 0) {
		CHECK(blk_file_co_is_data(file, MiB, MiB, &run) == 0 && run == MiB / 2);
		CHECK(atomic_load(&file->size) == 3 * MiB);
	}
	/* Punching past the end grows the file, as writing zeroes would. */
	CHECK(blk_file_co_write_zeroes(file, 2 * MiB, 2 * MiB, true) == 0);
	CHECK(file_bytes(scratch("holes")) == 4 * MiB);
	CHECK(blk_file_co_allocated(file, &bytes) == 0 && bytes <= MiB);
	blk_file_co_close(file);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(longer_when_locked),
		CO_TEST(cut_by_another),
		CO_TEST(refusals),
		CO_TEST(creation),
		CO_TEST(failures),
		cmocka_unit_test(test_partly_written),
		CO_TEST(holes),
	};

	return cmocka_run_group_tests_name("block_file_kernel", tests, NULL, NULL);
}
