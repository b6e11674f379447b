// SPDX-License-Identifier: GPL-2.0
/*
 * A check of L1 and L2 tables: what their entries refer to, and whether they are valid.
 */
#include <errno.h>
#include <inttypes.h>

#include "format/qcow2/check.h"
#include "format/qcow2/words.h"
#include "util/units.h"

#define BITMAP_ALLOCATED 0xffffffffULL /* subclusters of an extended entry */

struct table {
	struct qcow2_check *check;
	bool active; /* not one of a snapshot */
	uint64_t next_offset; /* where the next cluster would lie without a gap; 0: unknown */
};

enum qcow2_check_kind qcow2_check_kind(const struct qcow2_check *check, uint64_t entry)
{
	bool extended = check->img->l2_entry_bytes == 16;

	if (entry & QCOW2_L2_COMPRESSED)
		return CHECK_PACKED;
	if (entry & QCOW2_ENTRY_OFFSET)
		return CHECK_PLACE;
	if (entry & QCOW2_L2_ZERO && !extended)
		return CHECK_ZERO;
	/* The first cluster of a data file may be data. */
	return check->data_file && entry & QCOW2_ENTRY_COPIED ? CHECK_PLACE : CHECK_UNALLOCATED;
}

static void check_packed(struct table *table, uint64_t index, uint64_t entry, uint64_t bitmap)
{
	struct qcow2_check *check = table->check;
	uint64_t offset;
	uint32_t bytes;

	qcow2_packed_place(&check->img->header, entry, &offset, &bytes);
	if (entry & QCOW2_ENTRY_COPIED)
		qcow2_check_corrupt(check,
				    "ERROR: coffset=0x%" PRIx64
				    ": copied flag must never be set for compressed clusters",
				    offset);
	entry &= ~QCOW2_ENTRY_COPIED;
	if (check->data_file) {
		qcow2_check_corrupt(check,
				    "ERROR compressed cluster %" PRIu64
				    " with data file, entry=0x%" PRIx64,
				    index, entry);
		return;
	}
	if (bitmap) {
		qcow2_check_corrupt(check,
				    "ERROR compressed cluster %" PRIu64
				    " with non-zero subcluster allocation bitmap, entry=0x%" PRIx64,
				    index, entry);
		return;
	}
	qcow2_check_use(check, offset, bytes);
	if (!table->active || check->again)
		return;
	check->result->allocated_clusters++;
	check->result->compressed_clusters++;
	check->result->fragmented_clusters++;
}

static void check_alignment(struct qcow2_check *check, uint64_t entry, uint64_t bitmap)
{
	uint64_t offset = entry & QCOW2_ENTRY_OFFSET;
	bool extended = check->img->l2_entry_bytes == 16;

	if (!(offset & (check->img->cluster_size - 1)))
		return;
	if (extended ? bitmap & BITMAP_ALLOCATED : !(entry & QCOW2_L2_ZERO))
		qcow2_check_corrupt(check,
				    "ERROR offset=%" PRIx64
				    ": Data cluster is not properly aligned; L2 entry corrupted.",
				    offset);
	else
		qcow2_check_corrupt(check,
				    "ERROR offset=%" PRIx64
				    ": Preallocated cluster is not properly aligned; L2 entry "
				    "corrupted.",
				    offset);
}

/* An entry with a place in the file, which may read as zeroes. */
static void check_place(struct table *table, uint64_t entry, uint64_t bitmap)
{
	struct qcow2_check *check = table->check;
	uint64_t offset = entry & QCOW2_ENTRY_OFFSET;

	if (bitmap >> 32 & bitmap)
		qcow2_check_corrupt(
			check,
			"ERROR offset=%" PRIx64
			": Allocated cluster has corrupted subcluster allocation bitmap",
			offset);
	check_alignment(check, entry, bitmap);
	if (table->active && !check->again) {
		check->result->allocated_clusters++;
		if (table->next_offset && offset != table->next_offset)
			check->result->fragmented_clusters++;
		table->next_offset = offset + check->img->cluster_size;
	}
	if (!check->data_file)
		qcow2_check_use(check, offset, check->img->cluster_size);
}

static void check_entry(struct table *table, uint64_t index, uint64_t entry, uint64_t bitmap)
{
	enum qcow2_check_kind kind = qcow2_check_kind(table->check, entry);

	if (kind != CHECK_PACKED && entry & QCOW2_L2_RESERVED)
		qcow2_check_corrupt(table->check,
				    "ERROR found l2 entry with reserved bits set: %" PRIx64, entry);
	if (kind == CHECK_PACKED)
		check_packed(table, index, entry, bitmap);
	else if (kind == CHECK_PLACE)
		check_place(table, entry, bitmap);
	else if (kind == CHECK_UNALLOCATED && bitmap & BITMAP_ALLOCATED)
		qcow2_check_corrupt(table->check,
				    "ERROR: Unallocated cluster has non-zero subcluster allocation "
				    "map");
}

static int check_l2_words(void *arg, uint64_t first, const uint64_t *words, unsigned int n)
{
	struct table *table = arg;
	unsigned int step = table->check->img->l2_entry_bytes / 8;

	for (unsigned int i = 0; i + step <= n; i += step)
		if (words[i] || (step == 2 && words[i + 1]))
			check_entry(table, (first + i) / step, words[i],
				    step == 2 ? words[i + 1] : 0);
	return 0;
}

static int check_l1_entry(struct table *table, uint64_t entry)
{
	struct qcow2_check *check = table->check;
	uint32_t cluster = check->img->cluster_size;
	uint64_t offset = entry & QCOW2_ENTRY_OFFSET;
	int ret;

	if (entry & QCOW2_L1_RESERVED)
		qcow2_check_corrupt(check, "ERROR found L1 entry with reserved bits set: %" PRIx64,
				    entry);
	qcow2_check_use(check, offset, cluster);
	if (offset & (cluster - 1))
		qcow2_check_corrupt(check,
				    "ERROR l2_offset=%" PRIx64
				    ": Table is not cluster aligned; L1 entry corrupted",
				    offset);
	table->next_offset = 0;
	ret = qcow2_check_spend(check, offset, cluster);
	if (ret)
		return ret;
	ret = qcow2_co_walk_words(check->img->file, offset, cluster / 8, check_l2_words, table);
	if (ret)
		qcow2_check_report(check, "ERROR: I/O error in check_refcounts_l2");
	return ret;
}

static int check_l1_words(void *arg, uint64_t first, const uint64_t *words, unsigned int n)
{
	int ret = 0;

	(void)first;
	for (unsigned int i = 0; !ret && i < n; i++)
		ret = words[i] ? check_l1_entry(arg, words[i]) : 0;
	return ret;
}

int qcow2_check_co_l1(struct qcow2_check *check, uint64_t offset, uint32_t entries, bool active)
{
	struct table table = { .check = check, .active = active };
	int ret;

	qcow2_check_use(check, offset, (uint64_t)entries * 8);
	/* No file has bytes there: reading them is an error, as for QEMU. */
	if (entries && offset > INT64_MAX - (uint64_t)entries * 8) {
		qcow2_check_report(check, "ERROR: I/O error in check_refcounts_l1");
		return -EIO;
	}
	ret = qcow2_check_spend(check, offset, (uint64_t)entries * 8);
	if (ret)
		return ret;
	return qcow2_co_walk_words(check->img->file, offset, entries, check_l1_words, &table);
}
