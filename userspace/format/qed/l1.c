// SPDX-License-Identifier: GPL-2.0
/*
 * The L1 table in memory, and the valid offsets of tables and clusters.
 *
 * The whole table is mapped, at most 1 GiB of address space, but only the part that
 * the image's size needs is read, and takes memory: never more than 16 MiB, since
 * small clusters limit the number of entries and large ones need few.
 */
#include <endian.h>
#include <errno.h>
#include <sys/mman.h>

#include "format/qed/qed.h"

/* L1 is read in pieces of this many bytes. */
#define L1_READ_BYTES (1u << 20)

bool qed_table_offset_valid(const struct qed_image *img, uint64_t offset, uint64_t end)
{
	uint64_t header_bytes = (uint64_t)img->header.header_size * img->header.cluster_size;

	return !(offset & (img->header.cluster_size - 1)) && offset >= header_bytes &&
	       offset <= end && img->table_bytes <= end - offset;
}

bool qed_entry_valid(const struct qed_image *img, uint64_t entry, uint64_t end)
{
	uint64_t header_bytes = (uint64_t)img->header.header_size * img->header.cluster_size;

	if (entry == QED_L2_UNALLOCATED || entry == QED_L2_ZERO)
		return true;
	return !(entry & (img->header.cluster_size - 1)) && entry >= header_bytes && entry < end &&
	       end - entry >= img->header.cluster_size;
}

static void *map_table(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Return how many bytes of the table the image's size needs, in whole blocks. */
static uint64_t needed_bytes(const struct qed_image *img)
{
	return round_up(qed_l1_entries_used(img) * 8, 4096);
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

int qed_co_l1_load(struct qed_image *img, struct error *err)
{
	int ret;

	img->l1 = map_table(img->table_bytes);
	img->l1_disk = map_table(img->table_bytes);
	if (!img->l1 || !img->l1_disk)
		return error_set_errno(err, -ENOMEM, "L1 table");
	ret = load_range(img, 0, needed_bytes(img));
	if (ret)
		return error_set_errno(err, ret, "could not read the L1 table");
	decode_range(img, 0, needed_bytes(img));
	return 0;
}

int qed_co_l1_load_rest(struct qed_image *img)
{
	int ret = load_range(img, needed_bytes(img), img->table_bytes);

	if (!ret)
		decode_range(img, needed_bytes(img), img->table_bytes);
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
