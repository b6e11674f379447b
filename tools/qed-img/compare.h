/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Comparing images: what qed-img compare does once its files are open.
 */
#ifndef QEDBLK_QED_IMG_COMPARE_H
#define QEDBLK_QED_IMG_COMPARE_H

#include <stdbool.h>

#include "block/node.h"

/* Exit statuses, as scripts know them. */
enum compare_status {
	COMPARE_SAME = 0,
	COMPARE_DIFFERENT = 1,
	COMPARE_FAILED = 1, /* the command line, too */
	COMPARE_NO_OPEN = 2,
	COMPARE_NO_MAP = 3,
	COMPARE_NO_READ = 4,
};

struct compare_side {
	const char *name; /* as typed */
	struct blk_node *node;
};

/*
 * Compare both images, tell the result (unless @quiet) and progress.  @strict: sizes and what
 * is allocated must be the same, too.  Coroutine.  Returns enum compare_status.
 */
int compare_co_run(const struct compare_side sides[2], bool strict, bool quiet);

#endif
