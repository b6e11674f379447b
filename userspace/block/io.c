// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to a node: check them, count them, split them into bounded pieces, and
 * pass them to the driver.
 */
#include <errno.h>
#include <string.h>

#include "block/filter.h"
#include "block/io.h"
#include "block/node_internal.h"
#include "file/image_lock.h"
#include "util/units.h"

/*
 * The longest request that a driver gets, in bytes.  Pieces end on multiples of
 * it, hence on cluster boundaries.
 */
#define MAX_PIECE (1 * GiB)

static uint64_t piece_len(uint64_t offset, uint64_t bytes)
{
	return min_u64(bytes, MAX_PIECE - offset % MAX_PIECE);
}

/* May a request for this range be made at all? */
static int check_request(struct blk_node *node, uint64_t offset, uint64_t bytes, bool writes)
{
	uint64_t size = atomic_load_explicit(&node->size, memory_order_acquire);

	if (offset > size || bytes > size - offset)
		return -EIO;
	if (writes && !(node->flags & BLK_O_RDWR))
		return -EPERM;
	return 0;
}

/* End a request: leave node->inflight, count a failure. */
static int request_end(struct blk_node *node, unsigned int token, int ret)
{
	if (ret)
		blk_stats_add(&node->stats, BLK_STAT_errors, 1);
	inflight_end(&node->inflight, token);
	return ret;
}

static void count(struct blk_node *node, enum blk_stat ops, enum blk_stat amount, uint64_t bytes)
{
	blk_stats_add(&node->stats, ops, 1);
	blk_stats_add(&node->stats, amount, bytes);
}

static int read_pieces(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf,
		       unsigned int flags)
{
	bool filtered = blk_filter_takes(node, flags);
	int ret = 0;

	while (bytes && !ret) {
		uint64_t n = piece_len(offset, bytes);

		ret = filtered ? node->filter->ops->co_read(node, offset, n, buf) :
				 node->driver->co_pread(node, offset, n, buf);
		offset += n;
		bytes -= n;
		buf = (char *)buf + n;
	}
	return ret;
}

int blk_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf,
		 unsigned int flags)
{
	unsigned int token = inflight_begin(&node->inflight);
	int ret = check_request(node, offset, bytes, false);

	count(node, BLK_STAT_read_ops, BLK_STAT_read_bytes, ret ? 0 : bytes);
	if (!ret && blk_filter_watches(node))
		node->filter->ops->seen(node, offset, bytes);
	if (!ret)
		ret = read_pieces(node, offset, bytes, buf, flags);
	return request_end(node, token, ret);
}

static int write_pieces(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
			unsigned int flags)
{
	int ret = 0;

	while (bytes && !ret) {
		uint64_t n = piece_len(offset, bytes);

		ret = node->driver->co_pwrite(node, offset, n, buf, flags & ~BLK_REQ_FUA);
		offset += n;
		bytes -= n;
		buf = (const char *)buf + n;
	}
	return ret;
}

/* Write with FUA by the driver's shortcut; -ENOTSUP where it has none. */
static int write_durably(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
			 unsigned int flags)
{
	if (!(flags & BLK_REQ_FUA) || !bytes || !node->driver->co_pwrite_durable)
		return -ENOTSUP;
	return node->driver->co_pwrite_durable(node, offset, bytes, buf);
}

/* FUA: one flush after all pieces, so that drivers need not handle the flag. */
static int finish_write(struct blk_node *node, unsigned int flags, int ret)
{
	if (!ret && (flags & BLK_REQ_FUA))
		ret = node->driver->co_flush(node);
	return ret;
}

int blk_co_pwrite(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
		  unsigned int flags)
{
	unsigned int token = inflight_begin(&node->inflight);
	int ret = check_request(node, offset, bytes, true);

	count(node, BLK_STAT_write_ops, BLK_STAT_write_bytes, ret ? 0 : bytes);
	if (ret)
		return request_end(node, token, ret);
	ret = write_durably(node, offset, bytes, buf, flags);
	if (ret == -ENOTSUP) {
		ret = write_pieces(node, offset, bytes, buf, flags);
		ret = finish_write(node, flags, ret);
	}
	return request_end(node, token, ret);
}

static int zero_pieces(struct blk_node *node, uint64_t offset, uint64_t bytes, unsigned int flags)
{
	int ret = 0;

	while (bytes && !ret) {
		uint64_t n = piece_len(offset, bytes);

		ret = blk_co_do_write_zeroes(node, offset, n, flags & ~BLK_REQ_FUA);
		offset += n;
		bytes -= n;
	}
	return ret;
}

int blk_co_pwrite_zeroes(struct blk_node *node, uint64_t offset, uint64_t bytes, unsigned int flags)
{
	unsigned int token = inflight_begin(&node->inflight);
	int ret = check_request(node, offset, bytes, true);

	count(node, BLK_STAT_zero_ops, BLK_STAT_zero_bytes, ret ? 0 : bytes);
	if (!ret)
		ret = zero_pieces(node, offset, bytes, flags);
	return request_end(node, token, finish_write(node, flags, ret));
}

static int discard_pieces(struct blk_node *node, uint64_t offset, uint64_t bytes)
{
	int ret = 0;

	while (bytes && !ret) {
		uint64_t n = piece_len(offset, bytes);

		ret = node->driver->co_pdiscard(node, offset, n);
		offset += n;
		bytes -= n;
	}
	/* A discard is a hint: that it is unsupported is no error. */
	return ret == -ENOTSUP ? 0 : ret;
}

int blk_co_pdiscard(struct blk_node *node, uint64_t offset, uint64_t bytes)
{
	unsigned int token = inflight_begin(&node->inflight);
	int ret = check_request(node, offset, bytes, true);

	count(node, BLK_STAT_discard_ops, BLK_STAT_discard_bytes, ret ? 0 : bytes);
	if (!ret && node->driver->co_pdiscard && !(node->flags & BLK_O_DISCARD_IGNORE))
		ret = discard_pieces(node, offset, bytes);
	return request_end(node, token, ret);
}

int blk_co_flush(struct blk_node *node)
{
	unsigned int token = inflight_begin(&node->inflight);
	int ret = 0;

	blk_stats_add(&node->stats, BLK_STAT_flush_ops, 1);
	if (node->flags & BLK_O_RDWR)
		ret = node->driver->co_flush(node);
	return request_end(node, token, ret);
}

int blk_co_sync(struct blk_node *node)
{
	unsigned int token = inflight_begin(&node->inflight);
	int ret = 0;

	if (node->flags & BLK_O_RDWR)
		ret = node->driver->co_sync ? node->driver->co_sync(node) :
					      node->driver->co_flush(node);
	return request_end(node, token, ret);
}

static int permit_resize(struct blk_node *node, struct error *err)
{
	return blk_co_permit(node, IMAGE_PERM_RESIZE, IMAGE_PERM_ALL, err);
}

static int check_truncate(struct blk_node *node, struct error *err)
{
	if (!(node->flags & BLK_O_RDWR))
		return error_set_errno(err, -EPERM, "cannot resize");
	if (!node->driver->co_truncate)
		return error_set(err, -ENOTSUP, "Image format driver does not support resize");
	return permit_resize(node, err);
}

/*
 * Let no request for what lies beyond @size begin, and yield until those that did are over.  A
 * request reads the size only after it is counted in node->inflight.
 */
static void cut_off_requests(struct blk_node *node, uint64_t size)
{
	atomic_store(&node->size, size);
	blk_co_wait_requests(node);
}

int blk_co_truncate(struct blk_node *node, uint64_t size, struct error *err)
{
	uint64_t old = atomic_load(&node->size);
	int ret = check_truncate(node, err);
	bool shrinks = !ret && size < old, unsure = false;
	unsigned int token;

	if (shrinks)
		cut_off_requests(node, size);
	token = inflight_begin(&node->inflight);
	if (!ret)
		ret = node->driver->co_truncate(node, size, &unsure, err);
	/* What is written behind the new end would be lost if the image has that already. */
	if (ret && shrinks && !unsure)
		atomic_store(&node->size, old);
	if (ret) {
		error_set_errno(err, ret, "cannot resize");
		blk_error_name_file(err, node->filename);
	}
	return request_end(node, token, ret);
}

static int check_prealloc(const struct blk_node *node, uint64_t size, enum blk_prealloc mode,
			  struct error *err)
{
	const char *name = blk_prealloc_names[mode];

	if (mode == BLK_PREALLOC_OFF)
		return 0;
	if (!node->driver->co_preallocate)
		return error_set(err, -ENOTSUP, "Unsupported preallocation mode '%s'", name);
	if (size < node->size)
		return error_set(err, -EINVAL, "Cannot use preallocation for shrinking files");
	if (mode == BLK_PREALLOC_METADATA)
		return error_set(err, -ENOTSUP, "Unsupported preallocation mode: %s", name);
	return 0;
}

int blk_co_resize(struct blk_node *node, uint64_t size, enum blk_prealloc mode, struct error *err)
{
	uint64_t old = atomic_load(&node->size);
	const char *failure = NULL;
	int ret = check_prealloc(node, size, mode, err);

	if (!ret)
		ret = permit_resize(node, err);
	if (ret)
		return ret;
	if (mode == BLK_PREALLOC_FALLOC && size > old) {
		ret = node->driver->co_preallocate(node, mode, old, size - old);
		failure = "preallocate";
	}
	if (!ret) {
		ret = blk_co_truncate(node, size, err);
		if (ret)
			return ret;
	}
	if (!ret && mode == BLK_PREALLOC_FULL && size > old) {
		ret = node->driver->co_preallocate(node, mode, old, size - old);
		failure = "write zeros to";
	}
	if (!ret)
		return 0;
	(void)blk_co_truncate(node, old, NULL);
	return error_set(err, ret, "Could not %s new data: %s", failure, strerror(-ret));
}

int blk_co_pread_backing(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf)
{
	struct blk_node *backing = node->backing;
	uint64_t size = backing ? atomic_load(&backing->size) : 0;
	uint64_t there = offset < size ? min_u64(bytes, size - offset) : 0;
	int ret = 0;

	if (there) {
		ret = blk_co_pread(backing, offset, there, buf, 0);
		blk_stats_add(&node->stats, BLK_STAT_backing_read_bytes, there);
	}
	if (there < bytes)
		memset((char *)buf + there, 0, bytes - there);
	return ret;
}
