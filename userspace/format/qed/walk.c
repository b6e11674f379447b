// SPDX-License-Identifier: GPL-2.0
/*
 * Going through all L2 entries on disk, table by table, past the cache: for
 * checking and compacting.  Metadata must be committed, and nothing may change
 * it meanwhile.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "format/qed/qed.h"

/* Tables are read in pieces of this many bytes, or whole when they are smaller. */
#define WALK_BYTES (64u << 10)

uint64_t qed_l1_entries_used(const struct qed_image *img)
{
	return div_round_up(img->header.image_size,
			    img->table_entries * img->header.cluster_size);
}

static int walk_piece(struct qed_image *img, uint64_t first_cluster, uint64_t offset,
		      uint64_t *entries, unsigned int n, qed_walk_fn *fn, void *arg)
{
	bool changed = false;
	int ret = blk_file_co_pread(img->file, entries, n * 8, offset);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < n; i++)
		entries[i] = le64toh(entries[i]);
	ret = fn(arg, first_cluster, entries, n, &changed);
	if (ret || !changed)
		return ret;
	for (unsigned int i = 0; i < n; i++)
		entries[i] = htole64(entries[i]);
	return blk_file_co_pwrite(img->file, entries, n * 8, offset);
}

int qed_co_walk_table(struct qed_image *img, uint64_t l1_index, qed_walk_fn *fn, void *arg)
{
	uint64_t table = atomic_load_explicit(&img->l1[l1_index], memory_order_relaxed);
	uint64_t piece = min_u64(WALK_BYTES, img->table_bytes);
	uint64_t clusters = div_round_up(img->header.image_size, img->header.cluster_size);
	uint64_t first = l1_index * img->table_entries;
	void *entries = aligned_alloc(4096, piece);
	int ret = 0;

	if (!entries)
		return -ENOMEM;
	/* Entries behind the image's end mean nothing, but a table of a GiB need not be read. */
	for (uint64_t pos = 0; !ret && pos < img->table_bytes && first + pos / 8 < clusters;
	     pos += piece)
		ret = walk_piece(img, first + pos / 8, table + pos, entries, piece / 8, fn, arg);
	free(entries);
	return ret;
}
