/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The engine of all jobs: work on an image, cut into pieces. Several coroutines of one
 * loop (workers) each take one piece after another.
 *
 * One worker at a time cuts, so that co_cut() may remember what it learnt about the
 * image. Pieces are numbered in the order of cutting. They are done concurrently; a
 * second step, co_end(), can follow in that order. When pieces fail, the error is that
 * of the lowest number, whichever failed first: no more are cut, those before it go on
 * to their end, those after it do not begin their second step.
 *
 * A struct job controls the work: its speed limit, and pausing and cancelling, which take
 * effect between pieces.
 */
#ifndef QEDBLK_JOB_PIECES_H
#define QEDBLK_JOB_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aio/lock.h"
#include "job/job.h"
#include "util/error.h"

/* The number of workers by default and at most; the most that one reads at once, in bytes. */
#define PIECES_WORKERS	   8
#define PIECES_MAX_WORKERS 16
#define PIECES_BUF_BYTES   (2ULL << 20)

/* Kind 0 of a piece: nothing has to be done there. It gets no number. */
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
	struct job *job; /* whose control the work obeys; NULL: it has @speed and no other */
	uint64_t speed; /* bytes a second, 0: no limit; without @job */
	uint64_t start, end; /* bytes: [start, end) is cut */
	uint64_t total; /* bytes, for @progress, where [0, @end) is a part of it; 0: @end */
	size_t buffers; /* contiguous buffers of PIECES_BUF_BYTES each, per worker */
	unsigned int workers; /* at most PIECES_MAX_WORKERS; 0: PIECES_WORKERS */
	bool in_order; /* co_end() of a piece follows that of all before it */
	pieces_progress_fn *progress; /* or NULL */
	/*
	 * Cut the next piece: set the fields of @piece. It begins where the last one ended
	 * unless its offset is changed. 0 bytes: there is none, also before @end. May yield.
	 */
	int (*co_cut)(struct pieces *p, struct piece *piece, struct error *err);
	/* Do a piece. @buf is the worker's buffers. May yield. */
	int (*co_do)(struct pieces *p, const struct piece *piece, uint8_t *buf, struct error *err);
	/* Optional: the second step of a piece. May yield. */
	int (*co_end)(struct pieces *p, const struct piece *piece, uint8_t *buf, struct error *err);
	/*
	 * Optional: is other work on the image waiting? While it returns true, only one
	 * worker takes pieces, and after each it rests for as long as the piece took.
	 */
	bool (*is_busy)(struct pieces *p);

	/* Private to pieces.c. */
	struct co_mutex cutting; /* protects @next; held while a worker cuts */
	uint64_t next; /* bytes: the end of the last piece */
	bool all_cut;
	uint64_t number; /* of the last piece */
	struct piece_worker *crew;
	unsigned int running; /* workers, and the owner while it starts them */
	struct co *owner; /* yields until the last worker ends */
	_Atomic uint64_t done; /* bytes; may be read by any thread */
	uint64_t failed; /* the lowest number that failed; UINT64_MAX: none */
	int ret; /* its error, with its line */
	struct error error;
};

/*
 * Work until everything is done or a piece fails. Coroutine; yields. Returns 0, or a
 * negative errno with an error line: that of the first piece, in the order of cutting,
 * that failed; -ECANCELED when p->job was cancelled.
 */
int pieces_co_run(struct pieces *p, struct error *err);

/*
 * Return the piece with the lowest number of those in work, or NULL: all before it are
 * done. For the functions of the owner.
 */
const struct piece *pieces_oldest(const struct pieces *p);

#endif
