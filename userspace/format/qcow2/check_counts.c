// SPDX-License-Identifier: GPL-2.0
/*
 * A check of reference counts: the refcount table and its blocks, the counts, and the flags in
 * L1 and L2 entries that depend on them.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "format/qcow2/check.h"
#include "format/qcow2/words.h"
#include "util/units.h"

static void check_block(struct qcow2_check *check, uint64_t i, uint64_t entry)
{
	uint64_t offset = entry & QCOW2_REFTABLE_OFFSET;
	uint64_t cluster = offset >> check->img->header.cluster_bits;

	if (entry & QCOW2_REFTABLE_RESERVED) {
		qcow2_check_corrupt(
			check, "ERROR refcount table entry %" PRIu64 " has reserved bits set", i);
		return;
	}
	if (offset & (check->img->cluster_size - 1)) {
		qcow2_check_corrupt(check,
				    "ERROR refcount block %" PRIu64
				    " is not cluster aligned; refcount table entry corrupted",
				    i);
		return;
	}
	if (cluster >= check->clusters) {
		qcow2_check_corrupt(check, "ERROR refcount block %" PRIu64 " is outside image", i);
		return;
	}
	qcow2_check_use(check, offset, check->img->cluster_size);
	if (cluster < check->first || cluster - check->first >= check->window ||
	    qcow2_check_count(check, cluster) == 1)
		return;
	check->result->corruptions++;
	qcow2_check_report(check, "ERROR refcount block %" PRIu64 " refcount=%" PRIu64, i,
			   qcow2_check_count(check, cluster));
}

void qcow2_check_blocks(struct qcow2_check *check)
{
	for (uint64_t i = 0; i < check->disk.entries; i++)
		if (check->disk.table[i])
			check_block(check, i, check->disk.table[i]);
}

/* Read the count of @cluster on disk; report once that a block is not aligned. */
static int read_count(struct qcow2_check *check, uint64_t cluster, uint64_t *count)
{
	uint64_t block = qcow2_refcounts_entry(&check->disk, cluster) & QCOW2_REFTABLE_OFFSET;
	int ret = qcow2_co_refcount(&check->disk, cluster, count);

	if (ret && block & (check->img->cluster_size - 1) && !check->unaligned) {
		check->unaligned = true;
		qcow2_check_report(check,
				   "qcow2: Image is corrupt: Refblock offset %#" PRIx64
				   " unaligned (reftable index: %#" PRIx64
				   "); further non-fatal corruption events will be suppressed",
				   block, cluster >> check->disk.block_bits);
	}
	return ret;
}

static void compare(struct qcow2_check *check, uint64_t cluster)
{
	uint64_t found = qcow2_check_count(check, cluster), count;
	int ret = read_count(check, cluster, &count);

	if (ret) {
		qcow2_check_report(check, "Can't get refcount for cluster %" PRIu64 ": %s", cluster,
				   strerror(-ret));
		check->result->check_errors++;
		return;
	}
	if (count || found)
		check->highest = cluster;
	if (count == found)
		return;
	qcow2_check_report(check, "%s cluster %" PRIu64 " refcount=%" PRIu64 " reference=%" PRIu64,
			   count < found ? "ERROR" : "Leaked", cluster, count, found);
	if (count < found)
		check->result->corruptions++;
	else
		check->result->leaks++;
}

void qcow2_check_co_compare(struct qcow2_check *check)
{
	uint64_t end = min_u64(check->clusters, check->first + check->window);

	for (uint64_t k = check->first; k < end; k++)
		compare(check, k);
}

/* ---- The COPIED flag ---- */

static void check_data_flag(struct qcow2_check *check, uint64_t entry)
{
	uint64_t cluster = (entry & QCOW2_ENTRY_OFFSET) >> check->img->header.cluster_bits;
	uint64_t count = 1;

	if (qcow2_check_kind(check, entry) != CHECK_PLACE)
		return;
	if (!check->data_file && read_count(check, cluster, &count))
		return;
	if ((count == 1) == !!(entry & QCOW2_ENTRY_COPIED))
		return;
	check->result->corruptions++;
	qcow2_check_report(check,
			   "ERROR OFLAG_COPIED data cluster: l2_entry=%" PRIx64
			   " refcount=%" PRIu64,
			   entry, count);
}

static int check_data_flags(void *arg, uint64_t first, const uint64_t *words, unsigned int n)
{
	struct qcow2_check *check = arg;

	(void)first;
	for (unsigned int i = 0; i < n; i += check->img->l2_entry_bytes / 8)
		if (words[i])
			check_data_flag(check, words[i]);
	return 0;
}

static int check_table_flag(struct qcow2_check *check, uint64_t index, uint64_t entry)
{
	uint64_t offset = entry & QCOW2_ENTRY_OFFSET, count;
	int ret;

	if (!offset || read_count(check, offset >> check->img->header.cluster_bits, &count))
		return 0;
	if ((count == 1) != !!(entry & QCOW2_ENTRY_COPIED)) {
		check->result->corruptions++;
		qcow2_check_report(check,
				   "ERROR OFLAG_COPIED L2 cluster: l1_index=%" PRIu64
				   " l1_entry=%" PRIx64 " refcount=%" PRIu64,
				   index, entry, count);
	}
	ret = qcow2_check_spend(check, offset, check->img->cluster_size);
	if (ret)
		return ret;
	ret = qcow2_co_walk_words(check->img->file, offset, check->img->cluster_size / 8,
				  check_data_flags, check);
	if (ret)
		qcow2_check_report(check, "ERROR: Could not read L2 table: %s", strerror(-ret));
	return ret;
}

static int check_table_flags(void *arg, uint64_t first, const uint64_t *words, unsigned int n)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < n; i++)
		ret = check_table_flag(arg, first + i, words[i]);
	return ret;
}

int qcow2_check_co_copied(struct qcow2_check *check)
{
	const struct qcow2_header *h = &check->img->header;

	return qcow2_co_walk_words(check->img->file, h->l1_table_offset, h->l1_size,
				   check_table_flags, check);
}
