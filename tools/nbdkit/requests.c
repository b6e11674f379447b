// SPDX-License-Identifier: GPL-2.0
/* NBD's requests as calls of the block layer. */
#include <errno.h>
#include <stdatomic.h>

#include "block/driver.h"
#include "block/io.h"
#include "populate/populate.h"
#include "nbdkit/requests.h"
#include "util/units.h"

int request_co_pread(struct engine_call *call)
{
	return blk_co_pread(call->node, call->offset, call->bytes, call->buf, 0);
}

int request_co_pwrite(struct engine_call *call)
{
	return blk_co_pwrite(call->node, call->offset, call->bytes, call->buf, call->flags);
}

int request_co_zero(struct engine_call *call)
{
	return blk_co_pwrite_zeroes(call->node, call->offset, call->bytes, call->flags);
}

int request_co_trim(struct engine_call *call)
{
	int ret = blk_co_pdiscard(call->node, call->offset, call->bytes);

	if (!ret && (call->flags & BLK_REQ_FUA))
		ret = blk_co_flush(call->node);
	return ret;
}

int request_co_flush(struct engine_call *call)
{
	return blk_co_flush(call->node);
}

/* Append a run, or extend the last one. Returns false if there is no room. */
static bool add_extent(struct engine_call *call, unsigned int *count, uint64_t bytes, bool zero)
{
	if (*count && call->extents[*count - 1].zero == zero) {
		call->extents[*count - 1].bytes += bytes;
		return true;
	}
	if (*count == call->nr_extents)
		return false;
	call->extents[(*count)++] = (struct extent){ .bytes = bytes, .zero = zero };
	return true;
}

int request_co_extents(struct engine_call *call)
{
	uint64_t offset = call->offset, end = call->offset + call->bytes;
	unsigned int count = 0;

	while (offset < end) {
		struct blk_status status;
		int ret = blk_co_status(call->node, offset, end - offset, &status);

		if (ret && !count)
			return ret;
		/* Return the extents found so far; a request for the rest gets the error. */
		if (ret || !add_extent(call, &count, status.bytes, status.zero))
			break;
		offset += status.bytes;
	}
	call->nr_extents = count;
	return 0;
}

int request_co_cache(struct engine_call *call)
{
	uint64_t offset = call->offset, end = call->offset + call->bytes;
	int ret = 0;

	while (offset < end && !ret) {
		uint64_t n = min_u64(end - offset, CACHE_PIECE);

		ret = blk_co_pread(call->node, offset, n, call->buf, BLK_REQ_COPY_ON_READ);
		offset += n;
	}
	/* The data must be kept when this request completes, not some time later. */
	if (!ret)
		populate_co_drain(call->node);
	return ret;
}

bool request_is_fast_zero(const struct blk_node *node, uint64_t offset, uint64_t bytes,
			  bool may_trim)
{
	uint64_t unit = node->cluster_size ? node->cluster_size : 4096;

	if (!node->driver->co_pwrite_zeroes)
		return false;
	/* Zeroing in place needs support of the file system. */
	if (!may_trim && atomic_load(&node->file->no_zero_range))
		return false;
	return round_up(offset, unit) + unit <= offset + bytes;
}
