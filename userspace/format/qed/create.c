// SPDX-License-Identifier: GPL-2.0
/*
 * Creating a QED image.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/qed/format.h"
#include "format/qed/qed.h"

const struct blk_option_row qed_create_options[] = {
	{ .name = "cluster_size",
	  .help = "Cluster size (in bytes)",
	  .type = BLK_OPTION_SIZE,
	  .preset = QED_DEFAULT_CLUSTER_SIZE,
	  .preset_is_shown = true,
	  .title = "QED cluster size",
	  .min = QED_MIN_CLUSTER_SIZE,
	  .max = QED_MAX_CLUSTER_SIZE },
	{ .name = "table_size",
	  .help = "L1/L2 table size (in clusters)",
	  .type = BLK_OPTION_SIZE,
	  .preset = QED_DEFAULT_TABLE_SIZE,
	  .title = "QED table size",
	  .min = QED_MIN_TABLE_SIZE,
	  .max = QED_MAX_TABLE_SIZE },
	{ 0 },
};

static int check_size(const struct qed_header *h, struct error *err)
{
	char line[160];

	snprintf(line, sizeof(line),
		 "QED image size must be a non-zero multiple of cluster size and less than %" PRIu64
		 " bytes",
		 qed_max_image_size(h->cluster_size, h->table_size));
	return qed_image_size_validate(h->cluster_size, h->table_size, h->image_size, line, err);
}

static int fill_header(const struct blk_create_opts *opts, struct qed_header *h, struct error *err)
{
	size_t name = opts->backing_file ? strlen(opts->backing_file) : 0;
	int ret;

	memset(h, 0, sizeof(*h));
	h->cluster_size = (uint32_t)blk_create_number(opts, "cluster_size");
	h->table_size = (uint32_t)blk_create_number(opts, "table_size");
	h->header_size = 1;
	h->image_size = opts->size;
	ret = qed_geometry_validate(h->cluster_size, h->table_size, 0, err);
	if (!ret)
		ret = check_size(h, err);
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

int qed_check_create(const struct blk_create_opts *opts, struct error *err)
{
	struct qed_header header;

	return fill_header(opts, &header, err);
}

int qed_co_create(struct blk_file *file, const struct blk_create_opts *opts, struct error *err)
{
	struct qed_header header;
	int ret = fill_header(opts, &header, err);

	if (ret)
		return ret;
	if (file->is_device)
		return error_set(err, -ENOTSUP, "QED images on block devices can't be written");
	return write_image(file, &header, opts->backing_file);
}
