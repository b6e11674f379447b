/* SPDX-License-Identifier: GPL-2.0 */
/* Persistent bitmaps: their directory and tables. */
#ifndef QEDBLK_FORMAT_QCOW2_BITMAPS_H
#define QEDBLK_FORMAT_QCOW2_BITMAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct qcow2_image;

#define QCOW2_BITMAP_TABLE_OFFSET 0x00fffffffffffe00ULL /* of an entry of a bitmap's table */

/* An entry of the directory. */
struct qcow2_bitmap {
	uint64_t table_offset; /* bytes */
	uint32_t table_size; /* entries */
	bool in_use; /* was not saved in order: its bits mean nothing */
	unsigned int granularity_bits;
	unsigned int name_bytes;
	const char *name; /* @name_bytes long, without a NUL byte; valid during the call */
};

/* An error ends the walk.  May yield. */
typedef int qcow2_bitmap_fn(void *arg, const struct qcow2_bitmap *bitmap, struct error *err);

/* Are there bitmaps that are those of the image as it is? */
bool qcow2_has_bitmaps(const struct qcow2_image *img);

/*
 * Validate the directory, entry by entry, and call @fn for each bitmap.  Does nothing where
 * qcow2_has_bitmaps() is false.  Returns 0, the error of @fn or of a read, or -EINVAL with QEMU's
 * error line (no valid directory).  Yields.
 */
int qcow2_co_walk_bitmaps(struct qcow2_image *img, qcow2_bitmap_fn *fn, void *arg,
			  struct error *err);

/* Return 0, or -EINVAL: an entry of @bitmap's table is not valid.  Yields. */
int qcow2_co_check_bitmap_table(struct qcow2_image *img, const struct qcow2_bitmap *bitmap);

/* Validate all of the bitmaps' metadata.  Returns and yields as qcow2_co_walk_bitmaps(). */
int qcow2_co_check_bitmaps(struct qcow2_image *img, struct error *err);

/*
 * Set *@bytes to what the bitmaps take, as QEMU estimates it, in a new image with clusters of
 * @cluster bytes.  Returns and yields as qcow2_co_walk_bitmaps().
 */
int qcow2_co_measure_bitmaps(struct qcow2_image *img, uint32_t cluster, uint64_t *bytes,
			     struct error *err);

#endif
