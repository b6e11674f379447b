// SPDX-License-Identifier: GPL-2.0
/* Translate the kernel's requests to block-layer requests, and the results back. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "aio/co.h"
#include "block/io.h"
#include "file/file.h"
#include "ublk/node_target.h"
#include "ublk/uapi.h"
#include "util/log.h"
#include "util/units.h"

static inline struct ublk_node_target *target_of(const struct ublk_request *req)
{
	return container_of(req->target, struct ublk_node_target, target);
}

static inline struct blk_node *node_of(const struct ublk_request *req)
{
	return target_of(req)->node;
}

/* Map an errno to one that the kernel's block layer distinguishes; others become -EIO. */
static int kernel_errno(int error)
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

static void node_submit(struct ublk_request *req);

/*
 * Return whether the error of @req may go away when there is room. No later try makes good a
 * flush that has failed for good; and a device's flush that fails may succeed when it is repeated,
 * although data is lost.
 */
static bool may_wait_for_room(const struct ublk_request *req)
{
	const struct blk_file *file = node_of(req)->file;

	return !file || !(blk_file_lost(file) || (req->op == UBLK_IO_OP_FLUSH && file->is_device));
}

static void finish(struct ublk_request *req, int error)
{
	if (error && !may_wait_for_room(req))
		error = kernel_errno(error) == -ENOSPC ? -EIO : error;
	if (ublk_full_holds(&target_of(req)->full, req, error, node_submit)) {
		/* The block layer counted a failure; this one is none yet. */
		blk_stats_add(&node_of(req)->stats, BLK_STAT_errors, -1);
		ublk_gate_leave(req);
		return;
	}
	if (error)
		log_failure(req, error);
	ublk_gate_leave(req);
	ublk_request_complete(req, kernel_errno(error));
}

static void on_done(struct blk_request *io, int ret)
{
	finish(container_of(io, struct ublk_request, io), ret);
}

/* ---- Zero detection in guest writes ---- */

/*
 * Return the detection mode for @req. A FUA write is not scanned: its data is to be
 * durable as data.
 */
static enum detect_zeroes scan_mode(const struct ublk_request *req)
{
	if (req->op != UBLK_IO_OP_WRITE || req->flags & UBLK_IO_F_FUA)
		return DETECT_ZEROES_OFF;
	return atomic_load_explicit(&target_of(req)->detect_zeroes, memory_order_relaxed);
}

static uint64_t first_run(const struct ublk_request *req, uint32_t done, bool *zero)
{
	struct blk_node *node = node_of(req);
	uint32_t unit = max_u64(node->cluster_size, DETECT_ZEROES_UNIT);

	return zero_run((const char *)req->buf + done, req->offset + done, req->bytes - done, unit,
			node->size, zero);
}

/* Count a run of zeroes in a write, and return the flags of the write-zeroes that replaces it. */
static unsigned int found_zeroes(const struct ublk_request *req, uint64_t run)
{
	struct blk_stats *stats = &node_of(req)->stats;

	blk_stats_add(stats, BLK_STAT_detected_zero_ops, 1);
	blk_stats_add(stats, BLK_STAT_detected_zero_bytes, run);
	return scan_mode(req) == DETECT_ZEROES_UNMAP ? BLK_REQ_MAY_UNMAP : 0;
}

/* Serve a write of zeroes and data, run by run. Coroutine. */
static void co_write_runs(void *arg)
{
	struct ublk_request *req = arg;
	struct blk_node *node = node_of(req);
	uint32_t done = 0;
	int ret = 0;

	while (!ret && done < req->bytes) {
		uint64_t offset = req->offset + done, run;
		bool zero;

		run = first_run(req, done, &zero);
		if (zero)
			ret = blk_co_pwrite_zeroes(node, offset, run, found_zeroes(req, run));
		else
			ret = blk_co_pwrite(node, offset, run, (char *)req->buf + done, 0);
		done += run;
	}
	finish(req, ret);
}

/*
 * Detect zeroes in @req, if its mode says so. A write of zeroes alone becomes a
 * write-zeroes in @io. A write of both zeroes and data is served here: returns true.
 */
static bool take_zeroes(struct ublk_request *req, struct blk_request *io)
{
	uint64_t run;
	bool zero;
	int ret;

	if (scan_mode(req) == DETECT_ZEROES_OFF)
		return false;
	blk_stats_add(&node_of(req)->stats, BLK_STAT_scanned_ops, 1);
	run = first_run(req, 0, &zero);
	if (run == req->bytes) {
		if (zero) {
			io->op = BLK_OP_WRITE_ZEROES;
			io->flags = found_zeroes(req, run);
		}
		return false;
	}
	ret = co_start(co_write_runs, req);
	if (ret < 0)
		finish(req, ret);
	return true;
}

/* ---- All requests ---- */

/* Set the operation and flags of @io for @req. Returns 0, or -EOPNOTSUPP. */
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
	int ret;

	if (!ublk_gate_enter(req))
		return;
	ret = translate(req, io);
	if (ret < 0) {
		finish(req, ret);
		return;
	}
	if (take_zeroes(req, io))
		return;
	io->node = node_of(req);
	io->offset = req->offset;
	io->bytes = req->bytes;
	io->buf = req->buf;
	io->done = on_done;
	blk_request_submit(io);
}

void ublk_node_target_init(struct ublk_node_target *target, struct blk_node *node)
{
	ublk_gate_init(&target->gate);
	target->target.submit = node_submit;
	target->target.gate = &target->gate;
	target->node = node;
	atomic_init(&target->detect_zeroes, DETECT_ZEROES_OFF);
	target->full = (struct ublk_full){ 0 };
}

int ublk_node_target_co_exchange(struct ublk_node_target *target, uint64_t timeout_ns,
				 int (*co_change)(void *arg, struct blk_node **node), void *arg,
				 struct error *err)
{
	struct blk_node *node = target->node;
	int ret = ublk_gate_co_close(&target->gate, timeout_ns);

	if (ret)
		return error_set_errno(err, ret, "waiting for requests in flight");
	ret = co_change(arg, &node);
	if (!ret)
		target->node = node;
	ublk_gate_open(&target->gate);
	return ret;
}
