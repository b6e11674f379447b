/* SPDX-License-Identifier: GPL-2.0 */
/* Tables of 64-bit entries, read in pieces. */
#ifndef QEDBLK_FORMAT_QCOW2_WORDS_H
#define QEDBLK_FORMAT_QCOW2_WORDS_H

#include <stdint.h>

struct blk_file;

/* No file is longer, and no sum of two of these overflows. */
#define QCOW2_MAX_FILE_OFFSET (1ULL << 62)

/*
 * Called with @n words in this machine's byte order, of which the first is word @first of the
 * table; @first and @n are even, but for an odd end.  May yield.  An error ends the walk.
 */
typedef int qcow2_words_fn(void *arg, uint64_t first, const uint64_t *words, unsigned int n);

/*
 * Call @fn for the table of @count words at @offset of @file.  Words in large holes of the file and
 * behind its end, which are 0, are left out.  Yields.  Returns 0, the error of @fn, -ENOMEM, or the
 * error of a read.
 */
int qcow2_co_walk_words(struct blk_file *file, uint64_t offset, uint64_t count, qcow2_words_fn *fn,
			void *arg);

#endif
