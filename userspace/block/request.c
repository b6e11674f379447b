// SPDX-License-Identifier: GPL-2.0
/*
 * Requests with a callback: directly to the file where possible, else by a
 * coroutine.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "aio/co.h"
#include "block/io.h"
#include "block/request.h"
#include "util/units.h"

/* ---- By coroutine ---- */

static int co_serve(const struct blk_request *req)
{
	struct blk_node *node = req->node;

	switch (req->op) {
	case BLK_OP_READ:
		return blk_co_pread(node, req->offset, req->bytes, req->buf, req->flags);
	case BLK_OP_WRITE:
		return blk_co_pwrite(node, req->offset, req->bytes, req->buf, req->flags);
	case BLK_OP_WRITE_ZEROES:
		return blk_co_pwrite_zeroes(node, req->offset, req->bytes, req->flags);
	case BLK_OP_DISCARD:
		return blk_co_pdiscard(node, req->offset, req->bytes);
	case BLK_OP_FLUSH:
		return blk_co_flush(node);
	}
	return -EOPNOTSUPP;
}

static void co_serve_fn(void *arg)
{
	struct blk_request *req = arg;

	req->done(req, co_serve(req));
}

static void serve_by_coroutine(struct blk_request *req)
{
	int ret = co_start(co_serve_fn, req);

	if (ret < 0)
		req->done(req, ret);
}

/* ---- Direct ---- */

static void finish_direct(struct blk_request *req, int ret)
{
	struct blk_stats *stats = &req->node->stats;
	bool read = req->op == BLK_OP_READ;

	inflight_end(&req->node->inflight, req->token);
	blk_stats_add(stats, BLK_STAT_direct_ops, 1);
	blk_stats_add(stats, read ? BLK_STAT_read_ops : BLK_STAT_write_ops, 1);
	blk_stats_add(stats, read ? BLK_STAT_read_bytes : BLK_STAT_write_bytes, req->bytes);
	if (ret)
		blk_stats_add(stats, BLK_STAT_errors, 1);
	req->done(req, ret);
}

/* @res is the number of bytes transferred, or a negative errno. */
static void end_direct(struct blk_request *req, int res)
{
	if (res >= 0 && (uint32_t)res == req->bytes) {
		finish_direct(req, 0);
		return;
	}
	/* Short, at the file's end or by a signal: a coroutine repeats the whole request. */
	if (res >= 0 || res == -EINTR || res == -EAGAIN) {
		inflight_end(&req->node->inflight, req->token);
		serve_by_coroutine(req);
		return;
	}
	finish_direct(req, res);
}

static void on_direct_done(struct aio_op *op, int res, uint32_t cqe_flags)
{
	(void)cqe_flags;
	end_direct(container_of(op, struct blk_request, io), res);
}

/*
 * Files in memory: the I/O is a copy, which never waits.  io_uring does not know
 * that (tmpfs has no IOCB_NOWAIT) and passes each request to a kernel thread,
 * which costs several times the copy.  Long copies still go to io_uring: here
 * they would delay other requests of this loop, and there another processor may
 * run them.
 */
#define MAX_COPY_BYTES (32 * KiB)

static bool is_short_copy(const struct blk_request *req, const struct blk_map *map)
{
	return map->file->in_memory && req->bytes <= MAX_COPY_BYTES;
}

static void copy_directly(struct blk_request *req, const struct blk_map *map)
{
	ssize_t n;

	if (req->op == BLK_OP_READ)
		n = pread(map->file->fd, req->buf, req->bytes, (off_t)map->file_offset);
	else
		n = pwrite(map->file->fd, req->buf, req->bytes, (off_t)map->file_offset);
	end_direct(req, n < 0 ? -errno : (int)n);
}

static void start_direct(struct blk_request *req, const struct blk_map *map)
{
	struct io_uring_sqe *sqe;

	if (is_short_copy(req, map)) {
		copy_directly(req, map);
		return;
	}
	sqe = aio_get_sqe(aio_loop_current());
	req->io.done = on_direct_done;
	if (req->op == BLK_OP_READ)
		io_uring_prep_read(sqe, map->file->fd, req->buf, req->bytes, map->file_offset);
	else
		io_uring_prep_write(sqe, map->file->fd, req->buf, req->bytes, map->file_offset);
	aio_sqe_set_op(sqe, &req->io);
}

/* Can the request be tried without a coroutine? */
static bool may_be_direct(const struct blk_request *req)
{
	return (req->op == BLK_OP_READ || req->op == BLK_OP_WRITE) && !req->flags && req->bytes;
}

static bool is_inside(const struct blk_request *req)
{
	uint64_t size = atomic_load_explicit(&req->node->size, memory_order_acquire);

	return req->offset < size && req->bytes <= size - req->offset;
}

static void map_request(const struct blk_request *req, struct blk_map *map)
{
	if (req->op == BLK_OP_READ)
		blk_map_read(req->node, req->offset, req->bytes, map);
	else
		blk_map_write(req->node, req->offset, req->bytes, map);
}

/* Serve @req as @map allows; false, with nothing done, if it needs a coroutine. */
static bool serve_directly(struct blk_request *req, const struct blk_map *map)
{
	if (map->bytes < req->bytes)
		return false;
	switch (map->kind) {
	case BLK_MAP_DATA:
		if (!map->file ||
		    !blk_file_is_aligned(map->file, req->buf, req->bytes, map->file_offset))
			return false;
		start_direct(req, map);
		return true;
	case BLK_MAP_ZERO:
		memset(req->buf, 0, req->bytes);
		finish_direct(req, 0);
		return true;
	case BLK_MAP_NOWHERE:
		finish_direct(req, 0);
		return true;
	default:
		return false;
	}
}

void blk_request_submit(struct blk_request *req)
{
	struct blk_map map;

	if (may_be_direct(req)) {
		/* Before the size is read: a caller that makes the node shorter waits for this. */
		req->token = inflight_begin(&req->node->inflight);
		if (is_inside(req)) {
			map_request(req, &map);
			if (serve_directly(req, &map))
				return;
		}
		inflight_end(&req->node->inflight, req->token);
	}
	serve_by_coroutine(req);
}
