// SPDX-License-Identifier: GPL-2.0
/*
 * Creating a QED image.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/image_lock.h"
#include "format/qed/qed.h"

static int fill_header(const struct blk_create_opts *opts, struct qed_header *h, struct error *err)
{
	size_t name = opts->backing_file ? strlen(opts->backing_file) : 0;
	int ret;

	memset(h, 0, sizeof(*h));
	h->cluster_size = opts->cluster_size ? opts->cluster_size : QED_DEFAULT_CLUSTER_SIZE;
	h->table_size = opts->table_size ? opts->table_size : QED_DEFAULT_TABLE_SIZE;
	h->header_size = 1;
	h->image_size = opts->size;
	ret = qed_geometry_validate(h->cluster_size, h->table_size, h->image_size, err);
	if (ret)
		return ret;
	h->l1_table_offset = h->cluster_size;
	if (opts->incomplete)
		h->features |= QED_F_INCOMPLETE;
	if (!name)
		return 0;
	if (name > QED_MAX_BACKING_NAME)
		return error_set(err, -EINVAL, "backing file name is longer than %u bytes",
				 QED_MAX_BACKING_NAME);
	h->features |= QED_F_BACKING_FILE;
	h->backing_filename_offset = QED_HEADER_BYTES;
	h->backing_filename_size = name;
	if (opts->backing_format && !strcmp(opts->backing_format, "raw"))
		h->features |= QED_F_BACKING_FORMAT_NO_PROBE;
	return 0;
}

/* Write the header last: until then the file is no QED image. */
static int write_image(struct blk_file *file, const struct qed_header *h, const char *backing_name)
{
	uint64_t size = h->l1_table_offset + (uint64_t)h->table_size * h->cluster_size;
	uint8_t block[QED_MIN_CLUSTER_SIZE] = { 0 };
	int ret;

	ret = blk_file_co_truncate(file, 0);
	if (!ret)
		ret = blk_file_co_truncate(file, size);
	if (!ret)
		ret = blk_file_co_flush(file);
	if (ret)
		return ret;
	qed_header_encode(h, block);
	if (h->backing_filename_size)
		memcpy(block + h->backing_filename_offset, backing_name, h->backing_filename_size);
	ret = blk_file_co_pwrite(file, block, sizeof(block), 0);
	return ret ? ret : blk_file_co_flush(file);
}

int qed_co_create(const struct blk_create_opts *opts, struct error *err)
{
	unsigned int flags = BLK_FILE_RDWR | BLK_FILE_CREATE;
	struct qed_header header;
	struct blk_file *file;
	int ret = fill_header(opts, &header, err);

	if (ret) {
		error_prefix(err, "%s", opts->filename);
		return ret;
	}
	if (opts->exclusive)
		flags |= BLK_FILE_EXCL;
	/* Lock the file before cutting it: an image that is in use stays as it is. */
	ret = blk_file_co_open(&file, opts->filename, flags, IMAGE_PERM_WRITE | IMAGE_PERM_RESIZE,
			       0, err);
	if (ret)
		return ret;
	if (file->is_device)
		ret = error_set(err, -ENOTSUP, "%s: QED images on block devices can't be written",
				opts->filename);
	else
		ret = write_image(file, &header, opts->backing_file);
	if (ret) {
		error_set_errno(err, ret, "%s", opts->filename);
		if (opts->exclusive)
			(void)unlink(opts->filename);
	}
	blk_file_co_close(file);
	return ret;
}
