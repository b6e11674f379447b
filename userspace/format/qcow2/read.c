// SPDX-License-Identifier: GPL-2.0
/*
 * Reading: each run from the file, from the backing file, inflated, or as zeroes.
 */
#include <string.h>

#include "block/io.h"
#include "format/qcow2/qcow2.h"
#include "util/units.h"

static int read_run(struct qcow2_image *img, const struct blk_map *map, uint64_t offset,
		    uint64_t bytes, void *buf)
{
	switch (map->kind) {
	case BLK_MAP_ZERO:
		memset(buf, 0, bytes);
		return 0;
	case BLK_MAP_BACKING:
		return blk_co_pread_backing(img->node, offset, bytes, buf);
	default:
		if (map->file)
			return blk_file_co_pread(map->file, buf, bytes, map->file_offset);
		return qcow2_co_read_packed(img, offset, bytes, buf);
	}
}

int qcow2_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf)
{
	struct qcow2_image *img = node->opaque;

	while (bytes) {
		struct blk_map map;
		uint64_t n;
		int ret = qcow2_co_map(node, offset, bytes, &map);

		if (ret)
			return ret;
		n = map.bytes;
		/* Each compressed cluster is read by itself. */
		if (map.kind == BLK_MAP_DATA && !map.file)
			n = min_u64(n, img->cluster_size - (offset & (img->cluster_size - 1)));
		ret = read_run(img, &map, offset, n, buf);
		if (ret)
			return ret;
		offset += n;
		bytes -= n;
		buf = (char *)buf + n;
	}
	return 0;
}
