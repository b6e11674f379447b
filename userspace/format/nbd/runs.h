/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a server said about holes: runs of data and of zeroes, and a small cache
 * of such answers, so that a walk along an export asks once for many runs.
 */
#ifndef QEDBLK_FORMAT_NBD_RUNS_H
#define QEDBLK_FORMAT_NBD_RUNS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Runs that one answer can have; what a server says beyond that is asked again when needed. */
#define NBD_MAX_RUNS 256
/* Answers that are remembered. */
#define NBD_ANSWERS 8

/* Runs one after the other from @start on; neighbours differ. */
struct nbd_runs {
	uint64_t start, end; /* bytes */
	unsigned int count;
	struct {
		uint64_t bytes;
		bool zero; /* reads as zeroes; else it has to be read */
	} run[NBD_MAX_RUNS];
};

void nbd_runs_init(struct nbd_runs *runs, uint64_t start);
/*
 * Append a run of @bytes that begins at runs->end and is cut to end at @limit.
 * False if it had no room, or nothing of it lies before @limit.
 */
bool nbd_runs_add(struct nbd_runs *runs, uint64_t bytes, bool zero, uint64_t limit);
/*
 * Look @offset up: *@bytes is how long what is there goes on, at most to the
 * end of the answer.  False if the answer does not reach @offset.
 */
bool nbd_runs_find(const struct nbd_runs *runs, uint64_t offset, uint64_t *bytes, bool *zero);

/* Answers, the oldest of which makes room for a new one.  Any thread. */
struct nbd_answers {
	pthread_mutex_t mutex; /* held for a look-up or a copy */
	unsigned int next; /* the one that is replaced next */
	struct nbd_runs answer[NBD_ANSWERS];
};

void nbd_answers_init(struct nbd_answers *answers);
void nbd_answers_destroy(struct nbd_answers *answers);
void nbd_answers_keep(struct nbd_answers *answers, const struct nbd_runs *runs);
/* As nbd_runs_find(), in all that are kept. */
bool nbd_answers_find(struct nbd_answers *answers, uint64_t offset, uint64_t *bytes, bool *zero);
/* Forget all of them: another server may know better. */
void nbd_answers_forget(struct nbd_answers *answers);

#endif
