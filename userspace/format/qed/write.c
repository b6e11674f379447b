// SPDX-License-Identifier: GPL-2.0
/*
 * Writing: in place where there is a data cluster, else into fresh clusters.
 */
#include <errno.h>

#include "format/qed/qed.h"

uint64_t qed_backing_bytes(const struct qed_image *img)
{
	const struct blk_node *backing = img->node->backing;

	return backing ? atomic_load_explicit(&backing->size, memory_order_relaxed) : 0;
}

/*
 * Populate bytes that the backing file no longer reaches, since it was replaced by a shorter one:
 * they are zeroes.  A fresh cluster would not do: its entry is set before the bytes are written,
 * and they would overwrite what the guest writes there meanwhile.
 */
static int populate_zeroes(struct qed_image *img, uint64_t offset, uint64_t bytes, uint64_t *done)
{
	uint64_t size = atomic_load_explicit(&img->node->size, memory_order_relaxed);
	uint64_t start = round_down(offset, qed_cluster_size(img));
	uint64_t end = min_u64(round_up(offset + bytes, qed_cluster_size(img)), size);

	*done = bytes;
	return qed_co_pwrite_zeroes(img->node, start, end - start, BLK_REQ_POPULATE);
}

/*
 * Write a first part of a run that has no data clusters; see qed.h.  The backing file may be
 * replaced at any moment: decisions based on its size here are made again, under meta_lock, when
 * the entry is set.
 */
static int write_unmapped(struct qed_image *img, const struct blk_map *map, uint64_t offset,
			  const void *buf, unsigned int flags, uint64_t *done)
{
	uint64_t cluster_start = round_down(offset, qed_cluster_size(img));
	uint64_t backing_end = round_up(qed_backing_bytes(img), qed_cluster_size(img));
	uint64_t bytes = map->bytes;

	if (map->kind == BLK_MAP_ZERO && (flags & BLK_REQ_POPULATE)) {
		*done = bytes; /* the zero cluster is newer than the bytes to keep */
		return 0;
	}
	if (cluster_start >= backing_end && (flags & BLK_REQ_POPULATE))
		return populate_zeroes(img, offset, bytes, done);
	if (map->kind == BLK_MAP_ZERO || cluster_start >= backing_end)
		return qed_co_write_fresh(img, offset, bytes, buf, done);
	bytes = min_u64(bytes, backing_end - offset);
	return qed_co_write_copying(img, offset, bytes, buf, flags, done);
}

int qed_co_pwrite(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
		  unsigned int flags)
{
	struct qed_image *img = node->opaque;
	const uint8_t *from = buf;

	while (bytes) {
		struct blk_map map;
		uint64_t done = 0;
		int ret = qed_co_map(node, offset, bytes, &map);

		if (ret)
			return ret;
		if (map.kind == BLK_MAP_DATA) {
			done = map.bytes;
			if (!(flags & BLK_REQ_POPULATE))
				ret = blk_file_co_pwrite(map.file, from, done, map.file_offset);
		} else {
			ret = write_unmapped(img, &map, offset, from, flags, &done);
		}
		if (ret)
			return ret;
		offset += done;
		bytes -= done;
		from += done;
	}
	return 0;
}
