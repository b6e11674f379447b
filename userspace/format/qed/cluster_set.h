/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A sparse set of cluster numbers: bitmap pages that exist where there are
 * members.  One bit a cluster in touched regions, nothing elsewhere, so that
 * the clusters of a 16 TiB file fit where a few extents would.
 *
 * Not synchronised: the owner's lock protects it.
 */
#ifndef QEDBLK_FORMAT_QED_CLUSTER_SET_H
#define QEDBLK_FORMAT_QED_CLUSTER_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLUSTER_SET_PAGE_BITS 32768u /* clusters a page: 4 KiB of bits */
/* Bounds on memory, whatever an image claims: 256 MiB of pages, 128 MiB of pointers to them. */
#define CLUSTER_SET_MAX_PAGES  (1u << 16)
#define CLUSTER_SET_MAX_NUMBER (((uint64_t)CLUSTER_SET_PAGE_BITS << 24) - 1)

struct cluster_set_page {
	uint32_t members;
	uint64_t bits[CLUSTER_SET_PAGE_BITS / 64];
};

struct cluster_set {
	struct cluster_set_page **pages;
	size_t nr_pages; /* pointers in @pages */
	size_t live_pages; /* of them that are not NULL */
	uint64_t members;
	uint64_t lowest_hint; /* no member lies below it */
};

void cluster_set_init(struct cluster_set *set);
void cluster_set_destroy(struct cluster_set *set);

bool cluster_set_has(const struct cluster_set *set, uint64_t cluster);
/* Add a run.  Returns 0, or -ENOMEM or -EFBIG (over the bounds) with nothing added. */
int cluster_set_add(struct cluster_set *set, uint64_t start, uint64_t count);
/* Remove a run, members or not. */
void cluster_set_remove(struct cluster_set *set, uint64_t start, uint64_t count);

/*
 * The first run at or after @from: its start in *@start, its length, at most
 * @max, as the result; 0 when there is none.
 */
uint64_t cluster_set_next_run(const struct cluster_set *set, uint64_t from, uint64_t max,
			      uint64_t *start);

#endif
