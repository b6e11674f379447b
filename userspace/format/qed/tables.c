// SPDX-License-Identifier: GPL-2.0
/*
 * Where tables lie: the L1 table in memory and on disk, and L2 tables on disk.
 *
 * The whole table is mapped, at most 1 GiB of address space, but only the part that
 * the image's size needs is read, and takes memory: never more than 16 MiB, since
 * small clusters limit the number of entries and large ones need few.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "format/qed/tables.h"
#include "util/units.h"

/* L1 is read in pieces of this many bytes. */
#define L1_READ_BYTES (1u << 20)
/* L1 is written in blocks of this many bytes, which O_DIRECT accepts everywhere. */
#define L1_BLOCK_BYTES 4096u
/* L2 tables are read in pieces of this many bytes, or whole when they are smaller. */
#define WALK_BYTES (64u << 10)

static void *map_table(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

uint64_t qed_l1_entries_used(const struct qed_image *img)
{
	/* Another thread may be making the image longer. */
	return atomic_load_explicit(&img->l1_used, memory_order_acquire);
}

static uint64_t entries_of_size(const struct qed_image *img, uint64_t size)
{
	return div_round_up(size, img->table_entries * img->header.cluster_size);
}

/* Return how many bytes of the table @entries are, in whole blocks. */
static uint64_t table_part(uint64_t entries)
{
	return round_up(entries * 8, L1_BLOCK_BYTES);
}

/* Read the bytes [from, to) of the table.  Holes are skipped, so that they take no memory. */
static int load_range(struct qed_image *img, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t n = min_u64(to - from, L1_READ_BYTES);
		uint64_t offset = img->header.l1_table_offset + from;
		int ret = blk_file_co_is_data(img->file, offset, to - from, &n);

		n = ret > 0 ? min_u64(n, L1_READ_BYTES) : n;
		if (ret > 0)
			ret = blk_file_co_pread(img->file, (uint8_t *)img->l1_disk + from, n,
						offset);
		if (ret)
			return ret;
		from += n;
	}
	return 0;
}

static void decode_range(struct qed_image *img, uint64_t from, uint64_t to)
{
	for (uint64_t i = from / 8; i < to / 8; i++)
		if (img->l1_disk[i])
			atomic_store_explicit(&img->l1[i], le64toh(img->l1_disk[i]),
					      memory_order_relaxed);
}

static int load_and_decode(struct qed_image *img, uint64_t from, uint64_t to)
{
	int ret = load_range(img, from, to);

	if (!ret)
		decode_range(img, from, to);
	return ret;
}

int qed_co_l1_load(struct qed_image *img, struct error *err)
{
	uint64_t used = entries_of_size(img, img->header.image_size);
	int ret;

	img->l1 = map_table(img->table_bytes);
	img->l1_disk = map_table(img->table_bytes);
	if (!img->l1 || !img->l1_disk)
		return error_set_errno(err, -ENOMEM, "L1 table");
	ret = load_and_decode(img, 0, table_part(used));
	if (ret)
		return error_set_errno(err, ret, "could not read the L1 table");
	atomic_store_explicit(&img->l1_used, used, memory_order_release);
	return 0;
}

int qed_co_l1_load_rest(struct qed_image *img)
{
	return load_and_decode(img, table_part(qed_l1_entries_used(img)), img->table_bytes);
}

int qed_co_l1_grow(struct qed_image *img, uint64_t size)
{
	uint64_t old = qed_l1_entries_used(img), used = entries_of_size(img, size);
	int ret;

	if (used <= old)
		return 0;
	/* Where the image has been longer before it was opened there may be tables. */
	ret = load_and_decode(img, table_part(old), table_part(used));
	if (!ret)
		atomic_store_explicit(&img->l1_used, used, memory_order_release);
	return ret;
}

void qed_l1_free(struct qed_image *img)
{
	if (img->l1)
		munmap(img->l1, img->table_bytes);
	if (img->l1_disk)
		munmap(img->l1_disk, img->table_bytes);
	img->l1 = NULL;
	img->l1_disk = NULL;
}

int qed_co_l1_take_space(struct qed_image *img, uint64_t entries)
{
	uint64_t bytes = round_up(entries * 8, L1_BLOCK_BYTES);
	int ret;

	if (bytes <= atomic_load_explicit(&img->alloc.l1_space, memory_order_relaxed))
		return 0;
	ret = blk_file_co_allocate(img->file, img->header.l1_table_offset, bytes);
	if (!ret)
		atomic_store_explicit(&img->alloc.l1_space, bytes, memory_order_relaxed);
	return ret;
}

int qed_co_l1_write(struct qed_image *img, const struct cluster_runs *indices)
{
	uint64_t next_block = 0;
	int ret = 0;

	for (size_t t = 0; !ret && t < indices->nr; t++) {
		const struct cluster_run *run = &indices->runs[t];
		uint64_t first = round_down(run->start * 8, L1_BLOCK_BYTES);
		uint64_t end = round_up((run->start + run->count) * 8, L1_BLOCK_BYTES);

		/* Tables are mostly made in order: a block is rarely written twice. */
		if (t && first < next_block && first + L1_BLOCK_BYTES >= next_block)
			first = next_block;
		if (first >= end)
			continue;
		ret = blk_file_co_pwrite(img->file, (uint8_t *)img->l1_disk + first, end - first,
					 img->header.l1_table_offset + first);
		next_block = end;
	}
	return ret;
}

int qed_co_l1_write_entry(struct qed_image *img, uint64_t i)
{
	struct cluster_run run = { .start = i, .count = 1 };

	return qed_co_l1_write(img, &(struct cluster_runs){ .runs = &run, .nr = 1 });
}

uint64_t qed_slice_offset(const struct qed_image *img, uint64_t index)
{
	uint64_t first = index * QED_SLICE_ENTRIES;

	return qed_table_of(img, first) + first % img->table_entries * 8;
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
