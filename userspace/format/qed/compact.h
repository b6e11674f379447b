/* SPDX-License-Identifier: GPL-2.0 */
/* Moving data clusters (compact.c).  Functions return 0 or a negative errno, and yield. */
#ifndef QEDBLK_FORMAT_QED_COMPACT_H
#define QEDBLK_FORMAT_QED_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

struct qed_image;

/*
 * Leave no unreferenced cluster inside the file, unless the image is damaged or I/O fails.  Returns
 * the error of a commit only.  No request may be in flight.  Without @move reads may be, and some
 * clusters may be left, which the image notes.
 */
int qed_co_compact(struct qed_image *img, bool move);
/* Copy file cluster @from to @to, which reads as zeroes; zeroes are not written. */
int qed_co_copy_cluster(struct qed_image *img, uint64_t from, uint64_t to);

#endif
