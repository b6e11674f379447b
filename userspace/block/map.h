/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the bytes of a range are: the first question of every request.
 */
#ifndef QEDBLK_BLOCK_MAP_H
#define QEDBLK_BLOCK_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct blk_file;
struct blk_node;

enum blk_map_kind {
	BLK_MAP_ASK, /* not known without yielding, or not directly accessible */
	BLK_MAP_DATA, /* at @file + @file_offset */
	BLK_MAP_ZERO, /* reads as zeroes, by this node's tables */
	BLK_MAP_BACKING, /* unallocated: the backing file's bytes, zeroes without one */
	BLK_MAP_NOWHERE, /* in a file that keeps nothing: reads and writes are no-ops */
};

struct blk_map {
	enum blk_map_kind kind;
	uint64_t bytes; /* length of the run of this kind, from the requested offset */
	/*
	 * DATA: the file, or NULL if the bytes are not unchanged in a local file.  Other kinds: the
	 * file in which space is reserved for the run, or NULL.
	 */
	struct blk_file *file;
	uint64_t file_offset; /* bytes, where there is a file */
};

/*
 * The same through the whole chain: what a reader sees, and which node determines it.  Beyond
 * the end of a backing file the kind is ZERO, and the node that backing file.
 */
struct blk_status {
	enum blk_map_kind kind; /* DATA, ZERO, or BACKING where no node of the chain has it */
	/*
	 * A reader sees zeroes: a node says so, or the run is unallocated and there is no backing
	 * file below it, or one that ends before, or it is DATA in a hole of the file.  @kind alone
	 * does not tell.
	 */
	bool zero;
	uint64_t bytes;
	unsigned int depth; /* 0 is the top node */
	struct blk_node *node; /* the node that determines the kind */
	struct blk_file *file;
	uint64_t file_offset;
};

#endif
