/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Traces: the clusters of a node in the order of their first reads.
 *
 * A trace is a text file:
 *
 *	qedblk-trace 1		the first line: what the file is, and its version
 *	0 131072		a range of the disk: offset and length in bytes, decimal
 *	# after the boot	ignored, as are empty lines
 *	8388608 65536		the range that was first read next
 *
 * A recorded range consists of whole clusters, also past the disk's end; clusters that
 * were first read one after the other in ascending order are one range.  A reader
 * takes any ranges, also overlapping ones.
 */
#ifndef QEDBLK_BLOCK_TRACE_H
#define QEDBLK_BLOCK_TRACE_H

#include <stddef.h>

#include "block/node.h"

struct trace_range {
	uint64_t offset, bytes;
};

/*
 * Read a trace; the caller frees *@ranges.  Blocks.  Returns 0 or a negative errno; the error line
 * names the file.
 */
int trace_read(const char *path, struct trace_range **ranges, size_t *nr, struct error *err);

/*
 * Start recording the first reads of @node, to which populate_co_attach() has attached, to a new
 * file @path.  One trace at a time (-EBUSY).  Coroutine; yields between that check and the start,
 * so the caller must not run trace_co_start() and trace_co_stop() of a node concurrently.
 */
int trace_co_start(struct blk_node *node, const char *path, struct error *err);
/*
 * Write what has been recorded so far to the file.  Must be called often enough: clusters for which
 * the list has no room are lost.  One coroutine at a time; yields.
 */
int trace_co_write(struct blk_node *node, struct error *err);
/*
 * Stop recording and write the rest; *@lost is the number of lost clusters.  Returns the first
 * error of a write, also of an earlier trace_co_write().  Yields.
 */
int trace_co_stop(struct blk_node *node, uint64_t *lost, struct error *err);

/* Return the path of the trace that is being recorded, or NULL. */
const char *trace_path(struct blk_node *node);

#endif
