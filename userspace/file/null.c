// SPDX-License-Identifier: GPL-2.0
/*
 * An image without storage: writes are discarded, and reads return at once.  It
 * measures the cost of everything but the image.
 *
 * The name is QEMU's, null-co://, with 1 GiB as there; null-co://SIZE sets the size.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "file/protocol.h"
#include "util/units.h"

#define PREFIX	     "null-co://"
#define DEFAULT_SIZE GiB

static bool null_matches(const char *filename)
{
	return !strncmp(filename, "null-co:", strlen("null-co:"));
}

static int null_name_from(struct blk_options *options, char **name, struct error *err)
{
	uint64_t size;
	int has_size = blk_options_take_size(options, "size", &size, err);

	if (has_size < 0)
		return has_size;
	/* Ignored: nothing is kept, and this protocol exists to be fast. */
	(void)blk_options_take(options, "read-zeroes");
	(void)blk_options_take(options, "latency-ns");
	*name = NULL;
	if (!has_size)
		*name = strdup(PREFIX);
	else if (asprintf(name, PREFIX "%" PRIu64, size) < 0)
		*name = NULL;
	if (!*name)
		return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	return 0;
}

static size_t iov_bytes(const struct iovec *iov, int iovcnt)
{
	size_t sum = 0;

	for (int i = 0; i < iovcnt; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* Only reads by a coroutine come here, and their buffers must not keep their old bytes. */
static ssize_t null_co_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			      uint64_t offset)
{
	(void)file;
	(void)offset;
	for (int i = 0; i < iovcnt; i++)
		memset(iov[i].iov_base, 0, iov[i].iov_len);
	return (ssize_t)iov_bytes(iov, iovcnt);
}

static ssize_t null_co_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			       uint64_t offset)
{
	(void)file;
	(void)offset;
	return (ssize_t)iov_bytes(iov, iovcnt);
}

static int null_co_flush(struct blk_file *file)
{
	(void)file;
	return 0;
}

static int null_co_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	(void)file;
	(void)mode;
	(void)offset;
	(void)len;
	return 0;
}

static int null_co_truncate(struct blk_file *file, uint64_t size)
{
	(void)file;
	(void)size;
	return -ENOTSUP;
}

static const struct blk_file_ops null_file_ops = {
	.co_preadv = null_co_preadv,
	.co_pwritev = null_co_pwritev,
	.co_flush = null_co_flush,
	.co_fallocate = null_co_fallocate,
	.co_truncate = null_co_truncate,
};

static int null_co_open(struct blk_file *file, struct error *err)
{
	const char *text = file->name + strlen(PREFIX);
	uint64_t size = DEFAULT_SIZE;

	if (strncmp(file->name, PREFIX, strlen(PREFIX)))
		return error_set(err, -EINVAL,
				 "The only allowed filename for this driver is 'null-co://'");
	if (*text && (parse_size(text, &size) || size > INT64_MAX - SECTOR_SIZE))
		return error_set(err, -EINVAL, "'%s' is not a size", text);
	atomic_store(&file->size, round_up(size, SECTOR_SIZE));
	file->ops = &null_file_ops;
	return 0;
}

static void null_co_close(struct blk_file *file)
{
	(void)file;
}

static int null_co_allocated(struct blk_file *file, uint64_t *bytes)
{
	(void)file;
	*bytes = 0;
	return 0;
}

static int null_co_is_data(struct blk_file *file, uint64_t offset, uint64_t len, uint64_t *run)
{
	(void)file;
	(void)offset;
	*run = len;
	return 0;
}

const struct blk_protocol blk_protocol_null = {
	.name = "null-co",
	.keeps_nothing = true,
	.matches = null_matches,
	.name_from = null_name_from,
	.co_open = null_co_open,
	.co_close = null_co_close,
	.co_is_data = null_co_is_data,
	.co_allocated = null_co_allocated,
};
