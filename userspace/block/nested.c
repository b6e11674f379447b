// SPDX-License-Identifier: GPL-2.0
/*
 * A format over a format: an image whose file is another image, as in
 * driver=raw,offset=1M,file.driver=qcow2,file.file.filename=disk.qcow2.
 *
 * The lower image is a node with a chain of its own.  It stands in the place of a file by the
 * operations of a protocol, which no name belongs to.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>

#include "block/io.h"
#include "block/node_internal.h"
#include "file/protocol.h"
#include "util/units.h"

struct nested {
	struct blk_node *node;
	struct co_mutex grow; /* held while the lower image is made longer */
};

static void nested_free(struct nested *nested)
{
	co_mutex_destroy(&nested->grow);
	free(nested);
}

static struct blk_node *node_of(const struct blk_file *file)
{
	const struct nested *nested = file->remote;

	return nested->node;
}

static ssize_t nested_co_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
				uint64_t offset)
{
	struct blk_node *node = node_of(file);
	uint64_t size = atomic_load(&node->size);
	ssize_t done = 0;

	for (int i = 0; i < iovcnt && offset < size; i++) {
		uint64_t n = min_u64(iov[i].iov_len, size - offset);
		int ret = blk_co_pread(node, offset, n, iov[i].iov_base, 0);

		if (ret)
			return ret;
		offset += n;
		done += (ssize_t)n;
	}
	return done;
}

/* Make the lower image at least @end bytes long. */
static int co_grow(struct blk_file *file, uint64_t end)
{
	struct nested *nested = file->remote;
	struct error err = ERROR_INIT;
	int ret = 0;

	if (end <= atomic_load(&nested->node->size))
		return 0;
	co_mutex_lock(&nested->grow);
	if (end > atomic_load(&nested->node->size))
		ret = blk_co_truncate(nested->node, round_up(end, SECTOR_SIZE), &err);
	co_mutex_unlock(&nested->grow);
	error_free(&err);
	return ret;
}

static ssize_t nested_co_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
				 uint64_t offset)
{
	uint64_t start = offset, end = offset;
	int ret;

	for (int i = 0; i < iovcnt; i++)
		end += iov[i].iov_len;
	ret = co_grow(file, end);
	for (int i = 0; i < iovcnt && !ret; i++) {
		ret = blk_co_pwrite(node_of(file), offset, iov[i].iov_len, iov[i].iov_base, 0);
		offset += iov[i].iov_len;
	}
	return ret ? ret : (ssize_t)(end - start);
}

static int nested_co_flush(struct blk_file *file)
{
	return blk_co_sync(node_of(file));
}

static int nested_co_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	struct blk_node *node = node_of(file);
	uint64_t size = atomic_load(&node->size);
	bool punch = mode & FALLOC_FL_PUNCH_HOLE;

	if (!punch && (!(mode & FALLOC_FL_ZERO_RANGE) || offset + len > size))
		return -EOPNOTSUPP;
	if (offset >= size)
		return 0;
	return blk_co_pwrite_zeroes(node, offset, min_u64(len, size - offset),
				    punch ? BLK_REQ_MAY_UNMAP : 0);
}

static int nested_co_truncate(struct blk_file *file, uint64_t size)
{
	struct nested *nested = file->remote;
	struct error err = ERROR_INIT;
	uint64_t old;
	int ret;

	co_mutex_lock(&nested->grow);
	ret = blk_co_truncate(nested->node, round_up(size, SECTOR_SIZE), &err);
	old = atomic_load(&nested->node->size);
	/* Few formats shrink: what is cut off has to read as zeroes when it grows again. */
	if (ret == -ENOTSUP && size < old)
		ret = blk_co_pwrite_zeroes(nested->node, size, old - size, BLK_REQ_MAY_UNMAP);
	co_mutex_unlock(&nested->grow);
	error_free(&err);
	return ret;
}

static const struct blk_file_ops nested_ops = {
	.co_preadv = nested_co_preadv,
	.co_pwritev = nested_co_pwritev,
	.co_flush = nested_co_flush,
	.co_fallocate = nested_co_fallocate,
	.co_truncate = nested_co_truncate,
};

static int nested_co_is_data(struct blk_file *file, uint64_t offset, uint64_t len, uint64_t *run)
{
	struct blk_status status;
	int ret = blk_co_status(node_of(file), offset, len, &status);

	*run = status.bytes;
	return ret ? ret : !status.zero;
}

static int nested_co_allocated(struct blk_file *file, uint64_t *bytes)
{
	return blk_file_co_allocated(node_of(file)->file, bytes);
}

static int nested_co_identify(struct blk_file *file, struct blk_file_identity *identity)
{
	return blk_file_co_identify(node_of(file)->file, false, identity);
}

static void nested_co_close(struct blk_file *file)
{
	struct nested *nested = file->remote;

	/* The upper image's flush has reported any error of a write. */
	(void)blk_co_close(nested->node);
	nested_free(nested);
}

static const struct blk_protocol protocol_nested = {
	.name = "nested",
	.co_close = nested_co_close,
	.co_is_data = nested_co_is_data,
	.co_allocated = nested_co_allocated,
	.co_identify = nested_co_identify,
};

struct blk_node *blk_nested_node(const struct blk_file *file)
{
	return file->protocol == &protocol_nested ? node_of(file) : NULL;
}

int blk_co_open_nested(struct blk_file **file, const char *name, const char *filename,
		       const struct blk_open_opts *opts, struct error *err)
{
	struct nested *nested;
	int ret;

	if (opts->nesting > BLK_MAX_NESTING)
		return error_set(err, -ELOOP, "more than %u images lie on top of each other",
				 BLK_MAX_NESTING);
	nested = calloc(1, sizeof(*nested));
	if (!nested)
		return error_set_errno(err, -ENOMEM, "%s", name);
	co_mutex_init(&nested->grow);
	ret = blk_co_open(&nested->node, filename, opts, err);
	if (ret) {
		nested_free(nested);
		return ret;
	}
	*file = blk_file_new(name, opts->flags & BLK_O_RDWR, &protocol_nested, nested);
	if (!*file) {
		(void)blk_co_close(nested->node);
		nested_free(nested);
		return error_set_errno(err, -ENOMEM, "%s", name);
	}
	(*file)->ops = &nested_ops;
	atomic_store(&(*file)->size, atomic_load(&nested->node->size));
	return 0;
}
