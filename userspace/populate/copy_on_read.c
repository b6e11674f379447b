// SPDX-License-Identifier: GPL-2.0
/*
 * Copy-on-read, the reader's side: read exactly the requested range from the backing
 * file, queue it to be kept, and complete the read.  The background thread keeps it
 * (queue.c).
 */
#include "block/io.h"
#include "block/node_internal.h"
#include "populate/internal.h"
#include "util/units.h"

int populate_co_read(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf)
{
	struct populate *p = populate_of(node);
	const struct blk_node *backing = node->backing;
	/* Clusters beyond the backing file's end read as zeroes, and stay unallocated. */
	uint64_t backing_size = backing ? atomic_load(&backing->size) : 0;
	bool keep = backing && !populate_co_start_background(node, NULL);

	if (!keep)
		return node->driver->co_pread(node, offset, bytes, buf);

	while (bytes) {
		struct blk_map map;
		uint64_t n;
		int ret = node->driver->co_map(node, offset, bytes, &map);

		if (ret)
			return ret;
		n = min_u64(map.bytes, bytes);
		if (map.kind == BLK_MAP_BACKING && offset < backing_size) {
			n = min_u64(n, backing_size - offset);
			ret = populate_co_read_source(p, offset, n, buf);
			if (!ret)
				populate_later(p, offset, n, buf);
		} else {
			ret = node->driver->co_pread(node, offset, n, buf);
		}
		if (ret)
			return ret;
		offset += n;
		bytes -= n;
		buf = (char *)buf + n;
	}
	return 0;
}
