// SPDX-License-Identifier: GPL-2.0
/*
 * Populate a range: read unallocated clusters from the backing file where that
 * has data, scan them for zeroes, and write them with BLK_REQ_POPULATE.
 *
 * With that flag the driver writes only clusters that are unallocated when it
 * checks, so that no data that the guest writes meanwhile is overwritten, and no
 * guest request ever waits here.  Ranges in populate->ranges exclude only each
 * other, so that no cluster is read twice.
 */
#include <errno.h>

#include "block/io.h"
#include "block/node_internal.h"
#include "populate/internal.h"
#include "block/zero.h"
#include "util/units.h"

uint64_t populate_window(const struct blk_node *node)
{
	uint64_t size = bufpool_buf_size(populate_of(node)->pool);

	return max_u64(round_down(size, node->cluster_size), node->cluster_size);
}

int populate_co_read_source(struct populate *p, uint64_t offset, uint64_t bytes, void *buf)
{
	int ret = blk_co_pread_backing(p->node, offset, bytes, buf);

	if (ret && p->on_source_error)
		p->on_source_error(p->on_source_error_arg);
	return ret;
}

static void count_run(struct blk_node *node, uint64_t bytes, bool zero, struct populated *populated)
{
	uint64_t clusters = div_round_up(bytes, node->cluster_size);

	*(zero ? &populated->zero : &populated->data) += clusters;
	blk_stats_add(&node->stats,
		      zero ? BLK_STAT_populated_zero_clusters : BLK_STAT_populated_clusters,
		      clusters);
}

/* Write a run of whole clusters: all are zero (@zero; @buf may be NULL), or none is. */
static int populate_run(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
			bool zero, struct populated *populated)
{
	int ret;

	if (zero)
		ret = blk_co_do_write_zeroes(node, offset, bytes, BLK_REQ_POPULATE);
	else
		ret = node->driver->co_pwrite(node, offset, bytes, buf, BLK_REQ_POPULATE);
	if (ret)
		blk_stats_add(&node->stats, BLK_STAT_populate_errors, 1);
	else
		count_run(node, bytes, zero, populated);
	return ret;
}

static bool cluster_is_zero(const struct blk_node *node, const char *buf, uint64_t pos,
			    uint64_t bytes)
{
	return buffer_is_zero(buf + pos, min_u64(node->cluster_size, bytes - pos));
}

int populate_clusters(struct blk_node *node, uint64_t offset, uint64_t bytes, const char *buf,
		      struct populated *populated)
{
	uint64_t step = node->cluster_size;
	bool zero = cluster_is_zero(node, buf, 0, bytes);
	uint64_t pos = 0;
	int first_error = 0;

	while (pos < bytes) {
		uint64_t end = pos + step;
		bool next = zero;
		int ret;

		for (; end < bytes; end += step) {
			next = cluster_is_zero(node, buf, end, bytes);
			if (next != zero)
				break;
		}
		end = min_u64(end, bytes);
		ret = populate_run(node, offset + pos, end - pos, buf + pos, zero, populated);
		if (ret && !first_error)
			first_error = ret;
		zero = next;
		pos = end;
	}
	return first_error;
}

/* Keep a cluster of which @buf is the first part.  The driver reads the rest and detects zeroes. */
static int populate_part(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
			 struct populated *populated)
{
	struct blk_map map;
	int ret = node->driver->co_pwrite(node, offset, bytes, buf, BLK_REQ_POPULATE);

	if (!ret)
		ret = node->driver->co_map(node, offset, bytes, &map);
	if (ret)
		blk_stats_add(&node->stats, BLK_STAT_populate_errors, 1);
	else
		count_run(node, node->cluster_size, map.kind == BLK_MAP_ZERO, populated);
	return ret;
}

/* Read from the backing file and keep; of a cluster larger than @buf, read its first part only. */
static int copy_clusters(struct blk_node *node, uint64_t offset, uint64_t bytes, char *buf,
			 struct populated *populated)
{
	uint64_t len = min_u64(bytes, bufpool_buf_size(populate_of(node)->pool));
	int ret = populate_co_read_source(populate_of(node), offset, len, buf);

	if (ret) {
		blk_stats_add(&node->stats, BLK_STAT_populate_errors, 1);
		return ret;
	}
	populated->source_bytes += bytes;
	if (len < bytes)
		return populate_part(node, offset, len, buf, populated);
	return populate_clusters(node, offset, bytes, buf, populated);
}

/* Keep [offset, offset + bytes), all of which shows the backing file. */
static int keep_backing(struct blk_node *node, const struct blk_node *base, uint64_t offset,
			uint64_t bytes, char *buf, struct populated *populated)
{
	int first_error = 0;

	while (bytes) {
		uint64_t n;
		enum source_kind kind =
			source_co_look(node, base, &populate_of(node)->cache, offset, bytes, &n);
		int ret = 0;

		if (kind == SOURCE_ZERO)
			ret = populate_run(node, offset, n, NULL, true, populated);
		else if (kind == SOURCE_DATA)
			ret = copy_clusters(node, offset, n, buf, populated);
		if (ret && !first_error)
			first_error = ret;
		offset += n;
		bytes -= n;
	}
	return first_error;
}

static int keep_window(struct blk_node *node, const struct blk_node *base, uint64_t offset,
		       uint64_t bytes, char *buf, struct populated *populated)
{
	int first_error = 0;

	while (bytes) {
		struct blk_map map;
		uint64_t n;
		int ret = node->driver->co_map(node, offset, bytes, &map);

		if (ret)
			return ret;
		n = min_u64(map.bytes, bytes);
		if (map.kind == BLK_MAP_BACKING)
			ret = keep_backing(node, base, offset, n, buf, populated);
		if (ret && !first_error)
			first_error = ret;
		offset += n;
		bytes -= n;
	}
	return first_error;
}

uint64_t populate_inside(const struct blk_node *node, uint64_t offset, uint64_t bytes)
{
	uint64_t size = atomic_load_explicit(&node->size, memory_order_acquire);

	return offset < size ? min_u64(bytes, size - offset) : 0;
}

int populate_co_range(struct blk_node *node, const struct blk_node *base, uint64_t offset,
		      uint64_t bytes, struct populated *populated)
{
	struct populate *p = populate_of(node);
	char *buf = bufpool_co_get(p->pool);
	unsigned int token = inflight_begin(&node->inflight);
	struct range_hold hold;
	int ret = 0;

	bytes = populate_inside(node, offset, bytes);
	if (bytes) {
		range_lock_co_acquire(&p->ranges, &hold, offset, bytes, true);
		ret = keep_window(node, base, offset, bytes, buf, populated);
		range_lock_release(&p->ranges, &hold);
	}
	inflight_end(&node->inflight, token);
	bufpool_put(p->pool, buf);
	return ret;
}

bool populate_foreground_is_busy(struct blk_node *node)
{
	return inflight_elsewhere(&node->inflight);
}
