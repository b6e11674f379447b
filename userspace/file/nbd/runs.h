/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a server said about holes: runs of data and of zeroes, and a small cache
 * of such answers, so that a walk along an export asks once for many runs.
 */
#ifndef QEDBLK_FILE_NBD_RUNS_H
#define QEDBLK_FILE_NBD_RUNS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Runs that one answer can have; what a server says beyond that is asked again when needed. */
#define NBD_MAX_RUNS 256
/* Runs are whole blocks of this many bytes, or of the server's, where those are larger. */
#define NBD_RUN_BLOCK 4096u
/*
 * Less than this many bytes are not asked about twice: what an answer leaves out of them is data.
 */
#define NBD_LEAST_ANSWER (64u << 10)
/* Answers that are remembered. */
#define NBD_ANSWERS 8

/* Runs one after the other from @start on; neighbours differ.  All offsets are bytes. */
struct nbd_runs {
	uint64_t start, end; /* multiples of @block, or @limit */
	uint64_t told; /* where the server's answer is; may be inside of a block, and behind @end */
	uint64_t limit; /* end of what the answer is about */
	uint32_t block;
	bool answered; /* the server said something */
	unsigned int count;
	struct {
		uint64_t bytes;
		bool zero; /* reads as zeroes; else it has to be read */
	} run[NBD_MAX_RUNS];
};

/*
 * None yet of the bytes from @start, a multiple of @block, to @limit.  @block is a power of two.
 */
void nbd_runs_init(struct nbd_runs *runs, uint64_t start, uint64_t limit, uint32_t block);
/*
 * Take @bytes more of the server's answer.  A block of which it does not say that all of it reads
 * as zeroes is data.  False if there was no room, or @limit was reached before, or there are no
 * bytes: what else the server says is of no use then.
 */
bool nbd_runs_add(struct nbd_runs *runs, uint64_t bytes, bool zero);
/* The server says no more.  If it said too little, what is next to it is data. */
void nbd_runs_finish(struct nbd_runs *runs);
/*
 * Look @offset up: *@bytes is how long what is there goes on, at most to the
 * end of the answer.  False if the answer does not reach @offset.
 */
bool nbd_runs_find(const struct nbd_runs *runs, uint64_t offset, uint64_t *bytes, bool *zero);

/* Answers, the oldest of which makes room for a new one.  Any thread. */
struct nbd_answers {
	pthread_mutex_t mutex; /* held for a look-up or a copy */
	unsigned int forgotten; /* how often they were; guarded as all else by @mutex */
	unsigned int next; /* the one that is replaced next */
	struct nbd_runs answer[NBD_ANSWERS];
};

void nbd_answers_init(struct nbd_answers *answers);
void nbd_answers_destroy(struct nbd_answers *answers);
/* A number that nbd_answers_forget() changes. */
unsigned int nbd_answers_era(struct nbd_answers *answers);
/* Keep @runs, which were asked for in @era.  In a later one they may be another server's. */
void nbd_answers_keep(struct nbd_answers *answers, const struct nbd_runs *runs, unsigned int era);
/* As nbd_runs_find(), in all that are kept. */
bool nbd_answers_find(struct nbd_answers *answers, uint64_t offset, uint64_t *bytes, bool *zero);
/* Forget all of them: another server may know better. */
void nbd_answers_forget(struct nbd_answers *answers);

#endif
