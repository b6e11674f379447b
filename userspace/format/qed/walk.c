// SPDX-License-Identifier: GPL-2.0
/*
 * Reading the L2 entries on disk, table by table, past the cache: for checking and
 * compacting, which commit metadata first, and during which nothing else changes it;
 * and for the leak scan, which allows for changes (leak_scan.c).
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "format/qed/qed.h"

/* Tables are read in pieces of this many bytes, or whole when they are smaller. */
#define WALK_BYTES (64u << 10)

uint64_t qed_l1_entries_used(const struct qed_image *img)
{
	return div_round_up(img->header.image_size, img->table_entries * img->header.cluster_size);
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
	uint64_t first = l1_index * img->table_entries;
	void *entries = aligned_alloc(4096, piece);
	uint64_t pos = 0, run;
	int ret = entries ? 0 : -ENOMEM;

	while (!ret && pos < img->table_bytes) {
		int data =
			blk_file_co_is_data(img->file, table + pos, img->table_bytes - pos, &run);

		if (data == 0) {
			/* A large table is mostly a hole: entries of 0. */
			pos += round_down(run, piece);
			if (run >= piece)
				continue;
		}
		ret = data < 0 ? data :
				 walk_piece(img, first + pos / 8, table + pos, entries, piece / 8,
					    fn, arg);
		pos += piece;
	}
	free(entries);
	return ret;
}
