// SPDX-License-Identifier: GPL-2.0
/*
 * Track which bytes of a read the server has sent; no I/O.
 */
#include <string.h>

#include "file/nbd/chunks.h"

bool nbd_chunks_add(struct nbd_chunks *chunks, uint64_t start, uint64_t end, uint32_t limit)
{
	unsigned int at = chunks->count;
	bool joins_before, joins_next;

	if (start >= end || end > limit)
		return false;
	/* From the end: most servers send a read's pieces in order. */
	while (at && chunks->range[at - 1].start >= end)
		at--;
	if (at && chunks->range[at - 1].end > start)
		return false;
	joins_before = at && chunks->range[at - 1].end == start;
	joins_next = at < chunks->count && chunks->range[at].start == end;
	if (joins_before && joins_next) {
		chunks->range[at - 1].end = chunks->range[at].end;
		chunks->count--;
		memmove(&chunks->range[at], &chunks->range[at + 1],
			(chunks->count - at) * sizeof(chunks->range[0]));
	} else if (joins_before) {
		chunks->range[at - 1].end = (uint32_t)end;
	} else if (joins_next) {
		chunks->range[at].start = (uint32_t)start;
	} else {
		if (chunks->count == NBD_MAX_CHUNKS)
			return false;
		memmove(&chunks->range[at + 1], &chunks->range[at],
			(chunks->count - at) * sizeof(chunks->range[0]));
		chunks->range[at].start = (uint32_t)start;
		chunks->range[at].end = (uint32_t)end;
		chunks->count++;
	}
	return true;
}

uint32_t nbd_chunks_bytes(const struct nbd_chunks *chunks)
{
	uint32_t bytes = 0;

	for (unsigned int i = 0; i < chunks->count; i++)
		bytes += chunks->range[i].end - chunks->range[i].start;
	return bytes;
}
