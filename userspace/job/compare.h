/* SPDX-License-Identifier: GPL-2.0 */
/* Comparing: find the first difference of two images. */
#ifndef QEDBLK_JOB_COMPARE_H
#define QEDBLK_JOB_COMPARE_H

#include "block/node.h"
#include "job/pieces.h"

enum compare_what {
	COMPARE_NOTHING, /* no difference and no failure */
	COMPARE_CONTENT, /* the content of the sector at @offset differs */
	COMPARE_STATUS, /* the status differs from @offset on */
	COMPARE_NO_STATUS, /* the status of @side at @offset cannot be looked up */
	COMPARE_NO_READ, /* @side cannot be read at @offset */
};

/* The difference or failure at the lowest offset. */
struct compare_finding {
	enum compare_what what;
	uint64_t offset; /* bytes */
	unsigned int side; /* index of the image */
	int error; /* negative errno of a failure */
};

struct compare_opts {
	struct blk_node *sides[2];
	bool strict; /* the status must be equal, too: zero or not, allocated or not */
	uint64_t start, end; /* the range to compare, bytes; beyond its end an image is zero */
	uint64_t total; /* of the images, for @progress, bytes */
	pieces_progress_fn *progress; /* or NULL */
};

/*
 * Compare a range of two images, and fill @finding. Coroutine; yields. Returns 0, or a
 * negative errno with an error line when the work itself could not be done.
 */
int compare_co_run(const struct compare_opts *opts, struct compare_finding *finding,
		   struct error *err);

#endif
