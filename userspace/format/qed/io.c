// SPDX-License-Identifier: GPL-2.0
/*
 * Reading and writing guest bytes: a write goes in place where there is a data cluster, else into
 * fresh clusters, or into copies of what the backing file shows (copy.c).
 */
#include <errno.h>
#include <string.h>

#include "block/io.h"
#include "format/qed/copy.h"
#include "format/qed/entries.h"
#include "format/qed/l2_cache.h"
#include "format/qed/map.h"
#include "format/qed/qed.h"
#include "format/qed/rescue.h"
#include "format/qed/tables.h"
#include "util/units.h"

int qed_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf)
{
	uint8_t *to = buf;

	while (bytes) {
		struct blk_map map;
		int ret = qed_co_map_range(node, offset, bytes, &map);

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

/* ---- Fresh clusters ---- */

/*
 * Where the untouched rest of a cluster is zeroes: zero clusters, and unallocated ones
 * that show nothing of a backing file.
 *
 * A fresh cluster reads as zeroes, which is what the guest cluster reads as
 * already.  So the entry may be set at once, before the data is written, and
 * no reader can tell.  From then on any number of writers write their parts in
 * place, in parallel; a lock is needed only while the entry is set.  A commit
 * in between makes the entry durable with a cluster that holds zeroes, or a
 * part of the data of a write that was not answered: both are correct.
 */

/* May the entry be replaced by a fresh cluster without copying from the backing file? */
static bool is_fresh(const struct qed_image *img, uint64_t entry, uint64_t cluster)
{
	if (entry == QED_L2_ZERO)
		return true;
	return entry == QED_L2_UNALLOCATED &&
	       cluster << img->cluster_bits >= qed_backing_bytes(img);
}

static int write_fresh(struct qed_image *img, uint64_t offset, uint64_t bytes, const void *buf,
		       uint64_t *done)
{
	uint64_t cluster = offset >> img->cluster_bits;
	uint64_t in_cluster = offset & (qed_cluster_size(img) - 1);
	uint64_t max = ((offset + bytes - 1) >> img->cluster_bits) - cluster + 1;
	struct cluster_run run;
	int ret = qed_co_take_clusters(img, cluster, max, is_fresh, true, &run);

	if (ret || !run.count)
		return ret;
	*done = min_u64((run.count << img->cluster_bits) - in_cluster, bytes);
	return blk_file_co_pwrite(img->file, buf, *done,
				  (run.start << img->cluster_bits) + in_cluster);
}

/* ---- Writing ---- */

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
 * Write a first part of a run that has no data clusters, whose length in bytes goes to *@done (0:
 * the entries have changed, map again).  The backing file may be
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
		return write_fresh(img, offset, bytes, buf, done);
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
		int ret = qed_co_map_range(node, offset, bytes, &map);

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

/* ---- Writes with FUA that need no commit ---- */

/*
 * If a guest cluster's entry, L2 table and L1 entry are all on disk already, only the data has to
 * become durable, and a write that waits for the disk (RWF_DSYNC) does that.  This holds for
 * clusters whose slice is clean: a slice that is neither dirty nor in the running commit was
 * written by an earlier commit, or read from the disk.  A slice that was read may have been written
 * by a process that was killed before it flushed; so a commit of our own, which flushes the file,
 * must have succeeded before.
 *
 * If another request frees the cluster meanwhile, the guest writes and discards it at the same
 * time; the cluster is not used again before this write has completed (free_list.c).
 */

/* Under meta_lock: is the metadata of guest clusters [first, last] on disk as it is in memory? */
static bool is_on_disk(struct qed_image *img, uint64_t first, uint64_t last)
{
	const struct qed_commit *c = &img->commit;

	/* A slice can be clean before the L1 entry of its table is written. */
	if (!c->succeeded || c->new_tables.nr || c->batch_tables.nr)
		return false;
	for (uint64_t i = first / QED_SLICE_ENTRIES; i <= last / QED_SLICE_ENTRIES; i++) {
		const struct l2_slice *slice = l2_cache_find(img, i);

		if (!slice || slice->dirty || slice->committing)
			return false;
	}
	return true;
}

int qed_co_pwrite_durable(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf)
{
	struct qed_image *img = node->opaque;
	struct blk_map map;
	bool durable;
	int ret;

	/* Under one lock, so that both answers are about the same entries. */
	pthread_mutex_lock(&img->meta_lock);
	durable = !qed_map_range(node, offset, bytes, &map) && map.kind == BLK_MAP_DATA &&
		  map.bytes >= bytes &&
		  is_on_disk(img, offset >> img->cluster_bits,
			     (offset + bytes - 1) >> img->cluster_bits);
	pthread_mutex_unlock(&img->meta_lock);
	if (!durable)
		return -ENOTSUP;
	ret = blk_file_co_pwrite_durable(map.file, buf, bytes, map.file_offset);
	/* The write's sync was an fdatasync that failed (rule R6 of ordering.rst). */
	if (ret)
		qed_rescue_lost(img);
	return ret;
}
