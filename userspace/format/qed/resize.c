// SPDX-License-Identifier: GPL-2.0
/*
 * Making an image longer or shorter.
 *
 * Longer: the added range must read as zeroes, although the backing file may have data there,
 * and so may the rest of the image's last cluster, which was never visible.  The range
 * is zeroed, durably, before the header has the new size: a crash in between shows
 * none of that data.
 *
 * A stream may replace the backing file by one further down the chain at any moment,
 * and it covers only the range that the image had when the stream began.  So the added
 * range must hide the whole chain, not only the current backing file.
 *
 * Shorter: what is cut off is discarded, durably, before the header has the new size.
 * A crash in between leaves the old size, and the guest's bytes beyond the new one are
 * there or zeroes.  So what the tables have behind the end of an image, and the rest of
 * its last cluster, never holds the guest's bytes: whatever program makes the image
 * longer later, they do not come back.  Where writing the header fails, the disk may have
 * either, and the image has the new size: what would be written behind that could be lost.
 * L2 tables that became empty stay.
 */
#include <errno.h>
#include <inttypes.h>

#include "format/qed/commit.h"
#include "format/qed/header.h"
#include "format/qed/map.h"
#include "format/qed/qed.h"
#include "format/qed/tables.h"
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

/* Make all ready for the header's new size, which is larger. */
static int prepare_growth(struct qed_image *img, uint64_t old, uint64_t size, struct error *err)
{
	int ret = check_last_cluster(img, old, err);

	if (ret)
		return ret;
	ret = qed_co_l1_grow(img, size);
	if (ret)
		return error_set_errno(err, ret, "could not read the L1 table");
	ret = hide(img, old, size);
	return ret ? error_set_errno(err, ret, "could not hide the backing file") : 0;
}

/* The same for a smaller one. */
static int prepare_cut(struct qed_image *img, uint64_t old, uint64_t size, struct error *err)
{
	int ret = qed_co_cut(img, size, round_up(old, qed_cluster_size(img)));

	if (!ret)
		ret = qed_co_commit(img);
	return ret ? error_set_errno(err, ret, "could not discard what is cut off") : 0;
}

/* With header_lock held. */
static int resize(struct qed_image *img, uint64_t size, bool *unsure, struct error *err)
{
	struct qed_header header = img->header;
	uint64_t old = header.image_size;
	int ret;

	ret = qed_image_size_validate(header.cluster_size, header.table_size, size,
				      "Invalid image size specified", err);
	if (!ret && size > old)
		ret = prepare_growth(img, old, size, err);
	else if (!ret && size < old)
		ret = prepare_cut(img, old, size, err);
	if (ret)
		return ret;
	header.image_size = size;
	ret = qed_co_write_header(img, &header);
	*unsure = ret;
	/* Of two sizes that it may have now the image keeps the lesser. */
	if (!ret || size < old) {
		img->header.image_size = size;
		atomic_store_explicit(&img->node->size, size, memory_order_release);
	}
	return ret ? error_set_errno(err, ret, "could not write the QED header") : 0;
}

int qed_co_truncate(struct blk_node *node, uint64_t size, bool *unsure, struct error *err)
{
	struct qed_image *img = node->opaque;
	int ret;

	co_mutex_lock(&img->header_lock);
	ret = resize(img, size, unsure, err);
	co_mutex_unlock(&img->header_lock);
	return ret;
}
