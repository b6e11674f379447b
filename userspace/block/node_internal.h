/* SPDX-License-Identifier: GPL-2.0 */
/* Nodes: declarations for the files of the block layer only. */
#ifndef QEDBLK_BLOCK_NODE_INTERNAL_H
#define QEDBLK_BLOCK_NODE_INTERNAL_H

#include "block/node.h"

/*
 * Find the format of an open file from its first bytes.  An image of a known but
 * unsupported format is refused (-ENOTSUP) instead of being taken for raw.
 * Coroutine; yields.
 */
int blk_co_probe(struct blk_file *file, const struct blk_driver **driver, struct error *err);

/* The most images that lie on top of each other, not counting backing files. */
#define BLK_MAX_NESTING 3

/*
 * Open the image that @filename (or NULL) and @opts describe as *@file, the file of another image,
 * called @name.  The caller closes it.  Coroutine; yields.  Returns 0 or a negative errno with an
 * error line.
 */
int blk_co_open_nested(struct blk_file **file, const char *name, const char *filename,
		       const struct blk_open_opts *opts, struct error *err);

/* Return the image that is behind @file, or NULL: it is a file, or a protocol's. */
struct blk_node *blk_nested_node(const struct blk_file *file);

/*
 * Open one image without its chain, which is the caller's to set before blk_node_co_start().
 * Coroutine; yields.  Returns 0 or a negative errno with an error line.
 */
int blk_node_co_open_one(struct blk_node **node, const char *filename,
			 const struct blk_open_opts *opts, struct error *err);

/*
 * Lock the file of @node as its flags say, and as @driver needs it.  Coroutine; yields.  Returns 0,
 * -EBUSY or another negative errno, with an error line.
 */
int blk_node_co_lock(struct blk_node *node, const struct blk_driver *driver, struct error *err);

/*
 * The same for @node in place of the locks of @from, the same image opened a second time.  @from
 * stays open for reading: it must not be written to any more.
 */
int blk_node_co_take_lock(struct blk_node *node, const struct blk_node *from, struct error *err);

/*
 * Open the backing file of @above a second time, as *@again, without locks and without its own
 * chain, which is the caller's to set before blk_node_co_start().  @flags: 0 or BLK_O_RDWR.  @opts:
 * backing_dir and l2_cache_size count, as when the chain was opened.  -ESTALE where another file
 * has the name now.  Coroutine; yields.
 */
int blk_node_co_open_again(struct blk_node **again, const struct blk_node *above,
			   unsigned int flags, const struct blk_open_opts *opts, struct error *err);

/* Make @node, whose chain is set, ready for requests.  Coroutine; yields. */
int blk_node_co_start(struct blk_node *node, struct error *err);

/* Give up the locks of an image open for writing, but for those of a backing file.  Yields. */
void blk_node_co_lock_as_backing(struct blk_node *node);

/* Like blk_driver_find(), with an error line. */
int blk_driver_get(const char *name, const struct blk_driver **driver, struct error *err);

/* Return the name of @format to store in an image, where a protocol's name stands for raw. */
const char *blk_stored_format(const char *format);

/* Prepend the file's name to the error line, unless it is there already. */
void blk_error_name_file(struct error *err, const char *filename);

/*
 * Requests as a driver gets them: inside the node, of bounded length, and
 * with the caller in node->inflight.
 */

/*
 * Write zeroes with the driver's co_pwrite_zeroes(), else as data.  @flags: BLK_REQ_MAY_UNMAP,
 * BLK_REQ_POPULATE.
 */
int blk_co_do_write_zeroes(struct blk_node *node, uint64_t offset, uint64_t bytes,
			   unsigned int flags);

#endif
