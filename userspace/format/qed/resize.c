// SPDX-License-Identifier: GPL-2.0
/*
 * Growing an image.
 *
 * The added range must read as zeroes, although the backing file may have data there,
 * and so may the rest of the image's last cluster, which was never visible.  The range
 * is zeroed, durably, before the header has the new size: a crash in between shows
 * none of that data.
 *
 * A stream may replace the backing file by one further down the chain at any moment,
 * and it covers only the range that the image had when the stream began.  So the added
 * range must hide the whole chain, not only the current backing file.
 */
#include <errno.h>
#include <inttypes.h>

#include "format/qed/commit.h"
#include "format/qed/header.h"
#include "format/qed/map.h"
#include "format/qed/qed.h"
#include "util/units.h"

/* Return the size of the longest image of the backing chain, in bytes. */
static uint64_t chain_end(const struct qed_image *img)
{
	uint64_t end = 0;

	/* The backing file was not opened: its size is unknown. */
	if (img->has_backing && !img->node->backing)
		return INT64_MAX;
	/* This request is in flight, so a stream can't close an image of the chain meanwhile. */
	for (const struct blk_node *below = img->node->backing; below; below = below->backing)
		end = max_u64(end, atomic_load_explicit(&below->size, memory_order_relaxed));
	return end;
}

/*
 * Make the image's last cluster, which is not visible from @old on, a zero cluster if it reads as
 * zeroes only because the backing file ends before it, and an image further down the chain does
 * not.
 */
static int hide_last_cluster(struct qed_image *img, uint64_t old)
{
	uint64_t start = round_down(old, qed_cluster_size(img));

	if (start == old || start < qed_backing_bytes(img) || start >= chain_end(img))
		return 0;
	return qed_co_pwrite_zeroes(img->node, start, qed_cluster_size(img), BLK_REQ_POPULATE);
}

/* Make [old, size), the range to be added, read as zeroes, durably. */
static int hide(struct qed_image *img, uint64_t old, uint64_t size)
{
	uint64_t end = min_u64(size, max_u64(chain_end(img), round_up(old, qed_cluster_size(img))));
	int ret = hide_last_cluster(img, old);

	if (ret || end <= old)
		return ret;
	/* Clusters that begin behind the old end are invisible yet: zero the last as a whole. */
	end = round_up(end, qed_cluster_size(img));
	ret = qed_co_pwrite_zeroes(img->node, old, end - old, BLK_REQ_MAY_UNMAP);
	return ret ? ret : qed_co_commit(img);
}

/*
 * Does the image's last cluster show a backing file that is not open?  What the image gains of
 * that cluster could not be hidden without a copy of the rest.
 */
static int check_last_cluster(struct qed_image *img, uint64_t old, struct error *err)
{
	struct blk_map map;
	int ret;

	if (!img->has_backing || img->node->backing || !(old & (qed_cluster_size(img) - 1)))
		return 0;
	ret = qed_co_map_range(img->node, old - 1, 1, &map);
	if (ret)
		return error_set_errno(err, ret, "could not look at the last cluster");
	if (map.kind == BLK_MAP_BACKING)
		return error_set(err, -ENOTSUP,
				 "the last cluster shows the backing file, which is not open");
	return 0;
}

/* With header_lock held. */
static int resize(struct qed_image *img, uint64_t size, struct error *err)
{
	struct blk_node *node = img->node;
	struct qed_header header = img->header;
	uint64_t old = atomic_load_explicit(&node->size, memory_order_relaxed);
	int ret;

	ret = qed_image_size_validate(header.cluster_size, header.table_size, size,
				      "Invalid image size specified", err);
	if (!ret && size < old)
		return error_set(err, -ENOTSUP, "Shrinking images is currently not supported");
	if (!ret && size > old)
		ret = check_last_cluster(img, old, err);
	if (!ret && size > old) {
		ret = hide(img, old, size);
		error_set_errno(ret ? err : NULL, ret, "could not hide the backing file");
	}
	if (ret)
		return ret;
	header.image_size = size;
	ret = qed_co_write_header(img, &header);
	if (ret)
		return error_set_errno(err, ret, "could not write the QED header");
	img->header.image_size = size;
	atomic_store_explicit(&node->size, size, memory_order_release);
	return 0;
}

int qed_co_truncate(struct blk_node *node, uint64_t size, struct error *err)
{
	struct qed_image *img = node->opaque;
	int ret;

	co_mutex_lock(&img->header_lock);
	ret = resize(img, size, err);
	co_mutex_unlock(&img->header_lock);
	return ret;
}
