// SPDX-License-Identifier: GPL-2.0
/*
 * Growing an image.
 */
#include <errno.h>
#include <inttypes.h>

#include "format/qed/qed.h"

int qed_co_truncate(struct blk_node *node, uint64_t size, struct error *err)
{
	struct qed_image *img = node->opaque;
	struct qed_header header = img->header;
	uint64_t old = atomic_load_explicit(&node->size, memory_order_relaxed);
	int ret;

	if (size < old)
		return error_set(err, -ENOTSUP, "Shrinking images is currently not supported");
	ret = qed_geometry_validate(header.cluster_size, header.table_size, size, err);
	if (ret)
		return ret;
	header.image_size = size;
	ret = qed_co_write_header(img->file, &header);
	if (ret)
		return error_set_errno(err, ret, "could not write the QED header");
	img->header.image_size = size;
	atomic_store_explicit(&node->size, size, memory_order_release);
	return 0;
}
