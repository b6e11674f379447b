/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a check finds out about an image (check.c).  A check of an image in use (check_live.c) goes
 * the same way without repairing anything.  Functions return 0 or a negative errno.
 */
#ifndef QEDBLK_FORMAT_QED_CHECK_H
#define QEDBLK_FORMAT_QED_CHECK_H

#include "block/driver.h"
#include "format/qed/cluster_set.h"
#include "format/qed/tables.h"

struct qed_check {
	struct qed_image *img;
	unsigned int fix; /* BLK_FIX_* */
	blk_check_report_fn *report;
	void *report_arg;
	struct blk_check_result *result;
	struct cluster_set used; /* file clusters found to be referenced */
	struct cluster_set tables; /* L1 indices of the tables to walk */
	struct cluster_set walked; /* first clusters of those, so that each is walked once */
	uint64_t end; /* bytes: the file's end when the check began; copies lie behind it */
	uint64_t copied; /* bytes */
	/* The last data cluster found in the current table; @entry 0: none.  To count fragments. */
	struct qed_check_place {
		uint64_t table, entry;
	} last;
};

/* Count the header and L1 as referenced.  The caller has zeroed *@check but for what it asks. */
int qed_check_begin(struct qed_check *check);
void qed_check_end(struct qed_check *check);
/*
 * Check the L1 entries [from, to) as they are on disk, and list the tables to walk.  The caller is
 * the running commit, or none changes these entries.  Yields only to repair.
 */
int qed_co_check_tables(struct qed_check *check, uint64_t from, uint64_t to);
/* Call @piece for the pieces of all tables listed.  Yields. */
int qed_co_check_walk(struct qed_check *check, qed_walk_fn *piece, void *arg);
/* A qed_walk_fn that checks all entries of a piece; @arg is the check. */
int qed_co_check_piece(void *arg, uint64_t first_cluster, uint64_t *entries, unsigned int n,
		       bool *changed);

#endif
