// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's operations on image files, through the loop's engine.
 *
 * Short transfers are continued here, so that callers need not do it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "aio/sys.h"
#include "file/file.h"
#include "util/units.h"

/* The rest of a vector after a part of it was transferred. */
struct iov_cursor {
	const struct iovec *iov;
	int count;
	size_t skip; /* bytes of iov[0] that are done */
};

static void advance(struct iov_cursor *cur, size_t done)
{
	cur->skip += done;
	while (cur->count && cur->skip >= cur->iov->iov_len) {
		cur->skip -= cur->iov->iov_len;
		cur->iov++;
		cur->count--;
	}
}

typedef ssize_t transfer_fn(int fd, const struct iovec *iov, int iovcnt, uint64_t offset);

/* Transfer once: the whole rest, or the rest of an element that was begun. */
static ssize_t transfer_some(transfer_fn *transfer, int fd, const struct iov_cursor *cur,
			     uint64_t offset)
{
	struct iovec rest;

	if (!cur->skip)
		return transfer(fd, cur->iov, (int)min_u64((uint64_t)cur->count, IOV_MAX), offset);
	rest.iov_base = (char *)cur->iov->iov_base + cur->skip;
	rest.iov_len = cur->iov->iov_len - cur->skip;
	return transfer(fd, &rest, 1, offset);
}

/*
 * Transfer all, or until @transfer returns 0 or a count that is not a multiple of @unit, bytes.
 * Returns the bytes transferred, or a negative errno.
 */
static ssize_t transfer_all(transfer_fn *transfer, int fd, const struct iovec *iov, int iovcnt,
			    uint64_t offset, uint32_t unit)
{
	struct iov_cursor cur = { iov, iovcnt, 0 };
	size_t done = 0;

	advance(&cur, 0);
	while (cur.count) {
		ssize_t n = transfer_some(transfer, fd, &cur, offset + done);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return n;
		done += (size_t)n;
		if (!n || n & (unit - 1))
			break;
		advance(&cur, (size_t)n);
	}
	return (ssize_t)done;
}

static ssize_t write_some(int fd, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	return aio_co_pwritev(fd, iov, iovcnt, offset, 0);
}

static ssize_t kernel_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			     uint64_t offset)
{
	/* A count from which O_DIRECT cannot continue means the end of the file. */
	return transfer_all(aio_co_preadv, file->fd, iov, iovcnt, offset, file->align);
}

static size_t iov_bytes(const struct iovec *iov, int iovcnt)
{
	size_t sum = 0;

	for (int i = 0; i < iovcnt; i++)
		sum += iov[i].iov_len;
	return sum;
}

static ssize_t kernel_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			      uint64_t offset)
{
	ssize_t done = transfer_all(write_some, file->fd, iov, iovcnt, offset, file->align);

	if (done >= 0 && (size_t)done != iov_bytes(iov, iovcnt))
		return -EIO;
	return done;
}

static ssize_t write_durably(int fd, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	return aio_co_pwritev(fd, iov, iovcnt, offset, RWF_DSYNC);
}

static ssize_t kernel_pwritev_durable(struct blk_file *file, const struct iovec *iov, int iovcnt,
				      uint64_t offset)
{
	ssize_t done = transfer_all(write_durably, file->fd, iov, iovcnt, offset, file->align);

	return done >= 0 && (size_t)done != iov_bytes(iov, iovcnt) ? -EIO : done;
}

static int kernel_flush(struct blk_file *file)
{
	return aio_co_fdatasync(file->fd);
}

static int kernel_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	int ret;

	do
		ret = aio_co_fallocate(file->fd, mode, offset, len);
	while (ret == -EINTR);
	return ret;
}

struct truncate_call {
	int fd;
	uint64_t size;
};

static int truncate_on_worker(void *arg)
{
	struct truncate_call *call = arg;

	while (ftruncate(call->fd, (off_t)call->size) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int kernel_truncate(struct blk_file *file, uint64_t size)
{
	struct truncate_call call = { file->fd, size };

	return aio_co_call(truncate_on_worker, &call);
}

static ssize_t kernel_pwrite_tail(struct blk_file *file, const void *buf, size_t len,
				  uint64_t offset)
{
	struct iovec iov = { (void *)buf, len };
	ssize_t done = transfer_all(write_durably, file->tail_fd, &iov, 1, offset, 1);

	return done >= 0 && (size_t)done != len ? -EIO : done;
}

static int drop_cache_on_worker(void *arg)
{
	const struct blk_file *file = arg;
	int ret = posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);

	/* A kernel can be built without fadvise (CONFIG_ADVISE_SYSCALLS). */
	return ret == ENOSYS ? 0 : -ret;
}

static int kernel_drop_cache(struct blk_file *file)
{
	return aio_co_call(drop_cache_on_worker, file);
}

const struct blk_file_ops blk_file_kernel_ops = {
	.co_preadv = kernel_preadv,
	.co_pwritev = kernel_pwritev,
	.co_pwritev_durable = kernel_pwritev_durable,
	.co_flush = kernel_flush,
	.co_fallocate = kernel_fallocate,
	.co_truncate = kernel_truncate,
	.co_pwrite_tail = kernel_pwrite_tail,
	.co_drop_cache = kernel_drop_cache,
};
