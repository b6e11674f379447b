/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A check in progress: the declarations that its files share.
 *
 * As QEMU does, a check counts the references to each cluster of the file, from the header and all
 * tables, and compares that with the reference counts on disk.  The counts of a large file do not
 * fit in memory: it is done in passes, each for a window of clusters.  What a pass finds in tables
 * is the same in each, and is reported by the first.
 */
#ifndef QEDBLK_FORMAT_QCOW2_CHECK_H
#define QEDBLK_FORMAT_QCOW2_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "block/driver.h"
#include "format/qcow2/qcow2.h"
#include "format/qcow2/refcounts.h"

struct qcow2_check {
	struct qcow2_image *img;
	blk_check_report_fn *report;
	void *report_arg;
	struct blk_check_result *result;
	struct qcow2_refcounts disk;
	bool data_file; /* data clusters are in another file */
	uint64_t file_bytes; /* in whole sectors */
	uint64_t clusters; /* of the file, with what is referenced of one that begins at its end */
	uint64_t snapshot_bytes; /* length of the snapshot table */

	bool again; /* not the first pass */
	uint8_t *counts; /* of @window clusters, from cluster @first on; as in a block on disk */
	uint64_t first, window;
	uint64_t highest; /* last cluster in use, so far */
	bool unaligned; /* an unaligned block was reported */
	uint64_t work; /* bytes of tables that may still be read */
	uint64_t lines; /* that were reported */
};

/* Report a line (printf style). */
void qcow2_check_report(struct qcow2_check *check, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Count a corruption that each pass finds, and report it, in the first pass. */
#define qcow2_check_corrupt(check, ...)                         \
	do {                                                    \
		if (!(check)->again) {                          \
			qcow2_check_report(check, __VA_ARGS__); \
			(check)->result->corruptions++;         \
		}                                               \
	} while (0)

/*
 * Call before a table of @bytes bytes at @offset is read. Returns -ELOOP when that is more than any
 * intact image needs: tables that many entries share would be read for days.
 */
int qcow2_check_spend(struct qcow2_check *check, uint64_t offset, uint64_t bytes);

/* Count a reference to each cluster of @bytes bytes at @offset of the file. */
void qcow2_check_use(struct qcow2_check *check, uint64_t offset, uint64_t bytes);

/* Return the number of references to @cluster, which is in the window. */
static inline uint64_t qcow2_check_count(const struct qcow2_check *check, uint64_t cluster)
{
	return qcow2_refcount_get(check->counts, check->img->header.refcount_order,
				  cluster - check->first);
}

/* check_tables.c: count what the L1 table at @offset refers to, and itself.  Yields. */
int qcow2_check_co_l1(struct qcow2_check *check, uint64_t offset, uint32_t entries, bool active);
/* What an L2 entry says, with QEMU's distinctions. */
enum qcow2_check_kind { CHECK_UNALLOCATED, CHECK_ZERO, CHECK_PLACE, CHECK_PACKED };
enum qcow2_check_kind qcow2_check_kind(const struct qcow2_check *check, uint64_t entry);

/* check_counts.c: check the refcount table, and count references to blocks. */
void qcow2_check_blocks(struct qcow2_check *check);
/* Compare the counts of the window with those on disk.  Yields. */
void qcow2_check_co_compare(struct qcow2_check *check);
/* Check that entries of the active tables have the COPIED flag where the count is 1.  Yields. */
int qcow2_check_co_copied(struct qcow2_check *check);

#endif
