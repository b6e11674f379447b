/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A server's answers about holes: runs of data and of zeroes, and a small cache
 * of such answers, so that a walk along an export sends one query for many runs.
 */
#ifndef QEDBLK_FILE_NBD_RUNS_H
#define QEDBLK_FILE_NBD_RUNS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* The most runs of an answer; what a server sends beyond that is queried again when needed. */
#define NBD_MAX_RUNS 256
/* Runs are whole blocks of this many bytes, or of the server's block size if that is larger. */
#define NBD_RUN_BLOCK 4096u
/*
 * Bytes.  An answer covers at least this much, so that a short answer causes no second query: what
 * the server leaves out of it is data.
 */
#define NBD_LEAST_ANSWER (64u << 10)
/* Answers in the cache. */
#define NBD_ANSWERS 8

/* Consecutive runs from @start on; neighbours differ in kind.  All offsets are in bytes. */
struct nbd_runs {
	uint64_t start, end; /* multiples of @block, or @limit */
	uint64_t told; /* end of the answer so far; may be inside a block, and beyond @end */
	uint64_t limit; /* end of the queried range */
	uint32_t block;
	bool answered; /* the server sent an answer */
	unsigned int count;
	struct {
		uint64_t bytes;
		bool zero; /* reads as zeroes; else it has to be read */
	} run[NBD_MAX_RUNS];
};

/*
 * Begin an empty answer for the bytes from @start, a multiple of @block, to @limit.  @block is a
 * power of two.
 */
void nbd_runs_init(struct nbd_runs *runs, uint64_t start, uint64_t limit, uint32_t block);
/*
 * Append the next @bytes of the server's answer.  A block that is not all zeroes by the answer is
 * data.  False if there is no room, @limit was reached before, or @bytes is 0: the rest of the
 * answer is then ignored.
 */
bool nbd_runs_add(struct nbd_runs *runs, uint64_t bytes, bool zero);
/* End the answer.  If it is shorter than NBD_LEAST_ANSWER, the rest up to that is data. */
void nbd_runs_finish(struct nbd_runs *runs);
/*
 * Look up @offset: *@bytes is the rest of its run from @offset on.  False if the
 * answer does not cover @offset.
 */
bool nbd_runs_find(const struct nbd_runs *runs, uint64_t offset, uint64_t *bytes, bool *zero);

/* A cache of answers; a new one replaces the oldest.  Any thread. */
struct nbd_answers {
	pthread_mutex_t mutex; /* protects all fields; held for a look-up or a copy */
	unsigned int forgotten; /* the number of calls of nbd_answers_forget() */
	unsigned int next; /* index of the answer to replace next */
	struct nbd_runs answer[NBD_ANSWERS];
};

void nbd_answers_init(struct nbd_answers *answers);
void nbd_answers_destroy(struct nbd_answers *answers);
/* Return the current era, a number that nbd_answers_forget() changes. */
unsigned int nbd_answers_era(struct nbd_answers *answers);
/*
 * Keep a copy of @runs, which were queried in @era.  Does nothing if the era has changed: the runs
 * may come from another server.
 */
void nbd_answers_keep(struct nbd_answers *answers, const struct nbd_runs *runs, unsigned int era);
/* As nbd_runs_find(), in all answers of the cache. */
bool nbd_answers_find(struct nbd_answers *answers, uint64_t offset, uint64_t *bytes, bool *zero);
/* Drop all answers: after a reconnection the server may have other ones. */
void nbd_answers_forget(struct nbd_answers *answers);

#endif
