/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Track which bytes of a read the server has sent; no I/O.
 *
 * A server may send the pieces of a read in any order.  Each byte must arrive
 * exactly once: a byte that is repeated does not stand for one that is missing.
 */
#ifndef QEDBLK_FILE_NBD_CHUNKS_H
#define QEDBLK_FILE_NBD_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

/* The most ranges, with gaps between them, of a read; a server that leaves more is refused. */
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
 * Record that the bytes [start, end) of a read of @limit bytes were sent.  False if
 * the range is empty, overlaps one that was sent before, lies outside of the read,
 * or leaves too many gaps.
 */
bool nbd_chunks_add(struct nbd_chunks *chunks, uint64_t start, uint64_t end, uint32_t limit);

/* Return the number of bytes that were sent. */
uint32_t nbd_chunks_bytes(const struct nbd_chunks *chunks);

#endif
