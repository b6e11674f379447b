// SPDX-License-Identifier: GPL-2.0
/*
 * The L1 table in memory, and what offsets tables and clusters may have.
 *
 * The whole table is mapped, at most 1 GiB of address space, but only what the
 * image's size needs is read and so takes memory: never more than 16 MiB,
 * since small clusters limit the number of entries and large ones need few.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
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
	return !(entry & (img->header.cluster_size - 1)) && entry >= header_bytes &&
	       entry < end && end - entry >= img->header.cluster_size;
}

static void *map_table(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int qed_co_l1_load(struct qed_image *img, struct error *err)
{
	uint64_t mapped_by_l2 = img->table_entries * img->header.cluster_size;
	uint64_t entries = div_round_up(img->header.image_size, mapped_by_l2);
	uint64_t bytes = round_up(entries * 8, 4096);

	img->l1 = map_table(img->table_bytes);
	img->l1_disk = map_table(img->table_bytes);
	if (!img->l1 || !img->l1_disk)
		return error_set_errno(err, -ENOMEM, "L1 table");

	for (uint64_t done = 0; done < bytes;) {
		uint64_t n = min_u64(bytes - done, L1_READ_BYTES);
		int ret = blk_file_co_pread(img->file, (uint8_t *)img->l1_disk + done, n,
					    img->header.l1_table_offset + done);

		if (ret)
			return error_set_errno(err, ret, "could not read the L1 table");
		done += n;
	}
	for (uint64_t i = 0; i < bytes / 8; i++)
		atomic_store_explicit(&img->l1[i], le64toh(img->l1_disk[i]), memory_order_relaxed);
	return 0;
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
