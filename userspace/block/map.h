/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the bytes of a range are: the answer to the one question that every
 * request asks first.
 */
#ifndef QEDBLK_BLOCK_MAP_H
#define QEDBLK_BLOCK_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct blk_file;
struct blk_node;

enum blk_map_kind {
	BLK_MAP_ASK, /* not known without parking, or not directly accessible */
	BLK_MAP_DATA, /* at @file + @file_offset */
	BLK_MAP_ZERO, /* reads as zeroes, by this node's word */
	BLK_MAP_BACKING, /* not here: the backing file's bytes, else zeroes */
	BLK_MAP_NOWHERE, /* of a file that keeps nothing: nothing has to be done */
};

struct blk_map {
	enum blk_map_kind kind;
	uint64_t bytes; /* length of the run that is alike, from the offset asked for */
	/* DATA: where, or NULL if not in a local file as is.  Else a place kept for it, or NULL. */
	struct blk_file *file;
	uint64_t file_offset; /* bytes, where there is a file */
};

/*
 * The same through the whole chain: what a reader sees, and which node says so.  Where
 * a backing file is too short, that file says ZERO.
 */
struct blk_status {
	enum blk_map_kind kind; /* DATA, ZERO, or BACKING where no node of the chain has it */
	/*
	 * A reader sees zeroes: a node says so, or what is unallocated has no backing file below
	 * it, or one that ends before.  "Unallocated" alone does not tell.
	 */
	bool zero;
	uint64_t bytes;
	unsigned int depth; /* 0 is the top node */
	struct blk_node *node; /* the node that answered */
	struct blk_file *file;
	uint64_t file_offset;
};

#endif
