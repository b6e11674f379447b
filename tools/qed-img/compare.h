/* SPDX-License-Identifier: GPL-2.0 */
/* The comparison of qed-img compare, on open images. */
#ifndef QEDBLK_QED_IMG_COMPARE_H
#define QEDBLK_QED_IMG_COMPARE_H

#include <stdbool.h>

#include "block/node.h"

/* Exit statuses, as in qemu-img. */
enum compare_status {
	COMPARE_SAME = 0,
	COMPARE_DIFFERENT = 1,
	COMPARE_FAILED = 1, /* also for errors in the command line */
	COMPARE_NO_OPEN = 2,
	COMPARE_NO_MAP = 3,
	COMPARE_NO_READ = 4,
};

struct compare_side {
	const char *name; /* as typed */
	struct blk_node *node;
};

/*
 * Compare both images; print the result (unless @quiet) and the progress. @strict:
 * sizes and allocation must be equal, too. Coroutine; yields. Returns enum
 * compare_status.
 */
int compare_co_run(const struct compare_side sides[2], bool strict, bool quiet);

#endif
