// SPDX-License-Identifier: GPL-2.0
/*
 * Leaving no free cluster inside the file when it is closed, since the format
 * has no place to note them: to everybody else they would be leaks.
 *
 *	1. Free clusters at the file's end are cut off.
 *	2. Data clusters from the end move into the free ones, up to a budget of
 *	   bytes, so that closing takes seconds at most; then the end is cut again.
 *	3. What is still free is lent: a guest cluster that reads as zeroes gets
 *	   it.  It is a hole in the file and reads as zeroes, so nothing changes,
 *	   no disk space is used, and it is that guest cluster's when it is written.
 *
 * A move is an ordinary copy-on-write: the copy is written, the entry changed
 * and committed, and then the old cluster freed.  A crash leaves leaks at worst.
 * No request may be in flight.
 */
#include <errno.h>
#include <stdlib.h>

#include "block/zero.h"
#include "format/qed/qed.h"

/* Bytes of data that closing an image moves at most. */
#define MOVE_BUDGET (256 * MiB)

/* A data cluster near the file's end. */
struct move {
	uint64_t guest; /* guest cluster */
	uint64_t from; /* file cluster */
};

struct compaction {
	struct qed_image *img;
	uint64_t tail; /* file cluster: data at or behind it is to move */
	struct move *moves;
	size_t nr_moves, max_moves;
	int ret;
};

/* Lower the frontier over free clusters. */
static void cut_end(struct qed_image *img)
{
	struct qed_allocator *a = &img->alloc;
	uint64_t last;

	pthread_mutex_lock(&img->meta_lock);
	while (cluster_set_last(&a->free, &last) && last + 1 == a->frontier) {
		cluster_set_remove(&a->free, last, 1);
		a->frontier--;
	}
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

static int note_moves(void *arg, uint64_t first, uint64_t *entries, unsigned int n, bool *changed)
{
	struct compaction *c = arg;

	(void)changed;
	for (unsigned int i = 0; i < n; i++) {
		uint64_t from = entries[i] >> c->img->cluster_bits;

		if (entries[i] > QED_L2_ZERO && from >= c->tail && c->nr_moves < c->max_moves)
			c->moves[c->nr_moves++] = (struct move){ first + i, from };
	}
	return 0;
}

/* Copy a cluster into a free one, leaving zeroes out. */
static int copy_data(struct qed_image *img, uint64_t from, uint64_t to, void *buf, uint64_t step)
{
	int ret = 0;

	for (uint64_t pos = 0; !ret && pos < qed_cluster_size(img); pos += step) {
		ret = blk_file_co_pread(img->file, buf, step, (from << img->cluster_bits) + pos);
		if (!ret && !buffer_is_zero(buf, step))
			ret = blk_file_co_pwrite(img->file, buf, step,
						 (to << img->cluster_bits) + pos);
	}
	return ret;
}

/* The lowest free cluster in front of the tail; false: there is none. */
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

static int move_one(struct compaction *c, const struct move *move, uint64_t to, void *buf,
		    uint64_t step)
{
	struct qed_image *img = c->img;
	struct l2_slice *slice;
	int ret = copy_data(img, move->from, to, buf, step);

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
	uint64_t step = min_u64(qed_cluster_size(c->img), 1 * MiB);
	void *buf = aligned_alloc(4096, step);
	uint64_t to;
	int ret = buf ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < c->nr_moves && take_target(c, &to); i++)
		ret = move_one(c, &c->moves[i], to, buf, step);
	free(buf);
	return ret;
}

/* Commit, and get back what was dropped. */
static int settle(struct qed_image *img)
{
	bool left;
	int ret = qed_co_flush(img->node);

	if (!ret)
		qed_co_recycle(img, &left);
	return ret;
}

static int move_tail(struct qed_image *img)
{
	struct qed_allocator *a = &img->alloc;
	struct compaction c = { .img = img };
	uint64_t used = a->frontier - a->free.members;
	uint64_t budget = max_u64(MOVE_BUDGET >> img->cluster_bits, 1);
	int ret;

	c.max_moves = min_u64(a->free.members, budget);
	c.tail = max_u64(used, a->frontier - min_u64(a->frontier, budget));
	c.moves = calloc(c.max_moves, sizeof(*c.moves));
	if (!c.moves)
		return -ENOMEM;
	ret = walk_all(img, note_moves, &c);
	if (!ret)
		ret = move_all(&c);
	free(c.moves);
	if (!ret)
		ret = settle(img);
	return ret;
}

static int lend_piece(void *arg, uint64_t first, uint64_t *entries, unsigned int n, bool *changed)
{
	struct qed_image *img = arg;
	uint64_t end = div_round_up(img->header.image_size, img->header.cluster_size);
	struct l2_slice *slice;
	uint64_t to;

	(void)changed; /* through the cache, so that what is cached stays true */
	for (unsigned int i = 0; i < n && first + i < end && img->alloc.free.members; i++) {
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

int qed_co_compact(struct qed_image *img)
{
	struct qed_allocator *a = &img->alloc;
	int ret;

	cut_end(img);
	if (!a->free.members)
		return 0;
	ret = move_tail(img);
	if (ret)
		return ret;
	cut_end(img);
	if (!a->free.members)
		return 0;
	ret = walk_all(img, lend_piece, img);
	return ret ? ret : settle(img);
}
