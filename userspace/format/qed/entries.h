/* SPDX-License-Identifier: GPL-2.0 */
/* Changing L2 entries (entries.c).  Functions return 0 or a negative errno, and yield. */
#ifndef QEDBLK_FORMAT_QED_ENTRIES_H
#define QEDBLK_FORMAT_QED_ENTRIES_H

#include "format/qed/image.h"

/*
 * Get the slice that holds guest cluster @cluster's entry, to change it.  Returns 0 with meta_lock
 * *held*, or an error without.  Waits while too much is dirty, and makes the table and loads the
 * slice where necessary.
 */
int qed_co_slice_for_change(struct qed_image *img, uint64_t cluster, struct l2_slice **slice);
/* May a fresh cluster replace @entry, the entry of guest cluster @cluster?  Under meta_lock. */
typedef bool qed_lacks_fn(const struct qed_image *img, uint64_t entry, uint64_t cluster);
/*
 * Take file clusters for at most @max entries from guest cluster @cluster on, up to the first for
 * which @lacks is false, and no more than one slice and one run of the file give.  The run's count
 * is 0 if @lacks is false for the first.  With @set the entries are set to the clusters at once.
 */
int qed_co_take_clusters(struct qed_image *img, uint64_t cluster, uint64_t max, qed_lacks_fn *lacks,
			 bool set, struct cluster_run *run);
/*
 * Set the entries of @n guest clusters, all in one slice, to @first, @first + @step, ..., up to the
 * first that is no longer unallocated.  *@set is how many were set.
 */
int qed_co_set_unallocated(struct qed_image *img, uint64_t cluster, uint64_t n, uint64_t first,
			   uint64_t step, uint64_t *set);

#endif
