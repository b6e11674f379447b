/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reference counts: how they lie in a block, and reading those of an image.
 *
 * @order is the header's refcount_order: a count has 2 to this power bits.
 */
#ifndef QEDBLK_FORMAT_QCOW2_REFCOUNTS_H
#define QEDBLK_FORMAT_QCOW2_REFCOUNTS_H

#include <stdint.h>

struct qcow2_image;

/* Entries of the refcount table. */
#define QCOW2_REFTABLE_OFFSET	0xfffffffffffffe00ULL
#define QCOW2_REFTABLE_RESERVED 0x1ffULL

/* Return the largest count. */
static inline uint64_t qcow2_refcount_max(unsigned int order)
{
	return UINT64_MAX >> (64 - (1u << order));
}

/* Return how many bytes hold @n counts. */
static inline uint64_t qcow2_refcount_bytes(unsigned int order, uint64_t n)
{
	return ((n << order) + 7) / 8;
}

/* Get or set count @i of @block, which is as on disk. */
uint64_t qcow2_refcount_get(const uint8_t *block, unsigned int order, uint64_t i);
void qcow2_refcount_set(uint8_t *block, unsigned int order, uint64_t i, uint64_t count);

/* The counts of an image that nothing changes meanwhile. */
struct qcow2_refcounts {
	struct qcow2_image *img;
	uint64_t *table; /* entries as on disk, in this machine's byte order */
	uint64_t entries; /* of @table */
	unsigned int block_bits; /* a block has 2 to this power counts */
	uint32_t slice_bytes; /* blocks are cached in slices */
	uint8_t *slices;
	uint64_t *places; /* file offset of each slice, plus 1; 0: none */
};

/*
 * Read the refcount table, at most 8 MiB.  Returns 0, -ENOMEM or the error of a read; the caller
 * calls qcow2_refcounts_close() in either case.  Yields.
 */
int qcow2_co_refcounts_open(struct qcow2_refcounts *counts, struct qcow2_image *img);
void qcow2_refcounts_close(struct qcow2_refcounts *counts);

/* Return the table's entry for @cluster of the file, or 0. */
uint64_t qcow2_refcounts_entry(const struct qcow2_refcounts *counts, uint64_t cluster);

/*
 * Read the count of @cluster.  Returns 0, or -EIO where the table's entry is not valid, or the
 * error of a read.  May yield.
 */
int qcow2_co_refcount(struct qcow2_refcounts *counts, uint64_t cluster, uint64_t *count);

#endif
