/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests to a node.
 *
 * blk_co_*() run in a coroutine of any loop and yield; any number may run at
 * once.  Offsets and lengths are in bytes and of any alignment, and must lie
 * inside the node's size (-EIO otherwise).  They return 0 or a negative errno;
 * a change to a node that was not opened with BLK_O_RDWR fails with -EPERM.
 *
 * The fast path, without a coroutine: between inflight_begin() and
 * inflight_end() on node->inflight, call blk_map_read() or blk_map_write(); a
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
 * The guest's FLUSH.  An error outside of the guest's requests is reported by the guest's next
 * FLUSH, and only by that one.
 */
int blk_co_flush(struct blk_node *node);
/*
 * Make completed writes durable, for callers other than the guest.  An error that is owed to the
 * guest stays owed.
 */
int blk_co_sync(struct blk_node *node);
/*
 * Change the node's size to @size bytes.  The space that a longer node gains reads
 * as zeroes, also where its backing file is longer, or where the node has been longer
 * before.  Requests for what a shorter node loses fail from the beginning of the call;
 * the caller must have none in flight of its own.  After a failure node->size is the old
 * size, or, where the image may have either, the lesser one.  The error line names the file.
 */
int blk_co_truncate(struct blk_node *node, uint64_t size, struct error *err);

/*
 * The same, and allocate the disk space of what the node gains as @mode says, which few formats
 * support.  Without space the old size stays.
 */
int blk_co_resize(struct blk_node *node, uint64_t size, enum blk_prealloc mode, struct error *err);

/* rebase.c: yield until every request that is in flight now is over. */
void blk_co_wait_requests(struct blk_node *node);

/*
 * For format drivers: read [offset, offset + bytes) of @node's backing file;
 * zeroes past its end, or where there is none.
 */
int blk_co_pread_backing(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf);

/*
 * Find where a reader, or a writer in place, accesses the bytes directly.  Never
 * yields, takes no lock.  The answer is DATA with a file, ZERO (reads only),
 * NOWHERE, or ASK.  Reads look through the chain unless the node copies on read.
 *
 * DATA answers end at the end of the file and on multiples of its alignment:
 * file_offset and bytes suit the descriptor, and reads are not short.  The
 * caller checks the buffer's address (file->mem_align).
 */
void blk_map_read(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);
void blk_map_write(struct blk_node *node, uint64_t offset, uint64_t bytes, struct blk_map *map);

/* Find what a reader sees, through the whole chain.  Queries raw files for holes.  Yields. */
int blk_co_status(struct blk_node *node, uint64_t offset, uint64_t bytes,
		  struct blk_status *status);
/*
 * The same for the images above @base, a node of @node's backing chain.  What they do not
 * allocate is BACKING, with @base as the node; the contents of @base are not looked at.  What they
 * do not allocate beyond the end of @base has @zero set, and is a separate run.
 */
int blk_co_status_above(struct blk_node *node, const struct blk_node *base, uint64_t offset,
			uint64_t bytes, struct blk_status *status);

/*
 * For a caller that fills a node up to @end: return the offset, in bytes, from which up to @end the
 * node reads as zeroes; @end if unknown.  Reads tables only.  An image that was opened with
 * BLK_O_INCOMPLETE counts as new until its first write: call this before that.
 */
uint64_t blk_co_zero_from(struct blk_node *node, uint64_t end);

#endif
