/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Work on a whole image, cut into pieces: several coroutines (workers) of one loop
 * each take one piece after another.
 *
 * One worker at a time cuts, in order, so that co_cut() may remember what it learnt
 * about the image. The pieces are done concurrently, in any order.
 */
#ifndef QEDBLK_JOB_PIECES_H
#define QEDBLK_JOB_PIECES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aio/lock.h"
#include "util/error.h"

/* The number of workers, and the most that one reads or writes at once, in bytes. */
#define PIECES_WORKERS	 8
#define PIECES_BUF_BYTES (2ULL << 20)

/* Kind 0 of a piece: nothing has to be done there. */
#define PIECE_NOTHING 0

/* [offset, offset + bytes). */
struct piece {
	uint64_t offset, bytes;
	int kind; /* defined by the owner, or PIECE_NOTHING */
	bool counts; /* against the speed limit */
};

/* Called after each piece: @done of @total bytes are done. */
typedef void pieces_progress_fn(uint64_t done, uint64_t total);

struct pieces {
	/* Set by the owner, which embeds this structure in its own. */
	uint64_t end; /* bytes: [0, end) is cut */
	size_t buffers; /* contiguous buffers of PIECES_BUF_BYTES each, per worker */
	uint64_t speed; /* bytes a second, 0: no limit */
	pieces_progress_fn *progress; /* or NULL */
	/* Cut the piece at piece->offset: set its other fields. May yield. */
	int (*co_cut)(struct pieces *p, struct piece *piece, struct error *err);
	/* Do a piece. @buf is the worker's buffers. May yield. */
	int (*co_do)(struct pieces *p, const struct piece *piece, uint8_t *buf, struct error *err);

	/* Private to pieces.c. */
	struct co_mutex cutting; /* protects @next */
	uint64_t next; /* start of the next piece */
	pthread_mutex_t mutex; /* protects the fields below */
	struct co_queue ended; /* the owner waits for the last worker */
	unsigned int workers;
	uint64_t done; /* bytes */
	int ret; /* the first error; its line is in @err */
	struct error *err;
	uint64_t started; /* ns */
	uint64_t counted; /* bytes against the speed */
};

/*
 * Work until everything is done or a piece fails. Coroutine; yields. Returns 0, or the
 * first negative errno with its error line.
 */
int pieces_co_run(struct pieces *p, struct error *err);

#endif
