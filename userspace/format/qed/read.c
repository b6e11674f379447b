// SPDX-License-Identifier: GPL-2.0
/*
 * Reading: each run from the file, from the backing file, or as zeroes.
 */
#include <string.h>

#include "block/io.h"
#include "format/qed/qed.h"

int qed_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf)
{
	uint8_t *to = buf;

	while (bytes) {
		struct blk_map map;
		int ret = qed_co_map(node, offset, bytes, &map);

		if (ret)
			return ret;
		if (map.kind == BLK_MAP_DATA)
			ret = blk_file_co_pread(map.file, to, map.bytes, map.file_offset);
		else if (map.kind == BLK_MAP_ZERO)
			memset(to, 0, map.bytes);
		else
			ret = blk_co_pread_backing(node, offset, map.bytes, to);
		if (ret)
			return ret;
		offset += map.bytes;
		bytes -= map.bytes;
		to += map.bytes;
	}
	return 0;
}
