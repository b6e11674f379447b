// SPDX-License-Identifier: GPL-2.0
/*
 * Persistent bitmaps: their directory and tables.  Limits and error lines are QEMU's.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/qcow2/bitmaps.h"
#include "format/qcow2/bytes.h"
#include "format/qcow2/qcow2.h"
#include "format/qcow2/words.h"
#include "util/units.h"

#define ENTRY_BYTES	     24u
#define MAX_NAME_BYTES	     1023u
#define MAX_TABLE_ENTRIES    0x8000000u
#define MAX_BITMAP_BYTES     (512 * MiB)
#define MIN_GRANULARITY_BITS 9
#define MAX_GRANULARITY_BITS 31
#define TYPE_DIRTY_TRACKING  1

#define FLAG_IN_USE	    1u
#define FLAGS_RESERVED	    0xfffffffcu
#define TABLE_RESERVED	    0xff000000000001feULL
#define TABLE_FLAG_ALL_ONES 1ULL

/* Directory entry as on disk, with room for a name. */
struct disk_entry {
	uint8_t fixed[ENTRY_BYTES];
	char name[MAX_NAME_BYTES + 1];
};

bool qcow2_has_bitmaps(const struct qcow2_image *img)
{
	return img->header.bitmaps_ext_bytes && (img->header.autoclear & QCOW2_AUTOCLEAR_BITMAPS);
}

static int check_extension(const struct qcow2_header *h, struct error *err)
{
	if (h->bitmaps_ext_bytes != QCOW2_BITMAPS_EXT_BYTES)
		return error_set(err, -EINVAL, "bitmaps_ext: Invalid extension length");
	if (h->bitmaps_reserved)
		return error_set(err, -EINVAL, "bitmaps_ext: Reserved field is not zero");
	if (h->nb_bitmaps > QCOW2_MAX_BITMAPS)
		return error_set(err, -EINVAL,
				 "bitmaps_ext: image has %" PRIu32
				 " bitmaps, exceeding the QEMU supported maximum of %u",
				 h->nb_bitmaps, QCOW2_MAX_BITMAPS);
	if (!h->nb_bitmaps)
		return error_set(err, -EINVAL, "found bitmaps extension with zero bitmaps");
	if (h->bitmap_dir_offset & ((1u << h->cluster_bits) - 1) ||
	    h->bitmap_dir_offset > QCOW2_MAX_FILE_OFFSET)
		return error_set(err, -EINVAL, "bitmaps_ext: invalid bitmap directory offset");
	if (h->bitmap_dir_bytes > QCOW2_MAX_BITMAP_DIR_BYTES)
		return error_set(err, -EINVAL,
				 "bitmaps_ext: bitmap directory size (%" PRIu64
				 ") exceeds the maximum supported size (%u)",
				 h->bitmap_dir_bytes, QCOW2_MAX_BITMAP_DIR_BYTES);
	if (!h->bitmap_dir_bytes)
		return error_set(err, -EINVAL, "Requested bitmap directory size is zero");
	return 0;
}

static bool is_entry_valid(const struct qcow2_image *img, const struct qcow2_bitmap *bitmap,
			   uint32_t flags, unsigned int type)
{
	uint64_t bytes = (uint64_t)bitmap->table_size << img->header.cluster_bits;
	uint64_t disk = round_down(img->header.size, SECTOR_SIZE);

	if (!bitmap->table_size || bitmap->table_size > MAX_TABLE_ENTRIES ||
	    !bitmap->table_offset || bitmap->table_offset & (img->cluster_size - 1) ||
	    bitmap->table_offset > QCOW2_MAX_FILE_OFFSET ||
	    bitmap->granularity_bits > MAX_GRANULARITY_BITS ||
	    bitmap->granularity_bits < MIN_GRANULARITY_BITS || flags & FLAGS_RESERVED ||
	    bitmap->name_bytes > MAX_NAME_BYTES || type != TYPE_DIRTY_TRACKING ||
	    bytes > MAX_BITMAP_BYTES)
		return false;
	return bitmap->in_use || disk <= bytes * 8 << bitmap->granularity_bits;
}

/* Read the entry at *@pos of the directory, and move *@pos to its end. */
static int read_entry(struct qcow2_image *img, uint64_t *pos, struct disk_entry *disk,
		      struct qcow2_bitmap *bitmap, struct error *err)
{
	const struct qcow2_header *h = &img->header;
	uint64_t left = h->bitmap_dir_bytes - *pos;
	const uint8_t *e = disk->fixed;
	uint64_t bytes;
	int ret;

	if (left < ENTRY_BYTES)
		return error_set(err, -EINVAL, "Broken bitmap directory");
	ret = blk_file_co_pread(img->file, disk, min_u64(left, sizeof(*disk)),
				h->bitmap_dir_offset + *pos);
	if (ret)
		return error_set_errno(err, ret, "Failed to read bitmap directory");
	*bitmap = (struct qcow2_bitmap){
		.table_offset = get_be64(e),
		.table_size = get_be32(e + 8),
		.in_use = get_be32(e + 12) & FLAG_IN_USE,
		.granularity_bits = e[17],
		.name_bytes = get_be32(e + 16) & 0xffff,
		.name = disk->name,
	};
	bytes = round_up(ENTRY_BYTES + bitmap->name_bytes + (uint64_t)get_be32(e + 20), 8);
	if (bytes > left)
		return error_set(err, -EINVAL, "Broken bitmap directory");
	if (get_be32(e + 20))
		return error_set(err, -EINVAL, "Bitmap extra data is not supported");
	if (!is_entry_valid(img, bitmap, get_be32(e + 12), e[16]))
		return error_set(err, -EINVAL, "Bitmap '%.*s' doesn't satisfy the constraints",
				 (int)min_u64(bitmap->name_bytes, MAX_NAME_BYTES), bitmap->name);
	*pos += bytes;
	return 0;
}

int qcow2_co_walk_bitmaps(struct qcow2_image *img, qcow2_bitmap_fn *fn, void *arg,
			  struct error *err)
{
	const struct qcow2_header *h = &img->header;
	struct qcow2_bitmap bitmap;
	struct disk_entry disk;
	uint32_t found = 0;
	uint64_t pos = 0;
	int ret;

	if (!qcow2_has_bitmaps(img))
		return 0;
	ret = check_extension(h, err);
	while (!ret && pos < h->bitmap_dir_bytes) {
		if (++found > h->nb_bitmaps)
			return error_set(err, -EINVAL,
					 "More bitmaps found than specified in header extension");
		ret = read_entry(img, &pos, &disk, &bitmap, err);
		if (!ret)
			ret = fn(arg, &bitmap, err);
	}
	if (!ret && found < h->nb_bitmaps)
		ret = error_set(err, -EINVAL,
				"Less bitmaps found than specified in header extension");
	return ret;
}

static int check_words(void *arg, uint64_t first, const uint64_t *words, unsigned int n)
{
	const struct qcow2_image *img = arg;

	(void)first;
	for (unsigned int i = 0; i < n; i++) {
		uint64_t offset = words[i] & QCOW2_BITMAP_TABLE_OFFSET;

		if (words[i] & TABLE_RESERVED || (offset && (words[i] & TABLE_FLAG_ALL_ONES ||
							     offset & (img->cluster_size - 1))))
			return -EINVAL;
	}
	return 0;
}

int qcow2_co_check_bitmap_table(struct qcow2_image *img, const struct qcow2_bitmap *bitmap)
{
	return qcow2_co_walk_words(img->file, bitmap->table_offset, bitmap->table_size, check_words,
				   img);
}

static int check_bitmap(void *arg, const struct qcow2_bitmap *bitmap, struct error *err)
{
	struct qcow2_image *img = arg;
	uint64_t disk = round_down(img->header.size, SECTOR_SIZE);
	uint64_t bits = div_round_up(disk, 1ULL << bitmap->granularity_bits);
	int ret;

	if (bitmap->in_use)
		return 0;
	ret = qcow2_co_check_bitmap_table(img, bitmap);
	if (ret)
		return error_set(err, ret,
				 "Could not read bitmap_table table from image for bitmap '%.*s': "
				 "%s",
				 (int)bitmap->name_bytes, bitmap->name, strerror(-ret));
	/* QEMU saves whole words. */
	if (div_round_up(div_round_up(bits, 64) * 8, img->cluster_size) != bitmap->table_size)
		return error_set(err, -EINVAL, "Could not read bitmap '%.*s' from image: %s",
				 (int)bitmap->name_bytes, bitmap->name, strerror(EINVAL));
	return 0;
}

int qcow2_co_check_bitmaps(struct qcow2_image *img, struct error *err)
{
	return qcow2_co_walk_bitmaps(img, check_bitmap, img, err);
}

struct measurement {
	const struct qcow2_image *img;
	uint32_t cluster; /* bytes */
	uint64_t bytes, directory;
};

static int measure_bitmap(void *arg, const struct qcow2_bitmap *bitmap, struct error *err)
{
	struct measurement *m = arg;
	uint64_t disk = round_down(m->img->header.size, SECTOR_SIZE);
	uint64_t bits = div_round_up(disk, 1ULL << bitmap->granularity_bits);
	uint64_t clusters = div_round_up(div_round_up(bits, 8), m->cluster);

	(void)err;
	/* All of its bits, and its table. */
	m->bytes += clusters * m->cluster + round_up(clusters * 8, m->cluster);
	m->directory += round_up(ENTRY_BYTES + bitmap->name_bytes, 8);
	return 0;
}

int qcow2_co_measure_bitmaps(struct qcow2_image *img, uint32_t cluster, uint64_t *bytes,
			     struct error *err)
{
	struct measurement m = { .img = img, .cluster = cluster };
	int ret = qcow2_co_walk_bitmaps(img, measure_bitmap, &m, err);

	*bytes = m.bytes + round_up(m.directory, cluster);
	return ret;
}
