/* SPDX-License-Identifier: GPL-2.0 */
/* Inflating clusters: zlib's raw deflate, and zstd. */
#ifndef QEDBLK_FORMAT_QCOW2_INFLATE_H
#define QEDBLK_FORMAT_QCOW2_INFLATE_H

#include <stddef.h>

#include "format/qcow2/format.h"

struct inflater;

/* NULL: no memory. */
struct inflater *inflater_new(enum qcow2_compression type);
/* NULL is fine.  Nobody may be in inflater_run(). */
void inflater_free(struct inflater *inflater);

/*
 * Inflate @in to exactly @out_bytes; what follows in @in is ignored.  Blocks
 * for as long as that takes; any thread, several at once.  Returns 0, -ENOMEM,
 * or -EIO: this does not inflate to so many bytes.
 */
int inflater_run(struct inflater *inflater, const void *in, size_t in_bytes, void *out,
		 size_t out_bytes);

#endif
