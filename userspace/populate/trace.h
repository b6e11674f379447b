/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Traces: which clusters of a node are read first, and in which order.
 *
 * A trace is a text file.  Its first line is "qedblk-trace 1".  Each other line is
 * a piece of the disk in the order of first reading, offset and length in
 * bytes, decimal, separated by a blank; it may be empty or begin with '#'.
 */
#ifndef QEDBLK_BLOCK_TRACE_H
#define QEDBLK_BLOCK_TRACE_H

#include <stddef.h>

#include "block/node.h"

struct trace_range {
	uint64_t offset, bytes;
};

/* Read a trace, ranges on the heap.  Blocks.  The error line names the file. */
int trace_read(const char *path, struct trace_range **ranges, size_t *nr, struct error *err);

/*
 * Record the first reads of @node, to which populate_co_attach() has attached, from now on to
 * a new file @path.  One trace at a time (-EBUSY).  Coroutine; yields between that look and
 * the start, so the caller lets only one of trace_co_start() and trace_co_stop() of a node run
 * at a time.
 */
int trace_co_start(struct blk_node *node, const char *path, struct error *err);
/*
 * Write out what has been recorded; to be called now and then, and in time: what
 * finds no room is left out.  One coroutine at a time; parks.
 */
int trace_co_write(struct blk_node *node, struct error *err);
/* End it and write the rest; clusters that were left out go to *@lost.  Parks. */
int trace_co_stop(struct blk_node *node, uint64_t *lost, struct error *err);

/* Where it is recorded to, or NULL: there is none. */
const char *trace_path(struct blk_node *node);

#endif
