/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common code of the tests of block/: a scratch directory on disk, and a format with
 * images in memory and fault injection.
 */
#ifndef QEDBLK_TEST_BLOCK_COMMON_H
#define QEDBLK_TEST_BLOCK_COMMON_H

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "test_aio_common.h"

#include "block/io.h"
#include "block/zero.h"
#include "populate/populate.h"

extern const struct blk_driver blk_driver_raw;

/* A flag of the tests' own open functions, not of blk_co_open(): copy-on-read for all reads. */
#define OPEN_COPY_ON_READ (1u << 31)

/* ---- scratch files ---- */

static char scratch_dir[256];

static inline int scratch_remove_one(const char *path, const struct stat *st, int type,
				     struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void scratch_remove(void)
{
	if (scratch_dir[0])
		nftw(scratch_dir, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Return the path of @name in the test's directory (static memory, a few at a time). */
static inline const char *scratch(const char *name)
{
	static char paths[8][512];
	static unsigned int next;
	char *path = paths[next++ % 8];

	if (!scratch_dir[0]) {
		const char *tmp = getenv("TMPDIR");

		snprintf(scratch_dir, sizeof(scratch_dir), "%s/block-test-XXXXXX",
			 tmp ? tmp : "/var/tmp");
		CHECK(mkdtemp(scratch_dir));
		atexit(scratch_remove);
	}
	snprintf(path, sizeof(paths[0]), "%s/%s", scratch_dir, name);
	return path;
}

/* Create a file of @size bytes that begins with the @len bytes of @data. */
static inline void make_file(const char *path, const void *data, size_t len, uint64_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK(pwrite(fd, data, len, 0) == (ssize_t)len);
	CHECK(ftruncate(fd, (off_t)size) == 0);
	CHECK(close(fd) == 0);
}

static inline uint64_t file_bytes(const char *path)
{
	struct stat st;

	CHECK(stat(path, &st) == 0);
	return (uint64_t)st.st_size;
}

#endif
