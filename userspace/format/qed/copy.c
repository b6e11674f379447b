// SPDX-License-Identifier: GPL-2.0
/*
 * Allocating writes to unallocated clusters that show the backing file:
 * copy-on-write, and populating (copy-on-read), which writes the backing file's
 * own bytes.
 *
 * The entry can be set only when the whole cluster is written, since until then
 * readers must see the backing file.  The clusters' range is locked from the read
 * of their entries until the new ones are set.  So no other copy is made of them,
 * and they are not zeroed or discarded meanwhile; a writer that waited finds them
 * allocated and writes in place.
 *
 * The lock does not keep out a fresh write (io.c): when the backing file is
 * replaced by a shorter one, the offset from which clusters read as zeroes moves
 * down, and a copy that began before may lie behind it.  So the entry is set only
 * if it is still unallocated.  Otherwise another writer has set it, whose request
 * may have been answered: the copy is given back, and its writers start over, in
 * place.
 */
#include <errno.h>
#include <string.h>

#include "block/io.h"
#include "block/zero.h"
#include "format/qed/alloc.h"
#include "format/qed/copy.h"
#include "format/qed/entries.h"
#include "util/units.h"

/* A write of @buf (NULL: zeroes) to the bytes [from, to) of one cluster. */
struct part {
	uint64_t cluster; /* guest cluster */
	uint64_t from, to;
	const uint8_t *buf;

	/* For a part that joined a fill: */
	struct part *next; /* the part that joined after this one */
	struct co *co; /* yields until @ret is set */
	int ret;
	bool stale; /* nothing was written, since the entry changed: map again */
};

/*
 * A cluster that is being filled.  While the fill is open, it is in img->fills, and
 * parts are added under fill_lock; once closed, only the filler uses it.
 */
struct qed_fill {
	uint64_t cluster;
	struct qed_fill *next; /* in its bucket */
	struct part *parts, **tail; /* in the order in which they came */
};

static struct qed_fill **fill_bucket(struct qed_image *img, uint64_t cluster)
{
	return &img->fills[cluster % QED_FILL_BUCKETS];
}

static void open_fill(struct qed_image *img, struct qed_fill *fill, struct part *part)
{
	struct qed_fill **bucket = fill_bucket(img, part->cluster);

	*fill = (struct qed_fill){ .cluster = part->cluster, .parts = part, .tail = &part->next };
	part->next = NULL;
	pthread_mutex_lock(&img->fill_lock);
	fill->next = *bucket;
	*bucket = fill;
	pthread_mutex_unlock(&img->fill_lock);
}

/* Let no more parts join.  May be called again. */
static void close_fill(struct qed_image *img, struct qed_fill *fill)
{
	struct qed_fill **link = fill_bucket(img, fill->cluster);

	pthread_mutex_lock(&img->fill_lock);
	while (*link && *link != fill)
		link = &(*link)->next;
	if (*link)
		*link = fill->next;
	pthread_mutex_unlock(&img->fill_lock);
}

/* Complete the parts that joined; the first part is the filler's own. */
static void answer_joined(struct qed_fill *fill, int ret, bool stale)
{
	struct part *part = fill->parts->next, *next;

	for (; part; part = next) {
		/* @part is on its coroutine's stack, and may be gone as soon as that is woken. */
		next = part->next;
		part->ret = ret;
		part->stale = stale;
		co_wake(part->co);
	}
}

/* Add @part to the fill of its cluster and wait until it ends; false: there is none.  Yields. */
static bool join_fill(struct qed_image *img, struct part *part)
{
	struct qed_fill *fill;

	pthread_mutex_lock(&img->fill_lock);
	fill = *fill_bucket(img, part->cluster);
	while (fill && fill->cluster != part->cluster)
		fill = fill->next;
	if (fill) {
		part->co = co_self();
		part->next = NULL;
		*fill->tail = part;
		fill->tail = &part->next;
	}
	pthread_mutex_unlock(&img->fill_lock);
	if (!fill)
		return false;
	blk_stats_add(&img->node->stats, BLK_STAT_shared_fills, 1);
	co_park();
	return true;
}

/* Return how many bytes of @cluster lie inside the image. */
static uint64_t visible_bytes(const struct qed_image *img, uint64_t cluster)
{
	uint64_t size = atomic_load_explicit(&img->node->size, memory_order_relaxed);

	return min_u64(qed_cluster_size(img), size - (cluster << img->cluster_bits));
}

/* Copy the bytes of @part that lie in [pos, pos + len) of the cluster over @bytes. */
static void overlay(const struct part *part, uint64_t pos, uint64_t len, uint8_t *bytes)
{
	uint64_t from = max_u64(part->from, pos);
	uint64_t end = min_u64(part->to, pos + len);

	if (from >= end)
		return;
	if (part->buf)
		memcpy(bytes + (from - pos), part->buf + (from - part->from), end - from);
	else
		memset(bytes + (from - pos), 0, end - from);
}

/*
 * Write the piece [pos, pos + len) of a cluster: to the fresh cluster at file offset
 * @to, with the backing file's bytes where no part covers it.  A piece of zeroes is
 * not written, since the fresh cluster has them.  *@wrote is set if it is written.
 */
static int fill_piece(struct qed_image *img, struct qed_fill *fill, uint64_t pos, uint64_t len,
		      uint8_t *copy, uint64_t to, bool *wrote)
{
	uint64_t guest = (fill->cluster << img->cluster_bits) + pos;
	uint64_t padded = round_up(len, 4096);
	int ret;

	ret = blk_co_pread_backing(img->node, guest, len, copy);
	if (ret)
		return ret;
	/* At the first piece, so that every part that joined is in all pieces. */
	if (!pos)
		close_fill(img, fill);
	for (const struct part *part = fill->parts; part; part = part->next)
		overlay(part, pos, len, copy);
	if (buffer_is_zero(copy, len))
		return 0;
	/* Whole blocks, so that the end of an image of unaligned size is no special case. */
	memset(copy + len, 0, padded - len);
	*wrote = true;
	return blk_file_co_pwrite(img->file, copy, padded, to + pos);
}

/* Fill the fresh cluster at file offset @to: the parts over the backing file's bytes. */
static int fill_cluster(struct qed_image *img, struct qed_fill *fill, uint64_t to, bool *wrote)
{
	uint64_t visible = visible_bytes(img, fill->cluster);
	uint64_t step = min_u64(bufpool_buf_size(img->node->copy_pool), qed_cluster_size(img));
	uint8_t *copy = bufpool_co_get(img->node->copy_pool);
	int ret = 0;

	for (uint64_t pos = 0; !ret && pos < visible; pos += step)
		ret = fill_piece(img, fill, pos, min_u64(step, visible - pos), copy, to, wrote);
	bufpool_put(img->node->copy_pool, copy);
	return ret;
}

static bool is_unallocated(const struct qed_image *img, uint64_t entry, uint64_t cluster)
{
	(void)img;
	(void)cluster;
	return entry == QED_L2_UNALLOCATED;
}

/* Give back clusters that may have been written to: they are punched before their next use. */
static void give_back_written(struct qed_image *img, const struct cluster_run *run)
{
	pthread_mutex_lock(&img->meta_lock);
	qed_drop_clusters(img, run->start, run->count);
	pthread_mutex_unlock(&img->meta_lock);
}

/*
 * Populate a cluster that is all zeroes: make it a zero cluster, unless a newer write has changed
 * the entry, and give back the unwritten file cluster.
 */
static int keep_zeroes(struct qed_image *img, uint64_t cluster, const struct cluster_run *run)
{
	uint64_t set;
	int ret = qed_co_set_unallocated(img, cluster, 1, QED_L2_ZERO, 0, &set);

	pthread_mutex_lock(&img->meta_lock);
	qed_alloc_undo(img, run->start, 1);
	pthread_mutex_unlock(&img->meta_lock);
	return ret;
}

/*
 * Write to part of a cluster, whose range is locked.  *@stale: nothing was written, since the entry
 * changed.
 */
static int write_part(struct qed_image *img, struct part *part, unsigned int flags, bool *stale)
{
	struct qed_fill fill;
	struct cluster_run run;
	bool wrote = false;
	uint64_t set = 0;
	int ret = qed_co_take_clusters(img, part->cluster, 1, is_unallocated, false, &run);

	*stale = !ret && !run.count;
	if (ret || !run.count)
		return ret;
	/* Opened with the cluster's range held: there is at most one fill per cluster. */
	open_fill(img, &fill, part);
	ret = fill_cluster(img, &fill, run.start << img->cluster_bits, &wrote);
	close_fill(img, &fill);
	if (!ret && !wrote && (flags & BLK_REQ_POPULATE) && !part->next)
		return keep_zeroes(img, part->cluster, &run);
	if (!ret)
		ret = qed_co_set_unallocated(img, part->cluster, 1, run.start << img->cluster_bits,
					     0, &set);
	*stale = !ret && !set;
	if (!set)
		give_back_written(img, &run);
	answer_joined(&fill, ret, *stale);
	return ret;
}

/* Write whole clusters, whose range is locked.  *@n is how many were written. */
static int write_whole(struct qed_image *img, uint64_t cluster, uint64_t max, uint64_t bytes,
		       const void *buf, uint64_t *n)
{
	struct cluster_run run;
	uint64_t to;
	int ret = qed_co_take_clusters(img, cluster, max, is_unallocated, false, &run);

	*n = 0;
	if (ret || !run.count)
		return ret;
	to = run.start << img->cluster_bits;
	bytes = min_u64(bytes, run.count << img->cluster_bits);
	ret = blk_file_co_pwrite(img->file, buf, bytes, to);
	if (!ret)
		ret = qed_co_set_unallocated(img, cluster, run.count, to, qed_cluster_size(img), n);
	run.start += *n;
	run.count -= *n;
	if (run.count)
		give_back_written(img, &run);
	return ret;
}

/* Return the part of [offset, offset + bytes) that lies in its first cluster. */
static struct part first_part(const struct qed_image *img, uint64_t offset, uint64_t bytes,
			      const void *buf)
{
	uint64_t from = offset & (qed_cluster_size(img) - 1);

	return (struct part){
		.cluster = offset >> img->cluster_bits,
		.from = from,
		.to = min_u64(from + bytes, qed_cluster_size(img)),
		.buf = buf,
	};
}

/* Return how many whole clusters the range starts with; the image's last may be a partial one. */
static uint64_t whole_clusters(const struct qed_image *img, uint64_t offset, uint64_t bytes)
{
	uint64_t size = atomic_load_explicit(&img->node->size, memory_order_relaxed);

	if (offset & (qed_cluster_size(img) - 1))
		return 0;
	if (offset + bytes == size)
		bytes = round_up(bytes, qed_cluster_size(img));
	return bytes >> img->cluster_bits;
}

int qed_co_write_copying(struct qed_image *img, uint64_t offset, uint64_t bytes, const void *buf,
			 unsigned int flags, uint64_t *done)
{
	struct part part = first_part(img, offset, bytes, buf);
	uint64_t whole = buf ? whole_clusters(img, offset, bytes) : 0;
	uint64_t n = 0;
	struct range_hold hold;
	bool stale = false;
	int ret;

	/* Populating bytes are older than a fill's parts: they don't join, and map again later. */
	if (!whole && !(flags & BLK_REQ_POPULATE) && join_fill(img, &part)) {
		*done = part.stale ? 0 : part.to - part.from;
		return part.ret;
	}
	range_lock_co_acquire(&img->clusters, &hold, part.cluster, max_u64(whole, 1), true);
	if (whole) {
		ret = write_whole(img, part.cluster, whole, bytes, buf, &n);
		*done = min_u64(n << img->cluster_bits, bytes);
	} else {
		ret = write_part(img, &part, flags, &stale);
		*done = stale ? 0 : part.to - part.from;
	}
	range_lock_release(&img->clusters, &hold);
	return ret;
}
