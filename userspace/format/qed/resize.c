// SPDX-License-Identifier: GPL-2.0
/*
 * Growing an image.
 *
 * What it gains must read as zeroes, where the backing file may have bytes, or
 * the image's last cluster some that were never visible.  That is seen to, durably,
 * before the header says that there is more: a crash in between shows nothing.
 *
 * A stream may replace the backing file by one further down the chain at any moment,
 * and it has looked only at what the image had when it began.  So what is gained is
 * hidden from the whole chain, not only from the backing file of now.
 */
#include <errno.h>
#include <inttypes.h>

#include "format/qed/qed.h"

/* How far any image of the backing chain reaches, bytes. */
static uint64_t chain_end(const struct qed_image *img)
{
	uint64_t end = 0;

	/* Left out: how long it is is not known. */
	if (img->has_backing && !img->node->backing)
		return INT64_MAX;
	/* The caller is in flight: what a stream takes out of the chain is not closed yet. */
	for (const struct blk_node *below = img->node->backing; below; below = below->backing)
		end = max_u64(end, atomic_load_explicit(&below->size, memory_order_relaxed));
	return end;
}

/*
 * Have the image's last cluster, of which [@old, ...) is not visible, not show what an image
 * further down the chain has there, if it reads as zeroes only by the backing file's end.
 */
static int hide_last_cluster(struct qed_image *img, uint64_t old)
{
	uint64_t start = round_down(old, qed_cluster_size(img));

	if (start == old || start < qed_backing_bytes(img) || start >= chain_end(img))
		return 0;
	return qed_co_pwrite_zeroes(img->node, start, qed_cluster_size(img), BLK_REQ_POPULATE);
}

/* [old, size) is to be the image's: have it read as zeroes. */
static int hide(struct qed_image *img, uint64_t old, uint64_t size)
{
	uint64_t end = min_u64(size, max_u64(chain_end(img), round_up(old, qed_cluster_size(img))));
	int ret = hide_last_cluster(img, old);

	if (ret || end <= old)
		return ret;
	/* Clusters that begin behind the old end show nothing yet: the last as a whole. */
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
	ret = qed_co_map(img->node, old - 1, 1, &map);
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

	ret = qed_geometry_validate(header.cluster_size, header.table_size, size, err);
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
