/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Many requests at once to one image: what qed-img bench does once it is open.
 */
#ifndef QEDBLK_QED_IMG_BENCH_H
#define QEDBLK_QED_IMG_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"

struct bench_job {
	struct blk_node *node;
	bool write;
	unsigned int write_flags; /* BLK_REQ_FUA, or 0 */
	unsigned int count; /* requests in all */
	unsigned int depth; /* requests at once; not 0 */
	uint64_t bytes; /* of a request */
	uint64_t offset; /* of the first one, bytes */
	uint64_t step; /* from one to the next, bytes; past the image's end it begins anew */
	uint8_t pattern; /* what is written */
	unsigned int flush_interval; /* requests between two flushes; 0: no flush */
	bool drain; /* nothing else is in flight while a flush is */
};

/*
 * Send the requests and wait for the last.  Coroutine.  *@seconds is the time
 * it took.  Returns 0, or the negative errno of the first request that failed,
 * after which no further ones were sent.
 */
int bench_co_run(const struct bench_job *job, double *seconds);

#endif
