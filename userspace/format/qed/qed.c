// SPDX-License-Identifier: GPL-2.0
/*
 * The QED driver: opening, closing, and its struct blk_driver.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aio/sys.h"
#include "format/qed/alloc.h"
#include "format/qed/commit.h"
#include "format/qed/compact.h"
#include "format/qed/flusher.h"
#include "format/qed/header.h"
#include "format/qed/l2_cache.h"
#include "format/qed/leak_scan.h"
#include "format/qed/map.h"
#include "format/qed/qed.h"
#include "format/qed/rescue.h"
#include "format/qed/tables.h"
#include "util/log.h"

static int qed_probe(const uint8_t *buf, size_t len)
{
	return qed_is_magic(buf, len) ? 100 : 0;
}

static void free_image(struct qed_image *img)
{
	qed_commit_destroy(img);
	l2_cache_destroy(img);
	qed_rescue_close(img);
	qed_alloc_destroy(img);
	qed_l1_free(img);
	range_lock_destroy(&img->clusters);
	co_mutex_destroy(&img->header_lock);
	pthread_mutex_destroy(&img->fill_lock);
	pthread_mutex_destroy(&img->meta_lock);
	free(img);
}

static int set_backing(struct blk_node *node, const struct qed_header *h, char *backing_name,
		       struct error *err)
{
	node->backing_name = backing_name;
	if (!(h->features & QED_F_BACKING_FORMAT_NO_PROBE))
		return 0;
	node->backing_format = strdup("raw");
	return node->backing_format ? 0 : error_set_errno(err, -ENOMEM, "backing format");
}

static int init_image(struct qed_image *img, const struct blk_open_opts *opts, struct error *err)
{
	int ret;

	img->cluster_bits = __builtin_ctz(img->header.cluster_size);
	img->table_bytes = (uint64_t)img->header.table_size * img->header.cluster_size;
	img->table_entries = img->table_bytes / 8;
	img->has_backing = img->node->backing_name;
	ret = qed_alloc_init(img);
	if (!ret)
		ret = l2_cache_init(img, opts->l2_cache_size);
	if (!ret)
		ret = qed_commit_init(img);
	if (ret)
		return error_set_errno(err, ret, "image tables");
	ret = qed_rescue_open(img, opts, err);
	return ret ? ret : qed_co_l1_load(img, err);
}

/* Write the header with these autoclear bits, durably, with all that was written before. */
static int set_autoclear(struct qed_image *img, uint64_t features)
{
	if (img->header.autoclear_features == features)
		return 0;
	img->header.autoclear_features = features;
	return qed_co_write_header(img, &img->header);
}

/* Clear the autoclear bits that we do not know, as the specification asks of a writer. */
static int clear_unknown(struct qed_image *img, struct error *err)
{
	int ret = set_autoclear(img, img->header.autoclear_features & QED_AUTOCLEAR_LEAKS);

	return ret ? error_set_errno(err, ret, "could not write the QED header") : 0;
}

/* Note in the header, for the next opener, whether there may be leaks. */
static int note_leaks(struct qed_image *img)
{
	uint64_t others = img->header.autoclear_features & ~QED_AUTOCLEAR_LEAKS;

	bool leaks = img->scan.unfinished || img->scan.leaked;

	return set_autoclear(img, others | (leaks ? QED_AUTOCLEAR_LEAKS : 0));
}

/*
 * Check an image that the last writer left with NEED_CHECK: its metadata may be
 * torn.  Repairs everything but clusters that are referenced twice.
 */
static int check_dirty(struct qed_image *img, struct error *err)
{
	struct blk_check_result result;
	int ret;

	log_warning("%s: was not closed properly, checking it", img->node->filename);
	ret = qed_co_check(img->node, BLK_FIX_ERRORS | BLK_FIX_LEAKS, NULL, NULL, &result, err);
	if (ret)
		return ret;
	if (result.corruptions)
		return error_set(err, -EUCLEAN,
				 "image is corrupt, clusters are in use twice; check -r all "
				 "separates them");
	if (result.corruptions_fixed)
		log_warning("%s: %llu corruptions repaired", img->node->filename,
			    (unsigned long long)result.corruptions_fixed);
	return 0;
}

static int open_image(struct qed_image *img, const struct blk_open_opts *opts, struct error *err)
{
	struct blk_node *node = img->node;
	char *backing_name;
	int ret = qed_co_read_header(img->file, opts->flags & BLK_O_INCOMPLETE, &img->header,
				     &backing_name, err);

	if (!ret)
		ret = set_backing(node, &img->header, backing_name, err);
	if (!ret)
		ret = init_image(img, opts, err);
	if (ret)
		return ret;
	atomic_store_explicit(&node->size, img->header.image_size, memory_order_relaxed);
	node->cluster_size = img->header.cluster_size;
	img->scan.unfinished = img->header.autoclear_features & QED_AUTOCLEAR_LEAKS;
	return 0;
}

static int qed_co_open(struct blk_node *node, const struct blk_open_opts *opts, struct error *err)
{
	struct qed_image *img = calloc(1, sizeof(*img));
	int ret;

	if (!img)
		return error_set_errno(err, -ENOMEM, "image");
	img->node = node;
	img->file = node->file;
	img->writable = opts->flags & BLK_O_RDWR;
	pthread_mutex_init(&img->meta_lock, NULL);
	pthread_mutex_init(&img->fill_lock, NULL);
	range_lock_init(&img->clusters);
	co_mutex_init(&img->header_lock);
	co_queue_init(&img->flusher.wakeup);
	co_queue_init(&img->flusher.stopped);
	co_queue_init(&img->scan.stopped);
	node->opaque = img;
	ret = open_image(img, opts, err);
	if (ret) {
		free_image(img);
		node->opaque = NULL;
	}
	return ret;
}

static int qed_co_start(struct blk_node *node, struct error *err)
{
	struct qed_image *img = node->opaque;
	int ret;

	/* An option may give a backing file to an image whose header has none. */
	if (node->backing)
		img->has_backing = true;
	if (!img->writable)
		return 0;
	/* A block device's size does not tell where free space begins. */
	if (img->file->is_device)
		return error_set(err, -ENOTSUP,
				 "QED images on block devices can be opened for reading only");
	ret = qed_flusher_start(img, qed_co_commit_dirty, qed_co_recycle);
	if (ret)
		return error_set_errno(err, ret, "background writer");
	if (!(node->flags & BLK_O_CHECK))
		ret = qed_co_rescue_replay(img, err);
	if (!ret)
		ret = clear_unknown(img, err);
	if (ret || (node->flags & BLK_O_CHECK))
		return ret;
	if (!img->rescue.later)
		qed_rescue_start(img);
	/*
	 * Before requests come: the first writes, many at once, would each take it, and then
	 * allocate in the order in which that ends.  An error goes to the one that needs a table.
	 */
	(void)qed_co_l1_take_space(img, qed_l1_entries_used(img));
	/* A check finds the leaks, too. */
	if (img->header.features & QED_F_NEED_CHECK)
		return check_dirty(img, err);
	ret = qed_co_leak_scan_start(img);
	return ret ? error_set_errno(err, ret, "search for leaked clusters") : 0;
}

/* Cut the file behind its last cluster. */
static int cut_file(struct qed_image *img)
{
	struct qed_allocator *a = &img->alloc;
	uint64_t end = atomic_load_explicit(&a->end, memory_order_relaxed);

	if (a->physical <= end)
		return 0;
	return blk_file_co_truncate(img->file, end);
}

/* How often to look, and how long to wait, for reads that keep freed clusters from being unused. */
#define RECYCLE_TRIES  100
#define RECYCLE_NAP_NS (10 * 1000000ULL)

static void recycle_all(struct qed_image *img)
{
	bool left;

	for (unsigned int i = 0; i < RECYCLE_TRIES; i++) {
		qed_co_recycle(img, &left);
		if (!left)
			return;
		aio_co_sleep(RECYCLE_NAP_NS);
	}
	img->scan.leaked = true;
}

/*
 * Leave no unused cluster in the file, or a note for the next opener, and end the background
 * flusher.  @move: see qed_co_compact().
 */
static int settle(struct qed_image *img, bool move)
{
	int ret;

	qed_co_leak_scan_end(img);
	ret = qed_co_commit(img);
	if (!ret) {
		recycle_all(img);
		if (img->node->flags & BLK_O_LEAVE)
			img->scan.unfinished |= img->alloc.free.members;
		else
			ret = qed_co_compact(img, move);
	}
	qed_co_flusher_stop(img);
	/* Before the hole at the end is cut: until then it makes the next opener search. */
	if (!ret)
		ret = note_leaks(img);
	if (!ret)
		ret = cut_file(img);
	if (!ret)
		ret = qed_co_flush_file(img);
	return ret;
}

/* No cluster moves: a read through an overlay, which may be using it, is not in flight here. */
static int qed_co_settle(struct blk_node *node)
{
	struct qed_image *img = node->opaque;
	int ret;

	if (!img->flusher.running)
		return 0;
	ret = settle(img, false);
	img->writable = false;
	return ret;
}

static int qed_co_close(struct blk_node *node)
{
	struct qed_image *img = node->opaque;
	int ret = 0;

	if (img->flusher.running)
		ret = settle(img, true);
	free_image(img);
	node->opaque = NULL;
	return ret;
}

static int qed_co_sync(struct blk_node *node)
{
	return qed_co_commit(node->opaque);
}

static void qed_gauges(struct blk_node *node, uint64_t *values)
{
	struct qed_image *img = node->opaque;
	const struct qed_allocator *a = &img->alloc;

	pthread_mutex_lock(&img->meta_lock);
	values[BLK_GAUGE_free_clusters] = a->free.members;
	values[BLK_GAUGE_pending_clusters] =
		a->dropping + cluster_runs_total(&a->durable) + cluster_runs_total(&a->waiting);
	values[BLK_GAUGE_dirty_slices] = img->commit.nr_dirty + img->commit.nr_batch;
	values[BLK_GAUGE_cached_slices] = img->cache.published;
	values[BLK_GAUGE_largest_group] = img->commit.largest_group;
	pthread_mutex_unlock(&img->meta_lock);
}

static int qed_co_info(struct blk_node *node, struct blk_info *info)
{
	struct qed_image *img = node->opaque;

	/* A job on another thread may be changing the header. */
	co_mutex_lock(&img->header_lock);
	info->virtual_size = img->header.image_size;
	info->cluster_size = img->header.cluster_size;
	info->table_size = img->header.table_size;
	info->dirty = img->header.features & QED_F_NEED_CHECK;
	info->features = img->header.features;
	info->compat_features = img->header.compat_features;
	info->autoclear_features = img->header.autoclear_features;
	co_mutex_unlock(&img->header_lock);
	return 0;
}

const struct blk_driver blk_driver_qed = {
	.name = "qed",
	.has_backing = true,
	.probe = qed_probe,
	.co_open = qed_co_open,
	.co_start = qed_co_start,
	.co_close = qed_co_close,
	.rescue = qed_rescue_switch,
	.co_settle = qed_co_settle,
	.create_options = qed_create_options,
	.check_create = qed_check_create,
	.co_create = qed_co_create,
	.co_measure = qed_co_measure,
	.map = qed_map_range,
	.co_map = qed_co_map_range,
	.co_pread = qed_co_pread,
	.co_pwrite = qed_co_pwrite,
	.co_pwrite_durable = qed_co_pwrite_durable,
	.co_pwrite_zeroes = qed_co_pwrite_zeroes,
	.co_pdiscard = qed_co_pdiscard,
	.co_flush = qed_co_flush,
	.co_sync = qed_co_sync,
	.co_truncate = qed_co_truncate,
	.co_change_backing = qed_co_change_backing,
	.check_backing = qed_check_backing,
	.co_set_complete = qed_co_set_complete,
	.co_make_empty = qed_co_make_empty,
	.gauges = qed_gauges,
	.co_info = qed_co_info,
	.co_check = qed_co_check,
	.co_check_live = qed_co_check_live,
};
