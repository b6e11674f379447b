/* SPDX-License-Identifier: GPL-2.0 */
/* The copying of qed-img convert, on open images. */
#ifndef QEDBLK_QED_IMG_CONVERT_H
#define QEDBLK_QED_IMG_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block/node.h"

/* The default of min_sparse, bytes. */
#define CONVERT_DEFAULT_SPARSE 4096

/* The default and the maximum of concurrent coroutines. */
#define CONVERT_DEFAULT_COROUTINES 8
#define CONVERT_MAX_COROUTINES	   16

/* The largest piece copied at once, and the largest -S, in bytes. */
#define CONVERT_PIECE	   (2 * 1024 * 1024)
#define CONVERT_MAX_SPARSE (16 * 1024 * 1024)

/* A source; several are concatenated. */
struct convert_source {
	struct blk_node *node;
	uint64_t offset; /* start of the range to copy, in the source, bytes */
	uint64_t start, size; /* in the target, bytes */
};

struct convert_job {
	struct convert_source *sources;
	size_t source_count;
	uint64_t total; /* bytes */
	struct blk_node *target;
	bool target_is_new; /* created for this copy, with @incomplete set */
	/* The user says that the target reads as zeroes; else its status is looked up. */
	bool target_is_zero;
	/*
	 * The target's backing file has what the source's top image does not, up to that file's
	 * end.
	 */
	bool target_has_backing;
	uint64_t min_sparse; /* the shortest run of zeroes to skip, bytes; 0: write everything */
	unsigned int coroutines;
	bool any_order; /* write in any order; else by offset */
	bool salvage; /* write zeroes for unreadable sectors */
	unsigned int write_flags; /* BLK_REQ_FUA, or 0 */
	bool flush; /* flush at the end, and write out dirty pages during the copy */
	uint64_t rate; /* bytes a second, 0: no limit */
};

/*
 * Copy, and report progress. Coroutine; yields. Returns 0, or a negative errno after
 * an error message.
 */
int convert_co_copy(const struct convert_job *job);

#endif
