// SPDX-License-Identifier: GPL-2.0
/*
 * Write-zeroes: the driver's efficient operation, which is optional, or plain
 * writes of zeroes in bounded pieces from one shared buffer.
 */
#include <errno.h>

#include "block/node_internal.h"
#include "file/zero_pages.h"
#include "util/units.h"

static int write_plainly(struct blk_node *node, uint64_t offset, uint64_t bytes, unsigned int flags)
{
	const void *zeroes = zero_pages();

	if (!zeroes)
		return -ENOMEM;
	while (bytes) {
		/* Pieces end on multiples of the buffer's size: mostly on cluster boundaries. */
		uint64_t n = min_u64(bytes, ZERO_PAGES_SIZE - offset % ZERO_PAGES_SIZE);
		int ret = node->driver->co_pwrite(node, offset, n, zeroes,
						  flags & ~BLK_REQ_MAY_UNMAP);

		if (ret)
			return ret;
		offset += n;
		bytes -= n;
	}
	return 0;
}

int blk_co_do_write_zeroes(struct blk_node *node, uint64_t offset, uint64_t bytes,
			   unsigned int flags)
{
	int ret = -ENOTSUP;

	if (node->driver->co_pwrite_zeroes)
		ret = node->driver->co_pwrite_zeroes(node, offset, bytes, flags);
	if (ret == -ENOTSUP)
		ret = write_plainly(node, offset, bytes, flags);
	return ret;
}
