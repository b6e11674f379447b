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

/* Byte positions of the fields on disk. */
enum {
	POS_MAGIC = 0,
	POS_CLUSTER_SIZE = 4,
	POS_TABLE_SIZE = 8,
	POS_HEADER_SIZE = 12,
	POS_FEATURES = 16,
	POS_COMPAT_FEATURES = 24,
	POS_AUTOCLEAR_FEATURES = 32,
	POS_L1_TABLE_OFFSET = 40,
	POS_IMAGE_SIZE = 48,
	POS_BACKING_OFFSET = 56,
	POS_BACKING_SIZE = 60,
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

bool qed_is_magic(const uint8_t *buf, size_t len)
{
	return len >= 4 && get32(buf) == QED_MAGIC;
}

void qed_header_decode(struct qed_header *h, const uint8_t *disk)
{
	h->cluster_size = get32(disk + POS_CLUSTER_SIZE);
	h->table_size = get32(disk + POS_TABLE_SIZE);
	h->header_size = get32(disk + POS_HEADER_SIZE);
	h->features = get64(disk + POS_FEATURES);
	h->compat_features = get64(disk + POS_COMPAT_FEATURES);
	h->autoclear_features = get64(disk + POS_AUTOCLEAR_FEATURES);
	h->l1_table_offset = get64(disk + POS_L1_TABLE_OFFSET);
	h->image_size = get64(disk + POS_IMAGE_SIZE);
	h->backing_filename_offset = get32(disk + POS_BACKING_OFFSET);
	h->backing_filename_size = get32(disk + POS_BACKING_SIZE);
}

void qed_header_encode(const struct qed_header *h, uint8_t *disk)
{
	put32(disk + POS_MAGIC, QED_MAGIC);
	put32(disk + POS_CLUSTER_SIZE, h->cluster_size);
	put32(disk + POS_TABLE_SIZE, h->table_size);
	put32(disk + POS_HEADER_SIZE, h->header_size);
	put64(disk + POS_FEATURES, h->features);
	put64(disk + POS_COMPAT_FEATURES, h->compat_features);
	put64(disk + POS_AUTOCLEAR_FEATURES, h->autoclear_features);
	put64(disk + POS_L1_TABLE_OFFSET, h->l1_table_offset);
	put64(disk + POS_IMAGE_SIZE, h->image_size);
	put32(disk + POS_BACKING_OFFSET, h->backing_filename_offset);
	put32(disk + POS_BACKING_SIZE, h->backing_filename_size);
}

/* Return the largest image_size (bytes, a multiple of 512) that a geometry can map. */
static uint64_t max_image_size(uint32_t cluster_size, uint32_t table_size)
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
		return error_set(err, -EINVAL,
				 "QED cluster size %" PRIu32
				 " is not a power of 2 between %u and %u",
				 cluster_size, QED_MIN_CLUSTER_SIZE, QED_MAX_CLUSTER_SIZE);
	if (!is_power_of_2(table_size) || table_size < QED_MIN_TABLE_SIZE ||
	    table_size > QED_MAX_TABLE_SIZE)
		return error_set(err, -EINVAL,
				 "QED table size %" PRIu32 " is not a power of 2 between %u and %u",
				 table_size, QED_MIN_TABLE_SIZE, QED_MAX_TABLE_SIZE);
	if (image_size % SECTOR_SIZE)
		return error_set(err, -EINVAL,
				 "QED image size %" PRIu64 " is not a multiple of %u bytes",
				 image_size, SECTOR_SIZE);
	if (image_size > max_image_size(cluster_size, table_size))
		return error_set(err, -EINVAL,
				 "QED image size %" PRIu64 " is more than %" PRIu64
				 " bytes, the most that its geometry can map",
				 image_size, max_image_size(cluster_size, table_size));
	return 0;
}

static int validate_backing(const struct qed_header *h, uint64_t header_bytes, struct error *err)
{
	uint64_t end = (uint64_t)h->backing_filename_offset + h->backing_filename_size;

	if (!(h->features & QED_F_BACKING_FILE))
		return 0;
	if (!h->backing_filename_size)
		return error_set(err, -EINVAL, "QED backing file name is empty");
	if (h->backing_filename_offset < QED_HEADER_BYTES || end > header_bytes)
		return error_set(err, -EINVAL, "QED backing file name lies outside the header");
	if (h->backing_filename_size > QED_MAX_BACKING_NAME)
		return error_set(err, -EINVAL, "QED backing file name is longer than %u bytes",
				 QED_MAX_BACKING_NAME);
	return 0;
}

int qed_header_validate(const struct qed_header *h, uint64_t file_size, struct error *err)
{
	uint64_t unknown = h->features & ~(uint64_t)QED_F_KNOWN;
	uint64_t header_bytes, table_bytes;
	int ret;

	if (unknown & QED_F_INCOMPLETE)
		return error_set(
			err, -EINVAL,
			"image is incomplete: what was to fill it did not come to its end");
	if (unknown)
		return error_set(err, -ENOTSUP, "unsupported QED features 0x%" PRIx64, unknown);
	ret = qed_geometry_validate(h->cluster_size, h->table_size, h->image_size, err);
	if (ret)
		return ret;

	header_bytes = (uint64_t)h->header_size * h->cluster_size;
	if (!h->header_size || header_bytes > file_size)
		return error_set(err, -EINVAL,
				 "QED header of %" PRIu32 " clusters does not fit in the file",
				 h->header_size);

	table_bytes = (uint64_t)h->table_size * h->cluster_size;
	if (h->l1_table_offset % h->cluster_size)
		return error_set(err, -EINVAL,
				 "QED L1 table offset 0x%" PRIx64 " is not cluster-aligned",
				 h->l1_table_offset);
	if (h->l1_table_offset < header_bytes || h->l1_table_offset > file_size ||
	    table_bytes > file_size - h->l1_table_offset)
		return error_set(err, -EINVAL,
				 "QED L1 table at offset 0x%" PRIx64 " lies outside the file",
				 h->l1_table_offset);
	return validate_backing(h, header_bytes, err);
}
