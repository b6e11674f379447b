/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Work on a whole image, cut into pieces: several coroutines of one loop take one
 * piece after the other.
 *
 * Cutting is done by one at a time and in order, so that it may remember what
 * it learnt of the image; the pieces are done side by side, in any order.
 */
#ifndef QEDBLK_JOB_PIECES_H
#define QEDBLK_JOB_PIECES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aio/lock.h"
#include "util/error.h"

/* Coroutines that work at once, and the most that one reads or writes at once, bytes. */
#define PIECES_WORKERS	 8
#define PIECES_BUF_BYTES (2ULL << 20)

/* Kind 0 of a piece: nothing has to be done there. */
#define PIECE_NOTHING 0

/* [offset, offset + bytes). */
struct piece {
	uint64_t offset, bytes;
	int kind; /* the owner's, or PIECE_NOTHING */
	bool counts; /* for the speed */
};

/* Called now and then, and at the end: @done of @total bytes are over. */
typedef void pieces_progress_fn(uint64_t done, uint64_t total);

struct pieces {
	/* Set by the owner, who has this inside of something larger. */
	uint64_t end; /* bytes: [0, end) is cut */
	size_t buffers; /* of PIECES_BUF_BYTES each, one behind the other, that a worker has */
	uint64_t speed; /* bytes a second, 0: no limit */
	pieces_progress_fn *progress; /* or NULL */
	/* The piece at piece->offset: set the rest.  Parks. */
	int (*co_cut)(struct pieces *p, struct piece *piece, struct error *err);
	/* Do it.  @buf is the worker's.  Parks. */
	int (*co_do)(struct pieces *p, const struct piece *piece, uint8_t *buf, struct error *err);

	/* Of pieces.c. */
	struct co_mutex cutting; /* of @next */
	uint64_t next; /* start of the next piece */
	pthread_mutex_t mutex; /* of what follows */
	struct co_queue ended; /* the owner waits for the last worker */
	unsigned int workers;
	uint64_t done; /* bytes */
	int ret; /* the first error; its line is in @err */
	struct error *err;
	uint64_t started; /* ns */
	uint64_t counted; /* bytes against the speed */
};

/* Work until all is done, or something fails: 0 or the first error, with its line.  Coroutine. */
int pieces_co_run(struct pieces *p, struct error *err);

#endif
