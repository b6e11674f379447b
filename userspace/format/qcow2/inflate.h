/* SPDX-License-Identifier: GPL-2.0 */
/* Decompressing clusters: raw deflate (zlib), and zstd. */
#ifndef QEDBLK_FORMAT_QCOW2_INFLATE_H
#define QEDBLK_FORMAT_QCOW2_INFLATE_H

#include <stddef.h>

#include "format/qcow2/format.h"

struct inflater;

/* Return an inflater, which the caller frees; NULL: out of memory. */
struct inflater *inflater_new(enum qcow2_compression type);
/* @inflater may be NULL.  No thread may be in inflater_run(). */
void inflater_free(struct inflater *inflater);

/*
 * Decompress @in to exactly @out_bytes; any bytes of @in behind that are ignored.
 * Blocks the thread meanwhile.  Any thread, several at once.  Returns 0, -ENOMEM,
 * or -EIO: the data is damaged, or decompresses to fewer bytes.
 */
int inflater_run(struct inflater *inflater, const void *in, size_t in_bytes, void *out,
		 size_t out_bytes);

#endif
