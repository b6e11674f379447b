/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sets of cluster numbers.
 *
 * A cluster_set is sparse, in bitmap pages that exist only where there are members: one
 * bit per cluster in regions that have members, and no memory elsewhere, so that a set of
 * a 16 TiB file's clusters can be small.  A cluster_runs is a list of runs, in the order
 * in which they were added.
 *
 * Not synchronised: the owner's lock protects them.
 */
#ifndef QEDBLK_FORMAT_QED_CLUSTER_SET_H
#define QEDBLK_FORMAT_QED_CLUSTER_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLUSTER_SET_PAGE_BITS 32768u /* clusters per page: 4 KiB of bits */
/* Bounds on memory, even for a hostile image: 256 MiB of pages, 128 MiB of pointers to them. */
#define CLUSTER_SET_MAX_PAGES  (1u << 16)
#define CLUSTER_SET_MAX_NUMBER (((uint64_t)CLUSTER_SET_PAGE_BITS << 24) - 1)

struct cluster_set_page {
	uint32_t members;
	uint64_t bits[CLUSTER_SET_PAGE_BITS / 64];
};

struct cluster_set {
	struct cluster_set_page **pages;
	size_t nr_pages; /* pointers in @pages */
	size_t live_pages; /* pointers that are not NULL */
	uint64_t members;
	uint64_t lowest_hint; /* no member lies below it */
};

void cluster_set_init(struct cluster_set *set);
void cluster_set_destroy(struct cluster_set *set);

bool cluster_set_has(const struct cluster_set *set, uint64_t cluster);
/* Add a run.  Returns 0, or -ENOMEM or -EFBIG (over the bounds) with nothing added. */
int cluster_set_add(struct cluster_set *set, uint64_t start, uint64_t count);
/* Remove a run.  Its clusters need not be members. */
void cluster_set_remove(struct cluster_set *set, uint64_t start, uint64_t count);

/* Add all members of @from.  Returns 0, or -ENOMEM or -EFBIG with a part of them added. */
int cluster_set_merge(struct cluster_set *set, const struct cluster_set *from);

/*
 * Find the first run of members at or after @from.  Returns its length in
 * clusters, at most @max, and its start in *@start; 0 if there is none.
 */
uint64_t cluster_set_next_run(const struct cluster_set *set, uint64_t from, uint64_t max,
			      uint64_t *start);

/* Numbers [start, start + count): of clusters, or of entries of a table. */
struct cluster_run {
	uint64_t start, count;
};

/* Zeroed: empty. */
struct cluster_runs {
	struct cluster_run *runs;
	size_t nr, room;
};

/* Append a run; it is merged with the last one if it follows that.  Returns 0 or -ENOMEM. */
int cluster_runs_add(struct cluster_runs *list, uint64_t start, uint64_t count);
/* Move all runs of @from to the end of @to.  -ENOMEM: the rest stays in @from. */
int cluster_runs_move(struct cluster_runs *to, struct cluster_runs *from);
/* Return the number of clusters in all runs. */
uint64_t cluster_runs_total(const struct cluster_runs *list);
void cluster_runs_destroy(struct cluster_runs *list);

#endif
