// SPDX-License-Identifier: GPL-2.0
/*
 * Growing an image.
 *
 * What it gains must read as zeroes, where the backing file may have bytes, or
 * the image's last cluster some that nobody saw.  That is seen to, durably,
 * before the header says that there is more: a crash in between shows nothing.
 */
#include <errno.h>
#include <inttypes.h>

#include "format/qed/qed.h"

/* How far the backing file reaches, bytes. */
static uint64_t backing_end(const struct qed_image *img)
{
	/* Left out: how long it is is not known. */
	if (img->has_backing && !img->node->backing)
		return INT64_MAX;
	return qed_backing_bytes(img);
}

/* [old, size) is to be the image's: have it read as zeroes. */
static int hide(struct qed_image *img, uint64_t old, uint64_t size)
{
	uint64_t end =
		min_u64(size, max_u64(backing_end(img), round_up(old, qed_cluster_size(img))));
	int ret;

	if (end <= old)
		return 0;
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

int qed_co_truncate(struct blk_node *node, uint64_t size, struct error *err)
{
	struct qed_image *img = node->opaque;
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
