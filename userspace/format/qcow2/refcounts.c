// SPDX-License-Identifier: GPL-2.0
/*
 * Reference counts: how they lie in a block, and reading those of an image by way of the
 * refcount table and a small cache.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/qcow2/qcow2.h"
#include "format/qcow2/refcounts.h"
#include "format/qcow2/words.h"
#include "util/units.h"

#define SLICE_BYTES 4096u
#define SLICES	    1024u

/* No file of QEMU's has a whole cluster behind this. */
#define MAX_BLOCK_OFFSET (INT64_MAX - 2 * GiB)

uint64_t qcow2_refcount_get(const uint8_t *block, unsigned int order, uint64_t i)
{
	unsigned int bits = 1u << order;
	uint64_t value = 0;

	if (bits < 8)
		return block[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
	for (unsigned int n = 0; n < bits / 8; n++)
		value = value << 8 | block[i * (bits / 8) + n];
	return value;
}

void qcow2_refcount_set(uint8_t *block, unsigned int order, uint64_t i, uint64_t count)
{
	unsigned int bits = 1u << order;

	if (bits < 8) {
		uint8_t *byte = &block[i * bits / 8];
		unsigned int shift = i * bits % 8;

		*byte = (uint8_t)((*byte & ~(((1u << bits) - 1) << shift)) | count << shift);
		return;
	}
	for (unsigned int n = bits / 8; n > 0; n--, count >>= 8)
		block[i * (bits / 8) + n - 1] = (uint8_t)count;
}

static int take_words(void *arg, uint64_t first, const uint64_t *words, unsigned int n)
{
	struct qcow2_refcounts *counts = arg;

	memcpy(counts->table + first, words, n * sizeof(*words));
	return 0;
}

int qcow2_co_refcounts_open(struct qcow2_refcounts *counts, struct qcow2_image *img)
{
	const struct qcow2_header *h = &img->header;

	*counts = (struct qcow2_refcounts){
		.img = img,
		.entries = (uint64_t)h->refcount_table_clusters << (h->cluster_bits - 3),
		.block_bits = h->cluster_bits + 3 - h->refcount_order,
		.slice_bytes = min_u64(SLICE_BYTES, img->cluster_size),
	};
	counts->table = calloc(max_u64(counts->entries, 1), sizeof(*counts->table));
	counts->slices = malloc((size_t)SLICES * counts->slice_bytes);
	counts->places = calloc(SLICES, sizeof(*counts->places));
	if (!counts->table || !counts->slices || !counts->places)
		return -ENOMEM;
	return qcow2_co_walk_words(img->file, h->refcount_table_offset, counts->entries, take_words,
				   counts);
}

void qcow2_refcounts_close(struct qcow2_refcounts *counts)
{
	free(counts->table);
	free(counts->slices);
	free(counts->places);
}

uint64_t qcow2_refcounts_entry(const struct qcow2_refcounts *counts, uint64_t cluster)
{
	uint64_t i = cluster >> counts->block_bits;

	return i < counts->entries ? counts->table[i] : 0;
}

int qcow2_co_refcount(struct qcow2_refcounts *counts, uint64_t cluster, uint64_t *count)
{
	unsigned int order = counts->img->header.refcount_order;
	uint64_t block = qcow2_refcounts_entry(counts, cluster) & QCOW2_REFTABLE_OFFSET;
	uint64_t index = cluster & ((1ULL << counts->block_bits) - 1);
	uint64_t per_slice = ((uint64_t)counts->slice_bytes * 8) >> order;
	uint64_t place = block + index / per_slice * counts->slice_bytes;
	uint64_t slot = place / counts->slice_bytes % SLICES;
	uint8_t *slice = counts->slices + slot * counts->slice_bytes;

	*count = 0;
	if (!block)
		return 0;
	if (block & (counts->img->cluster_size - 1) || block > MAX_BLOCK_OFFSET)
		return -EIO;
	if (block >= atomic_load_explicit(&counts->img->file->size, memory_order_relaxed))
		return 0;
	if (counts->places[slot] != place + 1) {
		int ret;

		counts->places[slot] = 0;
		ret = blk_file_co_pread(counts->img->file, slice, counts->slice_bytes, place);
		if (ret)
			return ret;
		counts->places[slot] = place + 1;
	}
	*count = qcow2_refcount_get(slice, order, index % per_slice);
	return 0;
}
