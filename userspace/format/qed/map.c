// SPDX-License-Identifier: GPL-2.0
/*
 * Where guest bytes are: the L2 look-up, without locks, or with loading of slices.
 */
#include <errno.h>
#include <inttypes.h>

#include "format/qed/l2_cache.h"
#include "format/qed/map.h"
#include "format/qed/tables.h"
#include "util/log.h"
#include "util/units.h"

/* A number of guest clusters of one kind; 0: unknown until a slice is loaded, which yields. */
struct map_run {
	enum blk_map_kind kind;
	uint64_t clusters;
	uint64_t file_offset; /* DATA */
};

static int bad_entry(struct qed_image *img, const char *what, uint64_t cluster, uint64_t value)
{
	static struct log_ratelimit limit;

	if (log_allowed(&limit))
		log_error("%s: %s of guest cluster %" PRIu64 " has the bad offset 0x%" PRIx64,
			  img->node->filename, what, cluster, value);
	return -EIO;
}

static int classify(struct qed_image *img, uint64_t cluster, uint64_t entry, struct map_run *run)
{
	/*
	 * Loaded after the entry: the allocator moves the end before it sets an
	 * entry that lies behind the old end.
	 */
	uint64_t end = atomic_load_explicit(&img->alloc.end, memory_order_acquire);

	if (!qed_entry_valid(img, entry, end))
		return bad_entry(img, "the L2 entry", cluster, entry);
	run->file_offset = 0;
	if (entry == QED_L2_UNALLOCATED) {
		run->kind = BLK_MAP_BACKING;
	} else if (entry == QED_L2_ZERO) {
		run->kind = BLK_MAP_ZERO;
	} else {
		run->kind = BLK_MAP_DATA;
		run->file_offset = entry;
	}
	return 0;
}

/*
 * Return how many entries of @slice, from @i on and at most @max, continue entry @i, which is
 * @first: by one cluster each, or with the same value where that is no offset.
 */
static uint64_t run_length(struct qed_image *img, struct l2_slice *slice, unsigned int i,
			   uint64_t first, uint64_t max)
{
	uint64_t end = atomic_load_explicit(&img->alloc.end, memory_order_acquire);
	uint64_t step = qed_entry_is_data(first) ? qed_cluster_size(img) : 0;
	uint64_t n = 1;

	max = min_u64(max, QED_SLICE_ENTRIES - i);
	/* Entry @i is valid; those after it must lie inside the file and not over L1, too. */
	if (first < img->header.l1_table_offset)
		end = min_u64(end, img->header.l1_table_offset);
	if (step)
		max = min_u64(max, (end - first) >> img->cluster_bits);
	while (n < max && atomic_load_explicit(&slice->entries[i + n], memory_order_acquire) ==
				  first + n * step)
		n++;
	return n;
}

/* Find the run at guest cluster @cluster, within one slice or one missing table. */
static int run_at(struct qed_image *img, uint64_t cluster, uint64_t max, struct map_run *run)
{
	uint64_t table = qed_table_of(img, cluster);
	struct l2_slice *slice;
	uint64_t entry;
	unsigned int i = cluster % QED_SLICE_ENTRIES;
	int ret;

	run->clusters = 0;
	if (!table) {
		run->kind = BLK_MAP_BACKING;
		run->file_offset = 0;
		run->clusters = min_u64(max, img->table_entries - cluster % img->table_entries);
		return 0;
	}
	slice = l2_cache_find(img, cluster / QED_SLICE_ENTRIES);
	if (!slice)
		return 0;
	blk_stats_add(&img->node->stats, BLK_STAT_l2_hits, 1);
	entry = atomic_load_explicit(&slice->entries[i], memory_order_acquire);
	ret = classify(img, cluster, entry, run);
	if (!ret)
		run->clusters = run_length(img, slice, i, entry, max);
	return ret;
}

/* Does @next continue @run? */
static bool continues(const struct qed_image *img, const struct map_run *run,
		      const struct map_run *next)
{
	if (run->kind != next->kind)
		return false;
	return run->kind != BLK_MAP_DATA ||
	       run->file_offset + run->clusters * img->header.cluster_size == next->file_offset;
}

int qed_map_range(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map)
{
	struct qed_image *img = node->opaque;
	uint64_t cluster = offset >> img->cluster_bits;
	uint64_t in_cluster = offset & (qed_cluster_size(img) - 1);
	uint64_t clusters = ((offset + bytes - 1) >> img->cluster_bits) - cluster + 1;
	struct map_run run, next;
	int ret = run_at(img, cluster, clusters, &run);

	if (ret)
		return ret;
	if (!run.clusters) {
		map->kind = BLK_MAP_ASK;
		map->bytes = bytes;
		return 0;
	}
	while (run.clusters < clusters) {
		/* An error further on is reported to the request that starts there. */
		if (run_at(img, cluster + run.clusters, clusters - run.clusters, &next) ||
		    !next.clusters || !continues(img, &run, &next))
			break;
		run.clusters += next.clusters;
	}
	map->kind = run.kind;
	map->bytes = min_u64((run.clusters << img->cluster_bits) - in_cluster, bytes);
	map->file = run.kind == BLK_MAP_DATA ? img->file : NULL;
	map->file_offset = run.kind == BLK_MAP_DATA ? run.file_offset + in_cluster : 0;
	return 0;
}

int qed_co_load_slice(struct qed_image *img, uint64_t cluster)
{
	uint64_t table = qed_table_of(img, cluster);
	uint64_t end = atomic_load_explicit(&img->alloc.end, memory_order_acquire);

	if (!qed_table_offset_valid(img, table, end))
		return bad_entry(img, "the L2 table", cluster, table);
	return l2_cache_co_load(img, cluster / QED_SLICE_ENTRIES);
}

int qed_co_map_range(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map)
{
	struct qed_image *img = node->opaque;
	int ret;

	for (;;) {
		ret = qed_map_range(node, offset, bytes, map);
		if (ret || map->kind != BLK_MAP_ASK)
			return ret;
		ret = qed_co_load_slice(img, offset >> img->cluster_bits);
		if (ret)
			return ret;
	}
}
