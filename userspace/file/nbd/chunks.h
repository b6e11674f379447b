/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which bytes of a read a server has sent; no I/O.
 *
 * A server sends the pieces of a read in any order.  Each byte must come once:
 * a piece that repeats a byte says nothing of those that are missing.
 */
#ifndef QEDBLK_FILE_NBD_CHUNKS_H
#define QEDBLK_FILE_NBD_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

/* Ranges with gaps between them that are remembered; a server that leaves more gaps is refused. */
#define NBD_MAX_CHUNKS 64

/* Sorted ranges of a read, each with a gap before the next. */
struct nbd_chunks {
	unsigned int count;
	struct {
		uint32_t start, end; /* bytes from the read's start */
	} range[NBD_MAX_CHUNKS];
};

static inline void nbd_chunks_init(struct nbd_chunks *chunks)
{
	chunks->count = 0;
}

/*
 * Note that the bytes from @start to @end of a read of @limit bytes were sent.
 * False if there are none, some were sent before or lie outside of the read,
 * or there are too many gaps.
 */
bool nbd_chunks_add(struct nbd_chunks *chunks, uint64_t start, uint64_t end, uint32_t limit);

/* How many bytes were sent. */
uint32_t nbd_chunks_bytes(const struct nbd_chunks *chunks);

#endif
