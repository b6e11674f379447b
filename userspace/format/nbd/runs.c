// SPDX-License-Identifier: GPL-2.0
/*
 * Runs of data and zeroes, and the cache of them; no I/O.
 */
#include <string.h>

#include "format/nbd/runs.h"
#include "util/units.h"

void nbd_runs_init(struct nbd_runs *runs, uint64_t start)
{
	runs->start = runs->end = start;
	runs->count = 0;
}

bool nbd_runs_add(struct nbd_runs *runs, uint64_t bytes, bool zero, uint64_t limit)
{
	if (runs->end >= limit || !bytes)
		return false;
	bytes = min_u64(bytes, limit - runs->end);
	if (!runs->count || runs->run[runs->count - 1].zero != zero) {
		if (runs->count == NBD_MAX_RUNS)
			return false;
		runs->run[runs->count].bytes = 0;
		runs->run[runs->count++].zero = zero;
	}
	runs->run[runs->count - 1].bytes += bytes;
	runs->end += bytes;
	return true;
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
	answers->next = 0;
	for (unsigned int i = 0; i < NBD_ANSWERS; i++)
		nbd_runs_init(&answers->answer[i], 0);
}

void nbd_answers_destroy(struct nbd_answers *answers)
{
	pthread_mutex_destroy(&answers->mutex);
}

void nbd_answers_keep(struct nbd_answers *answers, const struct nbd_runs *runs)
{
	struct nbd_runs *to;

	pthread_mutex_lock(&answers->mutex);
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
	for (unsigned int i = 0; i < NBD_ANSWERS; i++)
		nbd_runs_init(&answers->answer[i], 0);
	pthread_mutex_unlock(&answers->mutex);
}
