/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common code of the tests of image files: modes of opening one, and the kernel's
 * operations with counters and fault injection.
 */
#ifndef QEDBLK_TEST_BLOCK_FILE_H
#define QEDBLK_TEST_BLOCK_FILE_H

#include "test_block_common.h"

#include "file/file.h"

/* ---- modes of opening a file ---- */

struct mode {
	const char *name;
	bool direct;
	uint32_t align; /* simulate a disk with blocks of this size; 0: do not */
	bool exact_end;
};

static const struct mode modes[] __attribute__((unused)) = {
	{ "buffered", false, 0, false },	  { "direct", true, 0, false },
	{ "direct, 4096", true, 4096, false },	  { "direct, 4096, exact end", true, 4096, true },
	{ "buffered, 4096", false, 4096, false },
};

/* The kernel's operations, counted, with fault injection. */

static _Atomic unsigned long operations;
static int inject_read, inject_write; /* errno of the next operations */
static int inject_fallocate;
static ssize_t inject_short = -1; /* bytes that the next write writes */

static inline void check_aligned(struct blk_file *file, const struct iovec *iov, int iovcnt,
				 uint64_t offset)
{
	atomic_fetch_add(&operations, 1);
	CHECK(!(offset & (file->align - 1)));
	for (int i = 0; i < iovcnt; i++) {
		CHECK(!(iov[i].iov_len & (file->align - 1)));
		CHECK(!((uintptr_t)iov[i].iov_base & (file->mem_align - 1)));
	}
}

static inline ssize_t watched_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
				     uint64_t offset)
{
	check_aligned(file, iov, iovcnt, offset);
	if (inject_read)
		return -inject_read;
	return blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);
}

static inline ssize_t watched_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
				      uint64_t offset)
{
	check_aligned(file, iov, iovcnt, offset);
	if (inject_write)
		return -inject_write;
	if (inject_short >= 0)
		return inject_short;
	return blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

static inline int watched_flush(struct blk_file *file)
{
	return blk_file_kernel_ops.co_flush(file);
}

static inline int watched_fallocate(struct blk_file *file, int how, uint64_t offset, uint64_t len)
{
	atomic_fetch_add(&operations, 1);
	if (inject_fallocate)
		return -inject_fallocate;
	return blk_file_kernel_ops.co_fallocate(file, how, offset, len);
}

static inline int watched_truncate(struct blk_file *file, uint64_t size)
{
	return blk_file_kernel_ops.co_truncate(file, size);
}

static inline ssize_t watched_tail(struct blk_file *file, const void *buf, size_t len,
				   uint64_t offset)
{
	CHECK(file->exact_end && file->tail_fd >= 0);
	return blk_file_kernel_ops.co_pwrite_tail(file, buf, len, offset);
}

static const struct blk_file_ops watched_ops = {
	.co_preadv = watched_preadv,
	.co_pwritev = watched_pwritev,
	.co_flush = watched_flush,
	.co_fallocate = watched_fallocate,
	.co_truncate = watched_truncate,
	.co_pwrite_tail = watched_tail,
};

static inline struct blk_file *open_mode(const char *path, const struct mode *mode)
{
	unsigned int flags = BLK_FILE_RDWR | BLK_FILE_CREATE | (mode->direct ? BLK_FILE_DIRECT : 0);
	struct error err = ERROR_INIT;
	struct blk_file *file;

	CHECK(blk_file_co_open(&file, path, flags, 0, 0, &err) == 0);
	if (mode->direct && !file->direct)
		printf("no O_DIRECT on %s: buffered instead\n", path);
	if (mode->align)
		CHECK(blk_file_set_align(file, mode->align, mode->align) == 0);
	if (mode->exact_end)
		CHECK(blk_file_co_keep_exact_end(file, &err) == 0);
	file->ops = &watched_ops;
	return file;
}

#endif
