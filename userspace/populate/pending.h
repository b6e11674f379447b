/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A sparse set of small numbers (clusters), one bit each: any thread adds
 * without a lock, one thread takes out.  Memory is allocated where there are
 * members, a page per 32768 neighbours.
 */
#ifndef QEDBLK_BLOCK_PENDING_H
#define QEDBLK_BLOCK_PENDING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pending_set {
	uint64_t count; /* members are below this */
	_Atomic uint64_t *words;
	_Atomic uint64_t *pages; /* a bit for each page of @words that may have members */
	size_t bytes; /* of both mappings together */
	uint64_t next; /* where the taking thread continues; its own */
};

/* Make an empty set of numbers below @count.  Returns 0 or -ENOMEM.  Takes address space only. */
int pending_init(struct pending_set *set, uint64_t count);
void pending_destroy(struct pending_set *set);

/* Add @n; return true if it is new.  Any thread. */
bool pending_add(struct pending_set *set, uint64_t n);

/* Is @n a member now?  Any thread. */
bool pending_has(const struct pending_set *set, uint64_t n);

/*
 * Take out the next run of neighbours, at most @max, upwards from the last one
 * taken and wrapping around at the end.  *@start is its first member; returns its
 * length, 0 when there are no members.  Both functions are for one thread only.
 */
uint64_t pending_take(struct pending_set *set, uint64_t max, uint64_t *start);
bool pending_empty(struct pending_set *set);

#endif
