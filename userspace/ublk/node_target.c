// SPDX-License-Identifier: GPL-2.0
/*
 * From a request of the kernel to a node of the block layer.
 *
 * Two ways.  Direct: the node says without parking where the bytes are, and
 * one SQE moves them between the image file and the request's buffer.  All
 * else, and whatever goes wrong half-way, is left to a coroutine, which has
 * the block layer do it.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "aio/co.h"
#include "block/io.h"
#include "ublk/node_target.h"
#include "util/log.h"
#include "util/units.h"

static inline struct blk_node *node_of(const struct ublk_request *req)
{
	return container_of(req->target, struct ublk_node_target, target)->node;
}

int ublk_kernel_errno(int error)
{
	switch (error) {
	case 0:
	case -ENOSPC:
	case -EOPNOTSUPP:
	case -ETIMEDOUT:
	case -EILSEQ:
	case -ENODATA:
		return error;
	case -EDQUOT:
	case -EFBIG:
		return -ENOSPC;
	default:
		return -EIO;
	}
}

static const char *op_name(unsigned int op)
{
	static const char *const names[] = {
		[UBLK_IO_OP_READ] = "read",	  [UBLK_IO_OP_WRITE] = "write",
		[UBLK_IO_OP_FLUSH] = "flush",	  [UBLK_IO_OP_DISCARD] = "discard",
		[UBLK_IO_OP_WRITE_SAME] = "same", [UBLK_IO_OP_WRITE_ZEROES] = "write-zeroes",
	};

	return op < ARRAY_SIZE(names) && names[op] ? names[op] : "unknown request";
}

static void log_failure(const struct ublk_request *req, int error)
{
	static struct log_ratelimit limit;

	if (log_allowed(&limit))
		log_error("%s of %" PRIu32 " bytes at %" PRIu64 ": %s", op_name(req->op),
			  req->bytes, req->offset, strerror(-error));
}

static void finish(struct ublk_request *req, int error)
{
	if (error)
		log_failure(req, error);
	ublk_request_complete(req, ublk_kernel_errno(error));
}

/* ---- By coroutine ---- */

static int co_serve(struct blk_node *node, const struct ublk_request *req)
{
	unsigned int fua = req->flags & UBLK_IO_F_FUA ? BLK_REQ_FUA : 0;
	unsigned int unmap = req->flags & UBLK_IO_F_NOUNMAP ? 0 : BLK_REQ_MAY_UNMAP;

	switch (req->op) {
	case UBLK_IO_OP_READ:
		return blk_co_pread(node, req->offset, req->bytes, req->buf, 0);
	case UBLK_IO_OP_WRITE:
		return blk_co_pwrite(node, req->offset, req->bytes, req->buf, fua);
	case UBLK_IO_OP_WRITE_ZEROES:
		return blk_co_pwrite_zeroes(node, req->offset, req->bytes, fua | unmap);
	case UBLK_IO_OP_DISCARD:
		return blk_co_pdiscard(node, req->offset, req->bytes);
	case UBLK_IO_OP_FLUSH:
		return blk_co_flush(node);
	default:
		return -EOPNOTSUPP;
	}
}

static void co_serve_fn(void *arg)
{
	struct ublk_request *req = arg;

	finish(req, co_serve(node_of(req), req));
}

static void serve_by_coroutine(struct ublk_request *req)
{
	int ret = co_start(co_serve_fn, req);

	if (ret < 0)
		finish(req, ret);
}

/* ---- Direct ---- */

static void count_direct(struct blk_node *node, const struct ublk_request *req)
{
	bool read = req->op == UBLK_IO_OP_READ;

	blk_stats_add(&node->stats, BLK_STAT_direct_ops, 1);
	blk_stats_add(&node->stats, read ? BLK_STAT_read_ops : BLK_STAT_write_ops, 1);
	blk_stats_add(&node->stats, read ? BLK_STAT_read_bytes : BLK_STAT_write_bytes, req->bytes);
}

static void on_direct_done(struct aio_op *op, int res, uint32_t cqe_flags)
{
	struct ublk_request *req = container_of(op, struct ublk_request, io);
	struct blk_node *node = node_of(req);

	(void)cqe_flags;
	inflight_end(&node->inflight, req->token);
	if (res >= 0 && (uint32_t)res == req->bytes) {
		count_direct(node, req);
		finish(req, 0);
		return;
	}
	/* Cut short, at the file's end or by a signal: the whole of it the careful way. */
	if (res >= 0 || res == -EINTR || res == -EAGAIN) {
		serve_by_coroutine(req);
		return;
	}
	count_direct(node, req);
	blk_stats_add(&node->stats, BLK_STAT_errors, 1);
	finish(req, res);
}

static void start_direct(struct ublk_request *req, const struct blk_map *map)
{
	struct io_uring_sqe *sqe = aio_get_sqe(aio_loop_current());

	req->io.done = on_direct_done;
	if (req->op == UBLK_IO_OP_READ)
		io_uring_prep_read(sqe, map->file->fd, req->buf, req->bytes, map->file_offset);
	else
		io_uring_prep_write(sqe, map->file->fd, req->buf, req->bytes, map->file_offset);
	aio_sqe_set_op(sqe, &req->io);
}

static bool is_direct(const struct ublk_request *req, const struct blk_map *map)
{
	return map->kind == BLK_MAP_DATA && map->bytes >= req->bytes && map->file &&
	       blk_file_is_aligned(map->file, req->buf, req->bytes, map->file_offset);
}

static void submit_read(struct ublk_request *req)
{
	struct blk_node *node = node_of(req);
	struct blk_map map;

	req->token = inflight_begin(&node->inflight);
	blk_map_read(node, req->offset, req->bytes, &map);
	if (is_direct(req, &map)) {
		start_direct(req, &map);
		return;
	}
	inflight_end(&node->inflight, req->token);
	if (map.kind == BLK_MAP_ZERO && map.bytes >= req->bytes) {
		memset(req->buf, 0, req->bytes);
		count_direct(node, req);
		finish(req, 0);
		return;
	}
	serve_by_coroutine(req);
}

static void submit_write(struct ublk_request *req)
{
	struct blk_node *node = node_of(req);
	struct blk_map map;

	req->token = inflight_begin(&node->inflight);
	blk_map_write(node, req->offset, req->bytes, &map);
	if (is_direct(req, &map)) {
		start_direct(req, &map);
		return;
	}
	inflight_end(&node->inflight, req->token);
	serve_by_coroutine(req);
}

static void node_submit(struct ublk_request *req)
{
	if (req->op == UBLK_IO_OP_READ)
		submit_read(req);
	else if (req->op == UBLK_IO_OP_WRITE && !(req->flags & UBLK_IO_F_FUA))
		submit_write(req);
	else
		serve_by_coroutine(req);
}

void ublk_node_target_init(struct ublk_node_target *target, struct blk_node *node)
{
	target->target.submit = node_submit;
	target->node = node;
}
