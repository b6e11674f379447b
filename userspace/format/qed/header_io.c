// SPDX-License-Identifier: GPL-2.0
/*
 * Reading and writing an image's header and its backing file's name.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/qed/commit.h"
#include "format/qed/header.h"
#include "format/qed/qed.h"
#include "format/qed/rescue.h"

static int read_backing_name(struct blk_file *file, const struct qed_header *h, char **name,
			     struct error *err)
{
	int ret;

	*name = calloc(1, h->backing_filename_size + 1);
	if (!*name)
		return error_set_errno(err, -ENOMEM, "backing file name");
	ret = blk_file_co_pread(file, *name, h->backing_filename_size, h->backing_filename_offset);
	if (ret)
		error_set_errno(err, ret, "could not read the backing file name");
	/* An empty name is none, and what follows a NUL byte is not part of it. */
	if (ret || !**name) {
		free(*name);
		*name = NULL;
	}
	return ret;
}

int qed_co_read_header(struct blk_file *file, bool incomplete, struct qed_header *h,
		       char **backing_name, struct error *err)
{
	uint64_t size = atomic_load_explicit(&file->size, memory_order_relaxed);
	uint8_t disk[QED_HEADER_BYTES];
	uint64_t mark;
	int ret;

	*backing_name = NULL;
	if (size < sizeof(disk))
		return error_set(err, -EINVAL, "Image not in QED format");
	ret = blk_file_co_pread(file, disk, sizeof(disk), 0);
	if (ret)
		return error_set_errno(err, ret, "could not read the QED header");
	if (!qed_is_magic(disk, sizeof(disk)))
		return error_set(err, -EINVAL, "Image not in QED format");
	qed_header_decode(h, disk);
	mark = incomplete ? h->features & QED_F_INCOMPLETE : 0;
	h->features &= ~mark;
	ret = qed_header_validate(h, size, err);
	h->features |= mark;
	if (!ret && (h->features & QED_F_BACKING_FILE))
		ret = read_backing_name(file, h, backing_name, err);
	return ret;
}

int qed_co_write_header(struct qed_image *img, const struct qed_header *h)
{
	uint8_t disk[QED_HEADER_BYTES];
	int ret;

	/* 64 bytes in one sector, which a disk writes as a whole: the header is never torn. */
	qed_header_encode(h, disk);
	ret = blk_file_co_pwrite(img->file, disk, sizeof(disk), 0);
	return ret ? ret : qed_co_flush_file(img);
}

int qed_co_set_complete(struct blk_node *node)
{
	struct qed_image *img = node->opaque;
	struct qed_header header;
	/* The image's contents are durable before the header says that it is complete. */
	int ret = qed_co_commit(img);

	if (ret)
		return ret;
	co_mutex_lock(&img->header_lock);
	header = img->header;
	if (header.features & QED_F_INCOMPLETE) {
		header.features &= ~QED_F_INCOMPLETE;
		ret = qed_co_write_header(img, &header);
		if (!ret)
			img->header.features = header.features;
	}
	co_mutex_unlock(&img->header_lock);
	return ret;
}
