// SPDX-License-Identifier: GPL-2.0
/*
 * Reading an image's first cluster: the header, its extensions, and the names.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/qcow2/qcow2.h"
#include "util/units.h"

/* Read the file's first cluster, or all of a shorter file, to *@buf (heap), of *@len bytes. */
static int read_first_cluster(struct blk_file *file, uint8_t **buf, size_t *len, struct error *err)
{
	uint64_t size = atomic_load_explicit(&file->size, memory_order_relaxed);
	uint8_t head[QCOW2_V2_HEADER_BYTES];
	uint32_t cluster;
	int ret;

	if (size < sizeof(head))
		return error_set(err, -EINVAL, "Image is not in qcow2 format");
	ret = blk_file_co_pread(file, head, sizeof(head), 0);
	if (ret)
		return error_set_errno(err, ret, "Could not read qcow2 header");
	/* The head suffices to refuse what is no qcow2 image or has a bad cluster size. */
	cluster = qcow2_is_magic(head, sizeof(head)) ? qcow2_first_cluster_bytes(head) : 0;
	*len = min_u64(size, max_u64(cluster, sizeof(head)));
	*buf = malloc(*len);
	if (!*buf)
		return error_set_errno(err, -ENOMEM, "qcow2 header");
	ret = blk_file_co_pread(file, *buf, *len, 0);
	if (ret) {
		free(*buf);
		return error_set_errno(err, ret, "Could not read qcow2 header");
	}
	return 0;
}

int qcow2_co_read_header(struct blk_file *file, struct qcow2_header *h, struct qcow2_names *names,
			 struct error *err)
{
	uint8_t *buf = NULL;
	size_t len = 0;
	int ret = read_first_cluster(file, &buf, &len, err);

	if (ret)
		return ret;
	ret = qcow2_parse(buf, len, h, names, err);
	free(buf);
	return ret;
}
