/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Converting: copy images, one after the other, into a new one or over an existing one.
 */
#ifndef QEDBLK_JOB_CONVERT_H
#define QEDBLK_JOB_CONVERT_H

#include "block/node.h"
#include "job/pieces.h"

/* The default of min_sparse, bytes. */
#define CONVERT_DEFAULT_SPARSE 4096

/* A source; several are concatenated. */
struct convert_source {
	struct blk_node *node;
	uint64_t offset; /* start of the range to copy, in the source, bytes */
	uint64_t start, size; /* in the target, bytes */
};

struct convert_opts {
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
	unsigned int workers; /* as in struct pieces */
	bool any_order; /* write in any order; else by offset */
	bool salvage; /* write zeroes for unreadable sectors */
	unsigned int write_flags; /* BLK_REQ_FUA, or 0 */
	bool flush; /* flush at the end, and write out dirty pages during the copy */
	uint64_t speed; /* bytes a second, 0: no limit */
	/* Called after each piece, with the data copied and all of it, in bytes; or NULL. */
	pieces_progress_fn *progress;
	/* With @salvage: called for each sector of a source that cannot be read; or NULL. */
	void (*unreadable)(uint64_t offset);
};

/*
 * Copy. The nodes stay the caller's. Coroutine; yields. Returns 0 when all is written,
 * and durable if @opts->flush, or a negative errno with an error line.
 */
int convert_co_copy(const struct convert_opts *opts, struct error *err);

#endif
