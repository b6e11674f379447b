// SPDX-License-Identifier: GPL-2.0
/*
 * The QED header: decoding, encoding, and validation.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "format/qed/format.h"
#include "util/units.h"

_Static_assert(sizeof(struct qed_header) == QED_HEADER_BYTES, "the layout of the disk");

/* Convert between this machine's byte order and the disk's. */
static void convert(struct qed_header *h)
{
	h->magic = le32toh(h->magic);
	h->cluster_size = le32toh(h->cluster_size);
	h->table_size = le32toh(h->table_size);
	h->header_size = le32toh(h->header_size);
	h->features = le64toh(h->features);
	h->compat_features = le64toh(h->compat_features);
	h->autoclear_features = le64toh(h->autoclear_features);
	h->l1_table_offset = le64toh(h->l1_table_offset);
	h->image_size = le64toh(h->image_size);
	h->backing_filename_offset = le32toh(h->backing_filename_offset);
	h->backing_filename_size = le32toh(h->backing_filename_size);
}

bool qed_is_magic(const uint8_t *buf, size_t len)
{
	return len >= 4 && !memcmp(buf, "QED", 4);
}

void qed_header_decode(struct qed_header *h, const uint8_t *disk)
{
	memcpy(h, disk, sizeof(*h));
	convert(h);
}

void qed_header_encode(const struct qed_header *h, uint8_t *disk)
{
	struct qed_header copy = *h;

	copy.magic = QED_MAGIC;
	convert(&copy);
	memcpy(disk, &copy, sizeof(copy));
}

uint64_t qed_max_image_size(uint32_t cluster_size, uint32_t table_size)
{
	uint64_t entries = (uint64_t)table_size * cluster_size / 8;
	/* The largest file offset is a signed 64-bit number. */
	const uint64_t limit = INT64_MAX / SECTOR_SIZE * SECTOR_SIZE;
	uint64_t clusters;

	if (__builtin_mul_overflow(entries, entries, &clusters) || clusters > limit / cluster_size)
		return limit;
	return clusters * cluster_size;
}

int qed_geometry_validate(uint32_t cluster_size, uint32_t table_size, uint64_t image_size,
			  struct error *err)
{
	if (!is_power_of_2(cluster_size) || cluster_size < QED_MIN_CLUSTER_SIZE ||
	    cluster_size > QED_MAX_CLUSTER_SIZE)
		return error_set_detail(err, -EINVAL, "QED cluster size is invalid",
					"%" PRIu32 " is not a power of 2 between %u and %u",
					cluster_size, QED_MIN_CLUSTER_SIZE, QED_MAX_CLUSTER_SIZE);
	if (!is_power_of_2(table_size) || table_size < QED_MIN_TABLE_SIZE ||
	    table_size > QED_MAX_TABLE_SIZE)
		return error_set_detail(err, -EINVAL, "QED table size is invalid",
					"%" PRIu32 " is not a power of 2 between %u and %u",
					table_size, QED_MIN_TABLE_SIZE, QED_MAX_TABLE_SIZE);
	return qed_image_size_validate(cluster_size, table_size, image_size,
				       "QED image size is invalid", err);
}

int qed_image_size_validate(uint32_t cluster_size, uint32_t table_size, uint64_t image_size,
			    const char *line, struct error *err)
{
	if (image_size % SECTOR_SIZE)
		return error_set_detail(err, -EINVAL, line,
					"%" PRIu64 " is not a multiple of %u bytes", image_size,
					SECTOR_SIZE);
	if (image_size > qed_max_image_size(cluster_size, table_size))
		return error_set_detail(err, -EINVAL, line,
					"%" PRIu64 " is more than %" PRIu64
					" bytes, the most that its geometry can map",
					image_size, qed_max_image_size(cluster_size, table_size));
	return 0;
}

static int validate_backing(const struct qed_header *h, uint64_t header_bytes, struct error *err)
{
	uint64_t end = (uint64_t)h->backing_filename_offset + h->backing_filename_size;

	if (!(h->features & QED_F_BACKING_FILE))
		return 0;
	/* An empty name is none, wherever it lies in the header. */
	if ((h->backing_filename_size && h->backing_filename_offset < QED_HEADER_BYTES) ||
	    end > header_bytes)
		return error_set_detail(err, -EINVAL, "QED backing filename offset is invalid",
					"the name lies outside the header");
	if (h->backing_filename_size > QED_MAX_BACKING_NAME)
		return error_set(err, -EINVAL, "QED backing file name is longer than %u bytes",
				 QED_MAX_BACKING_NAME);
	return 0;
}

int qed_header_validate(const struct qed_header *h, uint64_t file_size, struct error *err)
{
	uint64_t unknown = h->features & ~(uint64_t)QED_F_KNOWN;
	static const char offset_line[] = "QED table offset is invalid";
	uint64_t header_bytes, table_bytes;
	int ret;

	if (unknown & QED_F_INCOMPLETE)
		return error_set(
			err, -EINVAL,
			"image is incomplete: what was to fill it did not come to its end");
	if (unknown)
		return error_set(err, -ENOTSUP, "Unsupported QED features: %" PRIx64, unknown);
	ret = qed_geometry_validate(h->cluster_size, h->table_size, h->image_size, err);
	if (ret)
		return ret;

	header_bytes = (uint64_t)h->header_size * h->cluster_size;
	if (!h->header_size || header_bytes > file_size)
		return error_set_detail(err, -EINVAL, offset_line,
					"the header of %" PRIu32
					" clusters does not fit in the file",
					h->header_size);

	table_bytes = (uint64_t)h->table_size * h->cluster_size;
	if (h->l1_table_offset % h->cluster_size)
		return error_set_detail(err, -EINVAL, offset_line,
					"0x%" PRIx64 " of the L1 table is not cluster-aligned",
					h->l1_table_offset);
	if (h->l1_table_offset < header_bytes || h->l1_table_offset > file_size ||
	    table_bytes > file_size - h->l1_table_offset)
		return error_set_detail(err, -EINVAL, offset_line,
					"the L1 table at 0x%" PRIx64 " lies outside the file",
					h->l1_table_offset);
	return validate_backing(h, header_bytes, err);
}
