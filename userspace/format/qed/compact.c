// SPDX-License-Identifier: GPL-2.0
/*
 * Leaving no free cluster inside the file when it is closed.  The format cannot
 * record free clusters: to other programs they would be leaks.
 *
 *	1. All tables and entries are validated: a damaged image is left as it is.
 *	2. Free clusters at the file's end are cut off, data clusters from the end
 *	   move into the free ones, up to a budget of bytes, and the end is cut again.
 *	3. Each cluster that is still free is lent to a guest cluster that reads as
 *	   zeroes, or lies behind the end of an image that has been longer.  The file
 *	   cluster is a hole and reads as zeroes, so the contents stay the same and no
 *	   disk space is used; a later write goes to it.
 *
 * A move is an ordinary copy-on-write: the copy is written, the entry is changed
 * and committed, and then the old cluster is freed.  A crash leaves leaks at worst.
 * All L2 tables are read, which takes as long as reading 8 bytes for each cluster
 * of the image.  No request may be in flight.  Where no data moves, reads may be, and
 * free clusters may be left.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/zero.h"
#include "format/qed/alloc.h"
#include "format/qed/commit.h"
#include "format/qed/compact.h"
#include "format/qed/entries.h"
#include "format/qed/l2_cache.h"
#include "format/qed/tables.h"
#include "util/log.h"
#include "util/units.h"

/* Most bytes of data that closing an image moves. */
#define MOVE_BUDGET (256 * MiB)

/* A data cluster near the file's end. */
struct move {
	uint64_t guest; /* guest cluster */
	uint64_t from; /* file cluster */
};

struct compaction {
	struct qed_image *img;
	bool move;
	uint64_t tail; /* file cluster: data at or behind it moves */
	struct move *moves;
	size_t nr_moves, max_moves;
	struct cluster_set used; /* file clusters found to be referenced */
};

/* Lower the frontier as long as the clusters in front of it are free. */
static void cut_end(struct qed_image *img)
{
	struct qed_allocator *a = &img->alloc;
	uint64_t end;

	pthread_mutex_lock(&img->meta_lock);
	end = a->frontier;
	while (a->frontier && cluster_set_has(&a->free, a->frontier - 1))
		a->frontier--;
	cluster_set_remove(&a->free, a->frontier, end - a->frontier);
	atomic_store_explicit(&a->end, a->frontier << img->cluster_bits, memory_order_release);
	pthread_mutex_unlock(&img->meta_lock);
}

static int walk_all(struct qed_image *img, qed_walk_fn *fn, void *arg)
{
	uint64_t nr = qed_l1_entries_used(img);
	int ret = 0;

	for (uint64_t i = 0; !ret && i < nr; i++)
		if (atomic_load_explicit(&img->l1[i], memory_order_relaxed))
			ret = qed_co_walk_table(img, i, fn, arg);
	return ret;
}

/*
 * Note file clusters as referenced.  -EUCLEAN if one is free or referenced already: the
 * image is damaged, and moving clusters and cutting the file would make that worse.
 */
static int look_at(struct compaction *c, uint64_t cluster, uint64_t count)
{
	for (uint64_t i = cluster; i < cluster + count; i++)
		if (cluster_set_has(&c->img->alloc.free, i) || cluster_set_has(&c->used, i))
			return -EUCLEAN;
	return cluster_set_add(&c->used, cluster, count);
}

static int note_moves(void *arg, uint64_t first, uint64_t *entries, unsigned int n, bool *changed)
{
	struct compaction *c = arg;
	uint64_t end = atomic_load_explicit(&c->img->alloc.end, memory_order_relaxed);
	int ret = 0;

	(void)changed;
	for (unsigned int i = 0; !ret && i < n; i++) {
		uint64_t from = entries[i] >> c->img->cluster_bits;

		if (!qed_entry_valid(c->img, entries[i], end))
			return -EUCLEAN;
		if (!qed_entry_is_data(entries[i]))
			continue;
		ret = look_at(c, from, 1);
		if (from >= c->tail && c->nr_moves < c->max_moves)
			c->moves[c->nr_moves++] = (struct move){ first + i, from };
	}
	return ret;
}

static int look_at_tables(struct compaction *c)
{
	struct qed_image *img = c->img;
	uint64_t end = atomic_load_explicit(&img->alloc.end, memory_order_relaxed);
	uint64_t nr = qed_l1_entries_used(img);
	int ret = 0;

	for (uint64_t i = 0; !ret && i < nr; i++) {
		uint64_t table = atomic_load_explicit(&img->l1[i], memory_order_relaxed);

		if (!table)
			continue;
		if (!qed_table_offset_valid(img, table, end))
			return -EUCLEAN;
		ret = look_at(c, table >> img->cluster_bits, img->header.table_size);
	}
	return ret;
}

int qed_co_copy_cluster(struct qed_image *img, uint64_t from, uint64_t to)
{
	uint64_t step = min_u64(qed_cluster_size(img), 1 * MiB);
	void *buf = aligned_alloc(4096, step);
	int ret = buf ? 0 : -ENOMEM;

	for (uint64_t pos = 0; !ret && pos < qed_cluster_size(img); pos += step) {
		ret = blk_file_co_pread(img->file, buf, step, (from << img->cluster_bits) + pos);
		if (!ret && !buffer_is_zero(buf, step))
			ret = blk_file_co_pwrite(img->file, buf, step,
						 (to << img->cluster_bits) + pos);
	}
	free(buf);
	return ret;
}

/* Take the lowest free cluster in front of the tail; false: there is none. */
static bool take_target(struct compaction *c, uint64_t *to)
{
	struct cluster_set *free = &c->img->alloc.free;
	bool found;

	pthread_mutex_lock(&c->img->meta_lock);
	found = cluster_set_next_run(free, 0, 1, to) && *to < c->tail;
	if (found)
		cluster_set_remove(free, *to, 1);
	pthread_mutex_unlock(&c->img->meta_lock);
	return found;
}

static int move_one(struct compaction *c, const struct move *move, uint64_t to)
{
	struct qed_image *img = c->img;
	struct l2_slice *slice;
	int ret = qed_co_copy_cluster(img, move->from, to);

	if (!ret)
		ret = qed_co_slice_for_change(img, move->guest, &slice);
	if (ret) {
		pthread_mutex_lock(&img->meta_lock);
		qed_drop_clusters(img, to, 1);
		pthread_mutex_unlock(&img->meta_lock);
		return ret;
	}
	l2_slice_set(img, slice, move->guest % QED_SLICE_ENTRIES, to << img->cluster_bits);
	qed_drop_clusters(img, move->from, 1);
	pthread_mutex_unlock(&img->meta_lock);
	return 0;
}

static int move_all(struct compaction *c)
{
	uint64_t to;
	int ret = 0;

	for (size_t i = 0; !ret && i < c->nr_moves && take_target(c, &to); i++)
		ret = move_one(c, &c->moves[i], to);
	return ret;
}

/* Commit, and free the clusters that were dropped. */
static int settle(struct qed_image *img)
{
	bool left;
	int ret = qed_co_commit(img);

	if (!ret)
		qed_co_recycle(img, &left);
	return ret;
}

/* Step 1.  -EUCLEAN: the image is damaged. */
static int look(struct compaction *c)
{
	const struct qed_allocator *a = &c->img->alloc;
	uint64_t used = a->frontier - a->free.members;
	uint64_t budget = max_u64(MOVE_BUDGET >> c->img->cluster_bits, 1);
	int ret;

	c->max_moves = c->move ? min_u64(a->free.members, budget) : 0;
	c->tail = max_u64(used, a->frontier - min_u64(a->frontier, budget));
	c->moves = calloc(c->max_moves + 1, sizeof(*c->moves));
	ret = c->moves ? look_at_tables(c) : -ENOMEM;
	return ret ? ret : walk_all(c->img, note_moves, c);
}

static int lend_piece(void *arg, uint64_t first, uint64_t *entries, unsigned int n, bool *changed)
{
	struct qed_image *img = arg;
	struct l2_slice *slice;
	uint64_t to;

	(void)changed; /* entries are changed in the cache, and committed */
	for (unsigned int i = 0; i < n && img->alloc.free.members; i++) {
		bool zero = entries[i] == QED_L2_ZERO ||
			    (entries[i] == QED_L2_UNALLOCATED && !img->has_backing);
		int ret;

		if (!zero)
			continue;
		ret = qed_co_slice_for_change(img, first + i, &slice);
		if (ret)
			return ret;
		if (cluster_set_next_run(&img->alloc.free, 0, 1, &to)) {
			cluster_set_remove(&img->alloc.free, to, 1);
			l2_slice_set(img, slice, (first + i) % QED_SLICE_ENTRIES,
				     to << img->cluster_bits);
		}
		pthread_mutex_unlock(&img->meta_lock);
	}
	return 0;
}

/* Steps 2 and 3.  *@settled is the result of the commits. */
static int move_and_lend(struct compaction *c, int *settled)
{
	struct qed_image *img = c->img;
	int ret, lent = 0;

	cut_end(img);
	ret = move_all(c);
	*settled = settle(img);
	cut_end(img);
	if (!*settled && img->alloc.free.members) {
		lent = walk_all(img, lend_piece, img);
		*settled = settle(img);
	}
	return ret ? ret : lent;
}

int qed_co_compact(struct qed_image *img, bool move)
{
	struct compaction c = { .img = img, .move = move };
	int ret, settled = 0;

	if (!img->alloc.free.members)
		return 0;
	cluster_set_init(&c.used);
	ret = look(&c);
	if (ret == -EUCLEAN)
		log_warning("%s: is damaged, and is left as it is; check it", img->node->filename);
	else if (!ret)
		ret = move_and_lend(&c, &settled);
	cluster_set_destroy(&c.used);
	free(c.moves);
	if (ret == -EUCLEAN || !img->alloc.free.members)
		return settled;
	/* For instance, the disk is full.  No data is lost, and the next writer retries. */
	if (ret && !settled)
		log_warning("%s: free clusters are left in the file: %s", img->node->filename,
			    strerror(-ret));
	img->scan.unfinished = true;
	return settled;
}
