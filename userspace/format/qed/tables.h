/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where tables lie, and what their entries mean: the L1 table, the places of L2 slices, and the
 * encoding of an L2 entry (format.h).
 *
 * Functions return 0 or a negative errno unless stated otherwise.
 */
#ifndef QEDBLK_FORMAT_QED_TABLES_H
#define QEDBLK_FORMAT_QED_TABLES_H

#include "format/qed/image.h"

/* ---- An L2 entry ---- */

/* Is it the file offset of a data cluster? */
static inline bool qed_entry_is_data(uint64_t entry)
{
	return entry > QED_L2_ZERO;
}

/*
 * May a table or a data cluster of @bytes be at file offset @offset, if clusters end at @end?  Not
 * over the header or the L1 table.
 */
static inline bool qed_place_valid(const struct qed_image *img, uint64_t offset, uint64_t bytes,
				   uint64_t end)
{
	uint64_t header_bytes = (uint64_t)img->header.header_size * img->header.cluster_size;
	uint64_t l1 = img->header.l1_table_offset;

	return !(offset & (img->header.cluster_size - 1)) && offset >= header_bytes &&
	       offset <= end && bytes <= end - offset &&
	       (offset + bytes <= l1 || offset >= l1 + img->table_bytes);
}

/* Is L2 entry @entry 0, 1, or a valid offset of a data cluster in a file ending at @end bytes? */
static inline bool qed_entry_valid(const struct qed_image *img, uint64_t entry, uint64_t end)
{
	return !qed_entry_is_data(entry) ||
	       qed_place_valid(img, entry, img->header.cluster_size, end);
}

/* May an L2 table be at file offset @offset, if the file's clusters end at @end bytes? */
static inline bool qed_table_offset_valid(const struct qed_image *img, uint64_t offset,
					  uint64_t end)
{
	return qed_place_valid(img, offset, img->table_bytes, end);
}

/* ---- The L1 table ---- */

/* Load the entries that the image's size needs.  Yields. */
int qed_co_l1_load(struct qed_image *img, struct error *err);
/* Load those that an image of @size bytes needs, before it becomes so long.  Yields. */
int qed_co_l1_grow(struct qed_image *img, uint64_t size);
/* Load the entries behind those, which a check and the leak scan need, too.  Yields. */
int qed_co_l1_load_rest(struct qed_image *img);
void qed_l1_free(struct qed_image *img);
/* Return how many L1 entries the image's size needs, or has needed since it was opened. */
uint64_t qed_l1_entries_used(const struct qed_image *img);
/* Allocate the space on disk of the first @entries L1 entries.  Yields. */
int qed_co_l1_take_space(struct qed_image *img, uint64_t entries);
/* Write the blocks of img->l1_disk that hold the entries listed in @indices.  Yields. */
int qed_co_l1_write(struct qed_image *img, const struct cluster_runs *indices);
/* Write the block of img->l1_disk that holds entry @i.  Yields. */
int qed_co_l1_write_entry(struct qed_image *img, uint64_t i);

/* ---- L2 tables on disk ---- */

/* Return the file offset in bytes of the table that has guest cluster @cluster's entry; 0: none. */
static inline uint64_t qed_table_of(const struct qed_image *img, uint64_t cluster)
{
	return atomic_load_explicit(&img->l1[cluster / img->table_entries], memory_order_acquire);
}

/* Return the file offset of slice @index, in bytes.  Its table must exist. */
uint64_t qed_slice_offset(const struct qed_image *img, uint64_t index);

/*
 * Call @fn for the entries of an L2 table on disk, past the cache, piece by piece: @n entries from
 * guest cluster @first on.  A piece for which it sets *@changed is written back.  Holes, which are
 * entries of 0, are skipped; entries behind the image's end are not.  An error of @fn ends the
 * walk.  Yields.
 */
typedef int qed_walk_fn(void *arg, uint64_t first, uint64_t *entries, unsigned int n,
			bool *changed);
int qed_co_walk_table(struct qed_image *img, uint64_t l1_index, qed_walk_fn *fn, void *arg);

#endif
