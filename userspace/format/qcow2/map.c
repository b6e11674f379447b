// SPDX-License-Identifier: GPL-2.0
/*
 * Where guest bytes are: the L2 look-up, without locks, or with loading of slices.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>

#include "format/qcow2/qcow2.h"
#include "util/log.h"
#include "util/units.h"

/* A run of subclusters of one kind. */
struct run {
	struct qcow2_extent extent; /* of its first subcluster */
	uint64_t bytes; /* 0: unknown until a slice is loaded, which yields */
};

int qcow2_bad(struct qcow2_image *img, uint64_t cluster, const char *what, uint64_t value)
{
	static struct log_ratelimit limit;

	if (log_allowed(&limit))
		log_error("%s: guest cluster %" PRIu64 ": %s 0x%" PRIx64, img->node->filename,
			  cluster, what, value);
	return -EIO;
}

/* Return the cached slice that holds the entry of @cluster, or NULL. */
static const uint64_t *find_slice(struct qcow2_image *img, uint64_t cluster)
{
	return qcow2_cache_find(&img->l2, cluster / img->slice_entries);
}

/* Return the entry of @cluster in its slice; *@bitmap is 0 if entries are not extended. */
static uint64_t entry_of(const struct qcow2_image *img, const uint64_t *slice, uint64_t cluster,
			 uint64_t *bitmap)
{
	uint64_t i = cluster % img->slice_entries * (img->l2_entry_bytes / 8);

	*bitmap = img->l2_entry_bytes == 16 ? slice[i + 1] : 0;
	return slice[i];
}

/* qcow2_fill_fn of the L2 cache: read slice @key. */
static int fill_slice(void *arg, uint64_t key, void *data)
{
	struct qcow2_image *img = arg;
	uint64_t file_size = atomic_load_explicit(&img->file->size, memory_order_relaxed);
	uint64_t first = key * img->slice_entries;
	uint64_t bytes = (uint64_t)img->slice_entries * img->l2_entry_bytes;
	uint64_t *words = data;
	uint64_t table;
	int ret;

	/* The caller has checked the table's offset; the file may still end inside the table. */
	ret = qcow2_table_offset(img, img->l1[first / img->l2_entries], &table);
	if (ret)
		return ret;
	table += first % img->l2_entries * img->l2_entry_bytes;
	if (table >= file_size || bytes > file_size - table)
		return qcow2_bad(img, first, "the file ends inside of its L2 table at", table);
	blk_stats_add(&img->node->stats, BLK_STAT_l2_misses, 1);
	ret = blk_file_co_pread(img->file, data, bytes, table);
	for (uint64_t i = 0; !ret && i < bytes / 8; i++)
		words[i] = be64toh(words[i]);
	return ret;
}

static int load_slice(struct qcow2_image *img, uint64_t cluster)
{
	return qcow2_cache_co_load(&img->l2, cluster / img->slice_entries, fill_slice, img);
}

/* Decode the entry of @cluster from subcluster @sub on.  -EIO: not valid, or behind the file. */
static int extent_at(const struct qcow2_image *img, const uint64_t *slice, uint64_t cluster,
		     unsigned int sub, struct qcow2_extent *extent, uint64_t *entry)
{
	uint64_t file_size = atomic_load_explicit(&img->file->size, memory_order_relaxed);
	uint64_t bitmap;
	int ret;

	*entry = entry_of(img, slice, cluster, &bitmap);
	ret = qcow2_classify(&img->header, *entry, bitmap, sub, extent);
	if (!ret && extent->kind == QCOW2_DATA && extent->host_offset >= file_size)
		return -EIO;
	return ret;
}

/* Does @next continue @run? */
static bool continues(const struct run *run, const struct qcow2_extent *next)
{
	const struct qcow2_extent *first = &run->extent;

	if (first->kind != next->kind || first->has_place != next->has_place)
		return false;
	return !first->has_place || first->host_offset + run->bytes == next->host_offset;
}

/* Find the run that starts with @offset's subcluster, within one slice. */
static int run_in_slice(struct qcow2_image *img, const uint64_t *slice, uint64_t offset,
			uint64_t max, struct run *run)
{
	uint64_t cluster = offset >> img->header.cluster_bits;
	unsigned int sub = (offset & (img->cluster_size - 1)) / img->subcluster_size;
	struct qcow2_extent next;
	uint64_t entry;
	int ret = extent_at(img, slice, cluster, sub, &run->extent, &entry);

	if (ret)
		return qcow2_bad(img, cluster, "bad L2 entry", entry);
	run->bytes = (uint64_t)run->extent.subclusters * img->subcluster_size;
	sub += run->extent.subclusters;
	while (run->bytes < max && sub * img->subcluster_size == img->cluster_size &&
	       ++cluster % img->slice_entries) {
		/* An error further on is reported to the request that starts there. */
		if (extent_at(img, slice, cluster, 0, &next, &entry) || !continues(run, &next))
			break;
		run->bytes += (uint64_t)next.subclusters * img->subcluster_size;
		sub = next.subclusters;
	}
	return 0;
}

/* Find the run that starts with the subcluster of @offset, within one slice or missing table. */
static int run_at(struct qcow2_image *img, uint64_t offset, uint64_t max, struct run *run)
{
	uint64_t cluster = offset >> img->header.cluster_bits;
	uint64_t l1_index = cluster / img->l2_entries;
	const uint64_t *slice;
	uint64_t table;

	run->bytes = 0;
	if (qcow2_table_offset(img, img->l1[l1_index], &table))
		return qcow2_bad(img, cluster, "bad L1 entry", img->l1[l1_index]);
	if (!table) {
		run->extent = (struct qcow2_extent){ .kind = QCOW2_UNALLOCATED };
		run->bytes = ((l1_index + 1) * img->l2_entries << img->header.cluster_bits) -
			     round_down(offset, img->subcluster_size);
		return 0;
	}
	slice = find_slice(img, cluster);
	if (!slice)
		return 0;
	blk_stats_add(&img->node->stats, BLK_STAT_l2_hits, 1);
	return run_in_slice(img, slice, offset, max, run);
}

static void answer(const struct qcow2_image *img, const struct run *run, uint64_t skip,
		   uint64_t bytes, struct blk_map *map)
{
	const struct qcow2_extent *extent = &run->extent;
	static const enum blk_map_kind kinds[] = {
		[QCOW2_UNALLOCATED] = BLK_MAP_BACKING,
		[QCOW2_ZERO] = BLK_MAP_ZERO,
		[QCOW2_DATA] = BLK_MAP_DATA,
		[QCOW2_PACKED] = BLK_MAP_DATA,
	};
	*map = (struct blk_map){
		.kind = kinds[extent->kind],
		.bytes = min_u64(run->bytes - skip, bytes),
		.file = extent->has_place ? img->file : NULL,
		.file_offset = extent->has_place ? extent->host_offset + skip : 0,
	};
}

int qcow2_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map)
{
	struct qcow2_image *img = node->opaque;
	uint64_t skip = offset & (img->subcluster_size - 1);
	uint64_t start = offset - skip, want = bytes + skip;
	struct run run, next;
	int ret = run_at(img, start, want, &run);

	if (ret)
		return ret;
	if (!run.bytes) {
		*map = (struct blk_map){ .kind = BLK_MAP_ASK, .bytes = bytes };
		return 0;
	}
	while (run.bytes < want) {
		if (run_at(img, start + run.bytes, want - run.bytes, &next) || !next.bytes ||
		    !continues(&run, &next.extent))
			break;
		run.bytes += next.bytes;
	}
	answer(img, &run, skip, bytes, map);
	return 0;
}

int qcow2_co_map(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map)
{
	struct qcow2_image *img = node->opaque;
	int ret;

	for (;;) {
		ret = qcow2_map(node, offset, bytes, map);
		if (ret || map->kind != BLK_MAP_ASK)
			return ret;
		ret = load_slice(img, offset >> img->header.cluster_bits);
		if (ret)
			return ret;
	}
}

int qcow2_co_entry(struct qcow2_image *img, uint64_t cluster, uint64_t *entry)
{
	const uint64_t *slice;
	uint64_t bitmap;
	int ret;

	while (!(slice = find_slice(img, cluster))) {
		ret = load_slice(img, cluster);
		if (ret)
			return ret;
	}
	*entry = entry_of(img, slice, cluster, &bitmap);
	return 0;
}
