// SPDX-License-Identifier: GPL-2.0
/*
 * Memory in the place of a file, the example of a protocol: ram://SIZE is all zeroes when it is
 * opened, and is gone when it is closed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "file/protocol.h"
#include "util/units.h"

#define PREFIX "ram://"

static bool ram_matches(const char *filename)
{
	return !strncmp(filename, PREFIX, strlen(PREFIX));
}

static int ram_name_from(struct blk_options *options, char **name, struct error *err)
{
	uint64_t size = 0;
	int ret = blk_options_take_size(options, "size", &size, err);

	if (ret < 0)
		return ret;
	if (asprintf(name, PREFIX "%" PRIu64, size) < 0)
		return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	return 0;
}

static ssize_t ram_co_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			     uint64_t offset)
{
	const uint8_t *from = (uint8_t *)file->remote + offset;
	const uint8_t *begin = from;

	for (int i = 0; i < iovcnt; from += iov[i++].iov_len)
		memcpy(iov[i].iov_base, from, iov[i].iov_len);
	return from - begin;
}

static ssize_t ram_co_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			      uint64_t offset)
{
	uint8_t *to = (uint8_t *)file->remote + offset;
	const uint8_t *begin = to;

	for (int i = 0; i < iovcnt; to += iov[i++].iov_len)
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
	return to - begin;
}

static int ram_co_flush(struct blk_file *file)
{
	(void)file;
	return 0;
}

static int ram_co_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	(void)file;
	(void)mode;
	(void)offset;
	(void)len;
	return -ENOTSUP;
}

static int ram_co_truncate(struct blk_file *file, uint64_t size)
{
	(void)file;
	(void)size;
	return -ENOTSUP;
}

static const struct blk_file_ops ram_file_ops = {
	.co_preadv = ram_co_preadv,
	.co_pwritev = ram_co_pwritev,
	.co_flush = ram_co_flush,
	.co_fallocate = ram_co_fallocate,
	.co_truncate = ram_co_truncate,
};

static int ram_co_open(struct blk_file *file, struct error *err)
{
	const char *text = file->name + strlen(PREFIX);
	uint64_t size;
	void *memory;

	if (parse_size(text, &size) || !size || size % SECTOR_SIZE)
		return error_set(err, -EINVAL, "'%s' is not a size in whole sectors", text);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return error_set_errno(err, -errno, "memory");
	atomic_store(&file->size, size);
	file->remote = memory;
	file->ops = &ram_file_ops;
	return 0;
}

static void ram_co_close(struct blk_file *file)
{
	munmap(file->remote, atomic_load(&file->size));
}

static int ram_co_is_data(struct blk_file *file, uint64_t offset, uint64_t len, uint64_t *run)
{
	(void)file;
	(void)offset;
	*run = len;
	return 1;
}

const struct blk_protocol blk_protocol_ram = {
	.name = "ram",
	.matches = ram_matches,
	.name_from = ram_name_from,
	.co_open = ram_co_open,
	.co_close = ram_co_close,
	.co_is_data = ram_co_is_data,
};
