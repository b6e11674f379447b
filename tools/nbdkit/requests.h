/* SPDX-License-Identifier: GPL-2.0 */
/* The requests of NBD as calls of the engine; all run as coroutines on its loops. */
#ifndef QEDBLK_TOOLS_NBDKIT_REQUESTS_H
#define QEDBLK_TOOLS_NBDKIT_REQUESTS_H

#include "nbdkit/engine.h"

/* Runs that one answer about extents has at most. */
#define MAX_EXTENTS 512

struct extent {
	uint64_t bytes;
	bool zero; /* reads as zeroes, without the image having data there */
};

/* As blk_co_*() (block/io.h); 0 or a negative errno.  @call has range, buffer and flags. */
int request_co_pread(struct engine_call *call);
int request_co_pwrite(struct engine_call *call);
int request_co_zero(struct engine_call *call);
int request_co_trim(struct engine_call *call);
int request_co_flush(struct engine_call *call);
/* Fills call->extents, call->nr_extents of them at most, and sets how many there are. */
int request_co_extents(struct engine_call *call);
/* Have the range read, so that copy-on-read keeps it.  call->buf has CACHE_PIECE bytes. */
#define CACHE_PIECE (256 * KiB)
int request_co_cache(struct engine_call *call);

/*
 * Is making [offset, offset + bytes) zeroes faster than writing it?  So it is where whole
 * clusters, or blocks of a raw file, only change their state.
 */
bool request_is_fast_zero(const struct blk_node *node, uint64_t offset, uint64_t bytes,
			  bool may_trim);

#endif
