/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the block layer share about nodes. */
#ifndef QEDBLK_BLOCK_NODE_INTERNAL_H
#define QEDBLK_BLOCK_NODE_INTERNAL_H

#include "block/node.h"

/*
 * Find the format of an open file from its first bytes.  The image of a format
 * that is known, but not supported, is refused instead of being taken for raw.
 */
int blk_co_probe(struct blk_file *file, const struct blk_driver **driver, struct error *err);

/* Like blk_driver_find(), with an error line. */
int blk_driver_get(const char *name, const struct blk_driver **driver, struct error *err);

/* Put the file's name in front of the line, unless it is there already. */
void blk_error_name_file(struct error *err, const char *filename);

/*
 * Requests as a driver gets them: inside the node, of a bounded length, and
 * with the caller in node->inflight.
 */

/* Write zeroes by the driver's way, else as data. @flags: BLK_REQ_MAY_UNMAP, BLK_REQ_POPULATE. */
int blk_co_do_write_zeroes(struct blk_node *node, uint64_t offset, uint64_t bytes,
			   unsigned int flags);

#endif
