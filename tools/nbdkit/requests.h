/* SPDX-License-Identifier: GPL-2.0 */
/* NBD's requests as calls of the engine; they run as coroutines on its loops. */
#ifndef QEDBLK_TOOLS_NBDKIT_REQUESTS_H
#define QEDBLK_TOOLS_NBDKIT_REQUESTS_H

#include "nbdkit/engine.h"

/* The most runs in one reply about extents. */
#define MAX_EXTENTS 512

struct extent {
	uint64_t bytes;
	bool zero; /* reads as zeroes, without data in the image */
};

/*
 * Like blk_co_*() (block/io.h), with the range, buffer and flags of @call. Return 0 or
 * a negative errno.
 */
int request_co_pread(struct engine_call *call);
int request_co_pwrite(struct engine_call *call);
int request_co_zero(struct engine_call *call);
int request_co_trim(struct engine_call *call);
int request_co_flush(struct engine_call *call);
/* Fill call->extents; call->nr_extents is their maximum, and is set to the number found. */
int request_co_extents(struct engine_call *call);
/* Read the range, so that copy-on-read keeps it. call->buf has CACHE_PIECE bytes. */
#define CACHE_PIECE (256 * KiB)
int request_co_cache(struct engine_call *call);

/*
 * Return true when zeroing [offset, offset + bytes) is faster than writing it: when
 * whole clusters, or blocks of a raw file, only change their state.
 */
bool request_is_fast_zero(const struct blk_node *node, uint64_t offset, uint64_t bytes,
			  bool may_trim);

#endif
