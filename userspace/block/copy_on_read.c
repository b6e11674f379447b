// SPDX-License-Identifier: GPL-2.0
/*
 * Copy-on-read: what had to be read from the backing file is kept in the node,
 * with zeroes kept as zero clusters.
 *
 * Two readers of one cluster do not fetch it twice: each holds the clusters it
 * is about to fetch, and looks again once it has them.  Guest writes take no
 * part in that; the driver sees to it that populating writes only what is
 * still unallocated.
 */
#include <errno.h>
#include <string.h>

#include "block/io.h"
#include "block/node_internal.h"
#include "block/zero.h"
#include "util/units.h"

/* Write a run of whole clusters that are alike, and count the outcome. */
static void populate_run(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
			 bool zero)
{
	uint64_t clusters = div_round_up(bytes, node->cluster_size);
	int ret;

	if (zero)
		ret = blk_co_do_write_zeroes(node, offset, bytes, BLK_REQ_POPULATE);
	else
		ret = node->driver->co_pwrite(node, offset, bytes, buf, BLK_REQ_POPULATE);
	if (ret)
		blk_stats_add(&node->stats, BLK_STAT_populate_errors, 1);
	else
		blk_stats_add(&node->stats,
			      zero ? BLK_STAT_populated_zero_clusters : BLK_STAT_populated_clusters,
			      clusters);
}

static bool cluster_is_zero(const struct blk_node *node, const char *buf, uint64_t pos,
			    uint64_t bytes)
{
	return buffer_is_zero(buf + pos, min_u64(node->cluster_size, bytes - pos));
}

/*
 * Keep whole clusters (the image's last may be short) whose bytes are @buf.
 * What fails is counted, and is the reader's problem in no way.
 */
static void populate_clusters(struct blk_node *node, uint64_t offset, uint64_t bytes,
			      const char *buf)
{
	uint64_t step = node->cluster_size;
	bool zero = cluster_is_zero(node, buf, 0, bytes);
	uint64_t pos = 0;

	while (pos < bytes) {
		uint64_t end = pos + step;
		bool next = zero;

		for (; end < bytes; end += step) {
			next = cluster_is_zero(node, buf, end, bytes);
			if (next != zero)
				break;
		}
		end = min_u64(end, bytes);
		populate_run(node, offset + pos, end - pos, buf + pos, zero);
		zero = next;
		pos = end;
	}
}

/* Keep a cluster of which @buf is a part.  The driver reads the rest, and looks for zeroes. */
static void populate_part(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf)
{
	struct blk_map map;
	int ret = node->driver->co_pwrite(node, offset, bytes, buf, BLK_REQ_POPULATE);

	if (!ret)
		ret = node->driver->co_map(node, offset, bytes, &map);
	if (ret)
		blk_stats_add(&node->stats, BLK_STAT_populate_errors, 1);
	else
		blk_stats_add(&node->stats,
			      map.kind == BLK_MAP_ZERO ? BLK_STAT_populated_zero_clusters :
							 BLK_STAT_populated_clusters,
			      1);
}

/* A part of a read, in clusters that were unallocated when it was looked at. */
struct window {
	uint64_t start, end; /* whole clusters, bytes, inside the node */
	uint64_t offset, upto; /* what the reader wants of it, bytes */
};

/*
 * Read whole clusters once, for the reader and for the image.  A source that
 * can't be read beside what the reader wants is no reason to refuse the reader.
 */
static int fetch_whole(struct blk_node *node, const struct window *w, void *buf)
{
	char *copy = bufpool_co_get(node->populate_pool);
	int ret = blk_co_pread_backing(node, w->start, w->end - w->start, copy);

	if (!ret) {
		memcpy(buf, copy + (w->offset - w->start), w->upto - w->offset);
		populate_clusters(node, w->start, w->end - w->start, copy);
	} else {
		blk_stats_add(&node->stats, BLK_STAT_populate_errors, 1);
		ret = blk_co_pread_backing(node, w->offset, w->upto - w->offset, buf);
	}
	bufpool_put(node->populate_pool, copy);
	return ret;
}

/* Read from within a cluster that is larger than the buffers are. */
static int fetch_part(struct blk_node *node, const struct window *w, void *buf)
{
	uint64_t bytes = w->upto - w->offset;
	int ret = blk_co_pread_backing(node, w->offset, bytes, buf);

	if (ret)
		return ret;
	if (w->offset == w->start && w->upto == w->end)
		populate_clusters(node, w->offset, bytes, buf);
	else
		populate_part(node, w->offset, bytes, buf);
	return 0;
}

/* The clusters that a read of [offset, offset + bytes) starts with, as many as fit a buffer. */
static struct window first_window(const struct blk_node *node, uint64_t offset, uint64_t bytes)
{
	uint64_t size = atomic_load_explicit(&node->size, memory_order_acquire);
	uint64_t step = node->cluster_size;
	uint64_t room = max_u64(bufpool_buf_size(node->populate_pool), step);
	struct window w = { .start = round_down(offset, step), .offset = offset };

	w.end = min_u64(round_up(offset + bytes, step), w.start + room);
	w.end = min_u64(w.end, size);
	w.upto = min_u64(offset + bytes, w.end);
	return w;
}

/*
 * Read a first part of [offset, offset + bytes), all of which the backing file
 * has, and keep it.  *@done is its length; 0: somebody else was faster, look again.
 */
static int read_and_keep(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf,
			 uint64_t *done)
{
	struct window w = first_window(node, offset, bytes);
	struct range_hold hold;
	struct blk_map map;
	int ret;

	*done = 0;
	range_lock_co_acquire(&node->populating, &hold, w.start, w.end - w.start, true);
	ret = node->driver->co_map(node, w.start, w.end - w.start, &map);
	if (!ret && map.kind == BLK_MAP_BACKING && w.start + map.bytes > offset) {
		w.end = min_u64(w.end, w.start + map.bytes);
		w.upto = min_u64(w.upto, w.end);
		if (node->cluster_size <= bufpool_buf_size(node->populate_pool))
			ret = fetch_whole(node, &w, buf);
		else
			ret = fetch_part(node, &w, buf);
		*done = w.upto - offset;
	}
	range_lock_release(&node->populating, &hold);
	return ret;
}

int blk_co_read_populating(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf)
{
	/* What lies behind the backing file's end reads as zeroes, and stays unallocated. */
	uint64_t backing_size = atomic_load(&node->backing->size);

	while (bytes) {
		struct blk_map map;
		uint64_t n;
		int ret = node->driver->co_map(node, offset, bytes, &map);

		if (ret)
			return ret;
		n = min_u64(map.bytes, bytes);
		if (map.kind == BLK_MAP_BACKING && offset < backing_size)
			ret = read_and_keep(node, offset, min_u64(n, backing_size - offset), buf,
					    &n);
		else
			ret = node->driver->co_pread(node, offset, n, buf);
		if (ret)
			return ret;
		offset += n;
		bytes -= n;
		buf = (char *)buf + n;
	}
	return 0;
}
