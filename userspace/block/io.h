/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests to a node.
 *
 * blk_co_*() run in a coroutine of any loop and park; any number may run at
 * once.  Offsets and lengths are in bytes and of any alignment, and must lie
 * inside the node's size (-EIO otherwise).  They return 0 or a negative errno;
 * what changes a node that was not opened with BLK_O_RDWR fails with -EPERM.
 *
 * The fast way, without a coroutine: between inflight_begin() and
 * inflight_end() on node->inflight, ask blk_map_read() or blk_map_write(); a
 * DATA answer may be used with the file's descriptor until inflight_end().
 */
#ifndef QEDBLK_BLOCK_IO_H
#define QEDBLK_BLOCK_IO_H

#include "block/node.h"

/* @flags: BLK_REQ_COPY_ON_READ: for the node's filter, if it has one. */
int blk_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf,
		 unsigned int flags);
/* @flags: BLK_REQ_FUA, BLK_REQ_POPULATE. */
int blk_co_pwrite(struct blk_node *node, uint64_t offset, uint64_t bytes, const void *buf,
		  unsigned int flags);
/* @flags: BLK_REQ_FUA, BLK_REQ_MAY_UNMAP, BLK_REQ_POPULATE. */
int blk_co_pwrite_zeroes(struct blk_node *node, uint64_t offset, uint64_t bytes,
			 unsigned int flags);
int blk_co_pdiscard(struct blk_node *node, uint64_t offset, uint64_t bytes);
/*
 * The guest's FLUSH.  An error that was met behind the guest's back is reported by the next one,
 * and only by that.
 */
int blk_co_flush(struct blk_node *node);
/* Make durable what was answered, for others than the guest, to which nothing is reported here. */
int blk_co_sync(struct blk_node *node);
/*
 * Change the node's size.  What a longer node gains reads as zeroes, also where
 * its backing file is longer.  The error line names the file.
 */
int blk_co_truncate(struct blk_node *node, uint64_t size, struct error *err);

/*
 * For format drivers: read [offset, offset + bytes) of @node's backing file;
 * zeroes past its end, or where there is none.
 */
int blk_co_pread_backing(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);

/*
 * Where a reader, or a writer in place, finds the bytes without asking
 * further.  Never parks, takes no lock.  The answer is DATA with a file, ZERO
 * (reader only), NOWHERE, or ASK.  Reads look through the chain unless the node copies
 * on read.
 *
 * DATA answers end at the end of the file and on multiples of its alignment:
 * file_offset and bytes suit the descriptor, and reads are not short.  The
 * caller looks at the buffer's address (file->mem_align).
 */
void blk_map_read(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
void blk_map_write(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);

/* What a reader sees, through the whole chain; holes of raw files are looked up. */
int blk_co_status(struct blk_node *node, uint64_t offset, uint64_t bytes,
		  struct blk_status *status);
/*
 * The same as far as the images above @base, a node of @node's backing chain, say:
 * what they leave to it is BACKING, with @base as the node, and what @base has there is not
 * looked at.  What they leave to it behind its end is zero, and an answer of its own.
 */
int blk_co_status_above(struct blk_node *node, const struct blk_node *base, uint64_t offset,
			uint64_t bytes, struct blk_status *status);

/*
 * What a node that is to be filled up to @end holds before: the offset from which on, to @end,
 * it reads as zeroes.  @end if that is not known.  Nothing is read but tables.  An image that was
 * opened with BLK_O_INCOMPLETE counts as new until its first write; ask before that.
 */
uint64_t blk_co_zero_from(struct blk_node *node, uint64_t end);

#endif
