// SPDX-License-Identifier: GPL-2.0
/* From a request of the kernel to one of the block layer, and its result back. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

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

static void on_done(struct blk_request *io, int ret)
{
	finish(container_of(io, struct ublk_request, io), ret);
}

/* What the block layer calls it.  Returns 0, or -EOPNOTSUPP. */
static int translate(const struct ublk_request *req, struct blk_request *io)
{
	unsigned int fua = req->flags & UBLK_IO_F_FUA ? BLK_REQ_FUA : 0;

	io->flags = 0;
	switch (req->op) {
	case UBLK_IO_OP_READ:
		io->op = BLK_OP_READ;
		return 0;
	case UBLK_IO_OP_WRITE:
		io->op = BLK_OP_WRITE;
		io->flags = fua;
		return 0;
	case UBLK_IO_OP_WRITE_ZEROES:
		io->op = BLK_OP_WRITE_ZEROES;
		io->flags = fua | (req->flags & UBLK_IO_F_NOUNMAP ? 0 : BLK_REQ_MAY_UNMAP);
		return 0;
	case UBLK_IO_OP_DISCARD:
		io->op = BLK_OP_DISCARD;
		return 0;
	case UBLK_IO_OP_FLUSH:
		io->op = BLK_OP_FLUSH;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static void node_submit(struct ublk_request *req)
{
	struct blk_request *io = &req->io;
	int ret = translate(req, io);

	if (ret < 0) {
		finish(req, ret);
		return;
	}
	io->node = node_of(req);
	io->offset = req->offset;
	io->bytes = req->bytes;
	io->buf = req->buf;
	io->done = on_done;
	blk_request_submit(io);
}

void ublk_node_target_init(struct ublk_node_target *target, struct blk_node *node)
{
	target->target.submit = node_submit;
	target->node = node;
}
