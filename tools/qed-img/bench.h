/* SPDX-License-Identifier: GPL-2.0 */
/* The requests of qed-img bench to one open image. */
#ifndef QEDBLK_QED_IMG_BENCH_H
#define QEDBLK_QED_IMG_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"

struct bench_job {
	struct blk_node *node;
	bool write;
	unsigned int write_flags; /* BLK_REQ_FUA, or 0 */
	unsigned int count; /* total number of requests */
	unsigned int depth; /* requests in flight; not 0 */
	uint64_t bytes; /* bytes of each request */
	uint64_t offset; /* of the first one, bytes */
	uint64_t step; /* from one to the next, bytes; wraps at the image's end */
	uint8_t pattern; /* value of the bytes written */
	unsigned int flush_interval; /* requests between two flushes; 0: no flush */
	bool drain; /* drain before each flush */
};

/*
 * Send the requests and wait for the last. Coroutine; yields. Sets *@seconds to the
 * time taken. Returns 0, or the negative errno of the first request that failed, after
 * which no more are sent.
 */
int bench_co_run(const struct bench_job *job, double *seconds);

#endif
