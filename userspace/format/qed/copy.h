/* SPDX-License-Identifier: GPL-2.0 */
/* Writing to clusters that show the backing file (copy.c). */
#ifndef QEDBLK_FORMAT_QED_COPY_H
#define QEDBLK_FORMAT_QED_COPY_H

#include <stdint.h>

struct qed_image;

/*
 * Write a first part of [offset, offset + bytes), which lies in guest clusters that are unallocated
 * and show the backing file; @buf NULL writes zeroes into a part of one cluster.  *@done is the
 * part's length in bytes; 0: the entries have changed, and the caller maps again.  Returns 0 or a
 * negative errno.  Yields.
 */
int qed_co_write_copying(struct qed_image *img, uint64_t offset, uint64_t bytes, const void *buf,
			 unsigned int flags, uint64_t *done);

#endif
