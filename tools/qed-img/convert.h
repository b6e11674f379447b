/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copying images: what qed-img convert does once its files are open.
 */
#ifndef QEDBLK_QED_IMG_CONVERT_H
#define QEDBLK_QED_IMG_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block/node.h"

/* How many bytes must be zero to be left out, by default. */
#define CONVERT_DEFAULT_SPARSE 4096

/* Coroutines that copy at once: by default, and at most. */
#define CONVERT_DEFAULT_COROUTINES 8
#define CONVERT_MAX_COROUTINES	   16

/* The largest piece that is copied at once, and the largest -S.  Bytes. */
#define CONVERT_PIECE	   (2 * 1024 * 1024)
#define CONVERT_MAX_SPARSE (16 * 1024 * 1024)

/* Sources are put one behind the other. */
struct convert_source {
	struct blk_node *node;
	uint64_t offset; /* of what is copied, in the source, bytes */
	uint64_t start, size; /* in the target, bytes */
};

struct convert_job {
	struct convert_source *sources;
	size_t source_count;
	uint64_t total; /* bytes */
	struct blk_node *target;
	bool target_is_new; /* was made for this, as incomplete */
	/* The user says that all of it reads as zeroes; else the target is asked. */
	bool target_is_zero;
	/* What the source's top image has not is in the target's backing file, up to its end. */
	bool target_has_backing;
	uint64_t min_sparse; /* bytes that must be zero to be left out; 0: write all */
	unsigned int coroutines;
	bool any_order; /* of writes; else by offset */
	bool salvage; /* what cannot be read becomes zeroes */
	unsigned int write_flags; /* BLK_REQ_FUA, or 0 */
	bool flush; /* at the end, and begun before */
	uint64_t rate; /* bytes a second, 0: no limit */
};

/*
 * Copy.  Coroutine; tells progress.  Returns 0, or a negative errno after a
 * complaint.
 */
int convert_co_copy(const struct convert_job *job);

#endif
