// SPDX-License-Identifier: GPL-2.0
/*
 * The L1 table in memory, and the valid offsets of L2 tables.
 *
 * Only the part that the image's size needs is read: at most 32 MiB, since
 * header.c refuses larger tables.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "format/qcow2/qcow2.h"
#include "util/units.h"

int qcow2_co_l1_load(struct qcow2_image *img, struct error *err)
{
	uint64_t file_size = atomic_load_explicit(&img->file->size, memory_order_relaxed);
	uint64_t offset = img->header.l1_table_offset;
	uint64_t bytes;
	int ret;

	bytes = img->l1_entries * 8;
	if (!bytes)
		return 0;
	if (offset > file_size || bytes > file_size - offset)
		return error_set(err, -EINVAL, "Active L1 table lies outside the file");
	img->l1 = malloc(bytes);
	if (!img->l1)
		return error_set_errno(err, -ENOMEM, "L1 table");
	ret = blk_file_co_pread(img->file, img->l1, bytes, offset);
	if (ret)
		return error_set_errno(err, ret, "Could not read L1 table");
	for (uint64_t i = 0; i < img->l1_entries; i++)
		img->l1[i] = be64toh(img->l1[i]);
	return 0;
}

int qcow2_table_offset(const struct qcow2_image *img, uint64_t l1_entry, uint64_t *offset)
{
	uint64_t file_size = atomic_load_explicit(&img->file->size, memory_order_relaxed);

	*offset = l1_entry & QCOW2_ENTRY_OFFSET;
	if (!*offset)
		return 0;
	if (*offset & (img->cluster_size - 1) || *offset >= file_size)
		return -EIO;
	return 0;
}
