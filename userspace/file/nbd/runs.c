// SPDX-License-Identifier: GPL-2.0
/*
 * Runs of data and zeroes, and their cache; no I/O.
 */
#include <string.h>

#include "file/nbd/runs.h"
#include "util/units.h"

void nbd_runs_init(struct nbd_runs *runs, uint64_t start, uint64_t limit, uint32_t block)
{
	runs->start = runs->end = runs->told = start;
	runs->limit = limit;
	runs->block = block;
	runs->answered = false;
	runs->count = 0;
}

/* Extend the runs up to @end, as zeroes or data.  Does nothing if they reach @end already. */
static bool extend(struct nbd_runs *runs, uint64_t end, bool zero)
{
	if (end <= runs->end)
		return true;
	if (!runs->count || runs->run[runs->count - 1].zero != zero) {
		if (runs->count == NBD_MAX_RUNS)
			return false;
		runs->run[runs->count].bytes = 0;
		runs->run[runs->count++].zero = zero;
	}
	runs->run[runs->count - 1].bytes += end - runs->end;
	runs->end = end;
	return true;
}

/*
 * Where @told is beyond @end, the bytes between are zeroes, less than a block, and data after them
 * makes the whole block, which begins at @end, data.  Where @told is before @end, the block of
 * @told is data, whatever follows in it.
 */
bool nbd_runs_add(struct nbd_runs *runs, uint64_t bytes, bool zero)
{
	uint64_t told;

	if (runs->told >= runs->limit || !bytes)
		return false;
	told = runs->told + min_u64(bytes, runs->limit - runs->told);
	if (told == runs->limit) {
		if (!extend(runs, told, zero))
			return false;
	} else if (zero) {
		if (!extend(runs, round_down(told, runs->block), true))
			return false;
	} else if (!extend(runs, min_u64(round_up(told, runs->block), runs->limit), false)) {
		return false;
	}
	runs->told = told;
	return true;
}

void nbd_runs_finish(struct nbd_runs *runs)
{
	uint64_t least = min_u64(runs->start + NBD_LEAST_ANSWER, runs->limit);

	/* There is room: a full list of runs is longer than NBD_LEAST_ANSWER. */
	if (runs->end < least)
		extend(runs, least, false);
	runs->told = runs->end;
}

bool nbd_runs_find(const struct nbd_runs *runs, uint64_t offset, uint64_t *bytes, bool *zero)
{
	uint64_t end = runs->start;

	if (offset < runs->start || offset >= runs->end)
		return false;
	for (unsigned int i = 0; i < runs->count; i++) {
		end += runs->run[i].bytes;
		if (offset < end) {
			*bytes = end - offset;
			*zero = runs->run[i].zero;
			return true;
		}
	}
	return false;
}

void nbd_answers_init(struct nbd_answers *answers)
{
	pthread_mutex_init(&answers->mutex, NULL);
	answers->next = answers->forgotten = 0;
	for (unsigned int i = 0; i < NBD_ANSWERS; i++)
		nbd_runs_init(&answers->answer[i], 0, 0, 1);
}

void nbd_answers_destroy(struct nbd_answers *answers)
{
	pthread_mutex_destroy(&answers->mutex);
}

unsigned int nbd_answers_era(struct nbd_answers *answers)
{
	unsigned int era;

	pthread_mutex_lock(&answers->mutex);
	era = answers->forgotten;
	pthread_mutex_unlock(&answers->mutex);
	return era;
}

void nbd_answers_keep(struct nbd_answers *answers, const struct nbd_runs *runs, unsigned int era)
{
	struct nbd_runs *to;

	pthread_mutex_lock(&answers->mutex);
	if (era != answers->forgotten) {
		pthread_mutex_unlock(&answers->mutex);
		return;
	}
	to = &answers->answer[answers->next];
	answers->next = (answers->next + 1) % NBD_ANSWERS;
	to->start = runs->start;
	to->end = runs->end;
	to->count = runs->count;
	memcpy(to->run, runs->run, runs->count * sizeof(runs->run[0]));
	pthread_mutex_unlock(&answers->mutex);
}

bool nbd_answers_find(struct nbd_answers *answers, uint64_t offset, uint64_t *bytes, bool *zero)
{
	bool found = false;

	pthread_mutex_lock(&answers->mutex);
	for (unsigned int i = 0; i < NBD_ANSWERS && !found; i++)
		found = nbd_runs_find(&answers->answer[i], offset, bytes, zero);
	pthread_mutex_unlock(&answers->mutex);
	return found;
}

void nbd_answers_forget(struct nbd_answers *answers)
{
	pthread_mutex_lock(&answers->mutex);
	answers->forgotten++;
	for (unsigned int i = 0; i < NBD_ANSWERS; i++)
		nbd_runs_init(&answers->answer[i], 0, 0, 1);
	pthread_mutex_unlock(&answers->mutex);
}
