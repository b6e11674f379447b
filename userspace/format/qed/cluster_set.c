// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of cluster numbers: in bitmap pages that are allocated as needed, and as lists of runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/qed/cluster_set.h"
#include "util/units.h"

#define PAGE_BITS CLUSTER_SET_PAGE_BITS

void cluster_set_init(struct cluster_set *set)
{
	memset(set, 0, sizeof(*set));
}

void cluster_set_destroy(struct cluster_set *set)
{
	for (size_t i = 0; i < set->nr_pages; i++)
		free(set->pages[i]);
	free(set->pages);
	cluster_set_init(set);
}

static struct cluster_set_page *page_of(const struct cluster_set *set, uint64_t cluster)
{
	uint64_t i = cluster / PAGE_BITS;

	return i < set->nr_pages ? set->pages[i] : NULL;
}

bool cluster_set_has(const struct cluster_set *set, uint64_t cluster)
{
	const struct cluster_set_page *page = page_of(set, cluster);
	unsigned int bit = cluster % PAGE_BITS;

	return page && (page->bits[bit / 64] >> (bit % 64) & 1);
}

/* The bits [from, to) of one 64-bit word, @from < @to <= 64. */
static uint64_t word_mask(unsigned int from, unsigned int to)
{
	uint64_t upto = to == 64 ? UINT64_MAX : (1ULL << to) - 1;

	return upto & ~((1ULL << from) - 1);
}

static int grow(struct cluster_set *set, uint64_t nr_pages)
{
	struct cluster_set_page **pages;

	if (nr_pages <= set->nr_pages)
		return 0;
	nr_pages = max_u64(nr_pages, set->nr_pages * 2);
	pages = reallocarray(set->pages, nr_pages, sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	memset(pages + set->nr_pages, 0, (nr_pages - set->nr_pages) * sizeof(*pages));
	set->pages = pages;
	set->nr_pages = nr_pages;
	return 0;
}

/* Allocate all memory first, so that adding can't fail half-way. */
static int reserve(struct cluster_set *set, uint64_t start, uint64_t count)
{
	uint64_t first = start / PAGE_BITS, last = (start + count - 1) / PAGE_BITS;
	uint64_t missing = 0;
	int ret;

	if (start > CLUSTER_SET_MAX_NUMBER || count > CLUSTER_SET_MAX_NUMBER - start)
		return -EFBIG;
	ret = grow(set, last + 1);
	for (uint64_t i = first; !ret && i <= last; i++)
		missing += !set->pages[i];
	if (!ret && missing > CLUSTER_SET_MAX_PAGES - set->live_pages)
		ret = -EFBIG;
	for (uint64_t i = first; !ret && i <= last; i++) {
		if (set->pages[i])
			continue;
		set->pages[i] = calloc(1, sizeof(*set->pages[i]));
		if (set->pages[i])
			set->live_pages++;
		else
			ret = -ENOMEM;
	}
	return ret;
}

/* Set or clear the bits [from, to) of one page; *@page is freed when it is empty. */
static void page_change(struct cluster_set *set, struct cluster_set_page **page, unsigned int from,
			unsigned int to, bool add)
{
	while (from < to) {
		unsigned int word = from / 64;
		unsigned int end = min_u64(to, (word + 1) * 64);
		uint64_t mask = word_mask(from % 64, end - word * 64);
		uint64_t old = (*page)->bits[word];
		uint64_t new = add ? old | mask : old & ~mask;
		int delta = __builtin_popcountll(new) - __builtin_popcountll(old);

		(*page)->bits[word] = new;
		(*page)->members += delta;
		set->members += delta;
		from = end;
	}
	if (!(*page)->members) {
		free(*page);
		*page = NULL;
		set->live_pages--;
	}
}

static void change(struct cluster_set *set, uint64_t start, uint64_t count, bool add)
{
	uint64_t end = start + count;

	while (start < end) {
		uint64_t i = start / PAGE_BITS;
		uint64_t stop = min_u64(end, (i + 1) * PAGE_BITS);

		if (i >= set->nr_pages)
			return;
		if (set->pages[i])
			page_change(set, &set->pages[i], start % PAGE_BITS, stop - i * PAGE_BITS,
				    add);
		start = stop;
	}
}

int cluster_set_add(struct cluster_set *set, uint64_t start, uint64_t count)
{
	int ret;

	if (!count)
		return 0;
	ret = reserve(set, start, count);
	if (ret)
		return ret;
	change(set, start, count, true);
	set->lowest_hint = min_u64(set->lowest_hint, start);
	return 0;
}

static void page_merge(struct cluster_set *set, struct cluster_set_page *page,
		       const struct cluster_set_page *from)
{
	for (unsigned int w = 0; w < PAGE_BITS / 64; w++) {
		uint64_t added = from->bits[w] & ~page->bits[w];
		int n = __builtin_popcountll(added);

		page->bits[w] |= added;
		page->members += n;
		set->members += n;
	}
}

int cluster_set_merge(struct cluster_set *set, const struct cluster_set *from)
{
	for (uint64_t i = 0; i < from->nr_pages; i++) {
		/* A page exists only where there are members. */
		int ret = from->pages[i] ? reserve(set, i * PAGE_BITS, 1) : 0;

		if (ret)
			return ret;
		if (from->pages[i])
			page_merge(set, set->pages[i], from->pages[i]);
	}
	set->lowest_hint = min_u64(set->lowest_hint, from->lowest_hint);
	return 0;
}

void cluster_set_remove(struct cluster_set *set, uint64_t start, uint64_t count)
{
	change(set, start, count, false);
	/* Allocation takes from the lowest member: the next search starts behind it. */
	if (start <= set->lowest_hint && start + count > set->lowest_hint)
		set->lowest_hint = start + count;
}

/* Return the first cluster in [from, end) whose membership is @want, or @end. */
static uint64_t find(const struct cluster_set *set, uint64_t from, uint64_t end, bool want)
{
	while (from < end) {
		const struct cluster_set_page *page = page_of(set, from);
		unsigned int bit = from % PAGE_BITS;
		uint64_t word;

		if (!page) {
			if (!want)
				return from;
			from += PAGE_BITS - bit;
			continue;
		}
		word = page->bits[bit / 64];
		word = (want ? word : ~word) & ~((1ULL << (bit % 64)) - 1);
		from = round_down(from, 64);
		if (word)
			return min_u64(from + __builtin_ctzll(word), end);
		from += 64;
	}
	return end;
}

uint64_t cluster_set_next_run(const struct cluster_set *set, uint64_t from, uint64_t max,
			      uint64_t *start)
{
	uint64_t limit = set->nr_pages * (uint64_t)PAGE_BITS;

	if (!set->members)
		return 0;
	*start = find(set, max_u64(from, set->lowest_hint), limit, true);
	if (*start >= limit)
		return 0;
	return find(set, *start, *start + min_u64(max, limit - *start), false) - *start;
}

/* ---- Lists of runs ---- */

int cluster_runs_add(struct cluster_runs *list, uint64_t start, uint64_t count)
{
	struct cluster_run *last = list->nr ? &list->runs[list->nr - 1] : NULL;

	if (last && last->start + last->count == start) {
		last->count += count;
		return 0;
	}
	if (list->nr == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		struct cluster_run *runs = reallocarray(list->runs, room, sizeof(*runs));

		if (!runs)
			return -ENOMEM;
		list->runs = runs;
		list->room = room;
	}
	list->runs[list->nr++] = (struct cluster_run){ start, count };
	return 0;
}

int cluster_runs_move(struct cluster_runs *to, struct cluster_runs *from)
{
	if (!to->nr) {
		struct cluster_runs empty = *to;

		*to = *from;
		*from = empty;
		return 0;
	}
	for (size_t i = 0; i < from->nr; i++) {
		int ret = cluster_runs_add(to, from->runs[i].start, from->runs[i].count);

		if (ret) {
			from->nr -= i;
			memmove(from->runs, from->runs + i, from->nr * sizeof(*from->runs));
			return ret;
		}
	}
	from->nr = 0;
	return 0;
}

void cluster_runs_destroy(struct cluster_runs *list)
{
	free(list->runs);
	memset(list, 0, sizeof(*list));
}

uint64_t cluster_runs_total(const struct cluster_runs *list)
{
	uint64_t n = 0;

	for (size_t i = 0; i < list->nr; i++)
		n += list->runs[i].count;
	return n;
}
