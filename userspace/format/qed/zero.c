// SPDX-License-Identifier: GPL-2.0
/*
 * Write-zeroes and discard: for whole clusters the entry changes; parts of
 * clusters are written (write-zeroes) or left alone (discard, which is a hint).
 */
#include <errno.h>
#include <stdlib.h>

#include "format/qed/alloc.h"
#include "format/qed/copy.h"
#include "format/qed/entries.h"
#include "format/qed/l2_cache.h"
#include "format/qed/map.h"
#include "format/qed/qed.h"
#include "format/qed/tables.h"
#include "util/units.h"

/* What a request does to its whole clusters. */
enum whole_op {
	WHOLE_ZERO, /* make it a zero cluster; an allocated one is freed */
	WHOLE_ZERO_KEEP, /* make it a zero cluster; an allocated one is zeroed in place */
	WHOLE_POPULATE, /* make it a zero cluster if it is unallocated, else nothing */
	WHOLE_DISCARD, /* drop its contents; an allocated one is freed */
};

/*
 * May unallocated clusters show a backing file?  While one is being dropped, its name leaves the
 * header before the node loses the file.
 */
static bool shows_backing(const struct qed_image *img)
{
	return img->has_backing || img->node->backing;
}

/* Return the entry that replaces @entry; the same if there is nothing to change. */
static uint64_t new_entry(const struct qed_image *img, enum whole_op op, uint64_t entry)
{
	switch (op) {
	case WHOLE_ZERO:
		return QED_L2_ZERO;
	case WHOLE_ZERO_KEEP:
	case WHOLE_POPULATE:
		return entry == QED_L2_UNALLOCATED ? QED_L2_ZERO : entry;
	case WHOLE_DISCARD:
		/* Above a backing file: its old bytes must not reappear. */
		if (shows_backing(img))
			return QED_L2_ZERO;
		return entry == QED_L2_ZERO ? entry : QED_L2_UNALLOCATED;
	}
	return entry;
}

/*
 * Change the entries of [cluster, cluster + n), all in @slice, under meta_lock.
 * *@kept tells whether allocated clusters remain (for WHOLE_ZERO_KEEP).
 */
static int change_entries(struct qed_image *img, struct l2_slice *slice, uint64_t cluster,
			  uint64_t n, enum whole_op op, bool *kept)
{
	uint64_t end = atomic_load_explicit(&img->alloc.end, memory_order_relaxed);
	uint64_t zeroed = 0;

	for (uint64_t c = cluster; c < cluster + n; c++) {
		unsigned int i = c % QED_SLICE_ENTRIES;
		uint64_t old = atomic_load_explicit(&slice->entries[i], memory_order_relaxed);
		uint64_t new = new_entry(img, op, old);

		/* A damaged entry: the cluster that it names must not be freed. */
		if (!qed_entry_valid(img, old, end))
			return -EIO;
		if (new == old) {
			*kept |= qed_entry_is_data(old);
			continue;
		}
		l2_slice_set(img, slice, i, new);
		if (qed_entry_is_data(old))
			qed_drop_clusters(img, old >> img->cluster_bits, 1);
		zeroed += new == QED_L2_ZERO;
	}
	blk_stats_add(&img->node->stats, BLK_STAT_zero_clusters, zeroed);
	return 0;
}

/* Zero the allocated clusters in [offset, offset + bytes) in place, and keep them. */
static int zero_in_place(struct qed_image *img, uint64_t offset, uint64_t bytes)
{
	while (bytes) {
		struct blk_map map;
		int ret = qed_co_map_range(img->node, offset, bytes, &map);

		if (!ret && map.kind == BLK_MAP_DATA)
			ret = blk_file_co_write_zeroes(map.file, map.file_offset, map.bytes, false);
		if (ret)
			return ret;
		offset += map.bytes;
		bytes -= map.bytes;
	}
	return 0;
}

/* Carry out @op on whole clusters that are all in one slice. */
static int whole_in_slice(struct qed_image *img, uint64_t cluster, uint64_t n, enum whole_op op)
{
	struct range_hold hold;
	struct l2_slice *slice;
	bool kept = false;
	int ret;

	/* A copy in progress sets its cluster's entry when it ends: go before it or after it. */
	range_lock_co_acquire(&img->clusters, &hold, cluster, n, true);
	ret = qed_co_slice_for_change(img, cluster, &slice);
	if (!ret) {
		ret = change_entries(img, slice, cluster, n, op, &kept);
		pthread_mutex_unlock(&img->meta_lock);
	}
	range_lock_release(&img->clusters, &hold);
	if (!ret && kept && op == WHOLE_ZERO_KEEP)
		ret = zero_in_place(img, cluster << img->cluster_bits, n << img->cluster_bits);
	return ret;
}

static int whole_clusters(struct qed_image *img, uint64_t cluster, uint64_t n, enum whole_op op)
{
	while (n) {
		uint64_t in_table = img->table_entries - cluster % img->table_entries;
		uint64_t step = min_u64(n, QED_SLICE_ENTRIES - cluster % QED_SLICE_ENTRIES);
		int ret = 0;

		/* No table: all is unallocated, and reads as zeroes if there is no backing file. */
		if (!qed_table_of(img, cluster) && op == WHOLE_DISCARD && !shows_backing(img))
			step = min_u64(n, in_table);
		else
			ret = whole_in_slice(img, cluster, step, op);
		if (ret)
			return ret;
		cluster += step;
		n -= step;
	}
	return 0;
}

/* Write zeroes to a part of one cluster. */
static int zero_part(struct qed_image *img, uint64_t offset, uint64_t bytes, unsigned int flags)
{
	while (bytes) {
		struct blk_map map;
		uint64_t backing_end, done;
		int ret = qed_co_map_range(img->node, offset, bytes, &map);

		if (ret)
			return ret;
		/* After reading the entry, since the backing file may be replaced meanwhile. */
		backing_end = round_up(qed_backing_bytes(img), qed_cluster_size(img));
		done = map.bytes;
		if (map.kind == BLK_MAP_DATA && !(flags & BLK_REQ_POPULATE))
			ret = blk_file_co_write_zeroes(map.file, map.file_offset, done, false);
		else if (map.kind == BLK_MAP_BACKING && offset < backing_end)
			ret = qed_co_write_copying(img, offset, done, NULL, flags, &done);
		if (ret)
			return ret;
		offset += done;
		bytes -= done;
	}
	return 0;
}

/* Find the whole clusters [*@first, *@first + n) of a request; return n. */
static uint64_t whole_range(const struct qed_image *img, uint64_t offset, uint64_t bytes,
			    uint64_t *first)
{
	uint64_t size = atomic_load_explicit(&img->node->size, memory_order_relaxed);
	uint64_t end = offset + bytes;

	/* The image's last cluster counts as whole, even if the image ends inside it. */
	if (end == size)
		end = round_up(end, qed_cluster_size(img));
	*first = div_round_up(offset, qed_cluster_size(img));
	end >>= img->cluster_bits;
	return end > *first ? end - *first : 0;
}

int qed_co_pwrite_zeroes(struct blk_node *node, uint64_t offset, uint64_t bytes, unsigned int flags)
{
	struct qed_image *img = node->opaque;
	enum whole_op op = WHOLE_ZERO_KEEP;
	uint64_t first, n = whole_range(img, offset, bytes, &first);
	uint64_t end = offset + bytes;
	uint64_t head, tail;
	int ret;

	if (flags & BLK_REQ_POPULATE)
		op = WHOLE_POPULATE;
	else if (flags & BLK_REQ_MAY_UNMAP)
		op = WHOLE_ZERO;
	head = min_u64(first << img->cluster_bits, end);
	tail = n ? min_u64((first + n) << img->cluster_bits, end) : head;
	ret = zero_part(img, offset, head - offset, flags);
	if (!ret)
		ret = whole_clusters(img, first, n, op);
	if (!ret)
		ret = zero_part(img, tail, end - tail, flags);
	return ret;
}

int qed_co_cut(struct qed_image *img, uint64_t from, uint64_t end)
{
	uint64_t offset = min_u64(round_up(from, qed_cluster_size(img)), end);
	int ret = zero_in_place(img, from, offset - from);

	for (struct blk_map map; !ret && offset < end; offset += map.bytes) {
		ret = qed_co_map_range(img->node, offset, end - offset, &map);
		if (ret)
			return ret;
		if (map.kind == BLK_MAP_DATA)
			ret = whole_clusters(img, offset >> img->cluster_bits,
					     div_round_up(map.bytes, qed_cluster_size(img)),
					     WHOLE_DISCARD);
	}
	return ret;
}

int qed_co_pdiscard(struct blk_node *node, uint64_t offset, uint64_t bytes)
{
	struct qed_image *img = node->opaque;
	uint64_t first, n = whole_range(img, offset, bytes, &first);

	return whole_clusters(img, first, n, WHOLE_DISCARD);
}
