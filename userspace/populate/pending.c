// SPDX-License-Identifier: GPL-2.0
/*
 * The set of clusters to be populated: bits, and above them a bit for each
 * page of bits, so that the search of an almost empty set is fast.
 *
 * A thread that adds a member sets its bit first and the page's bit after.  The
 * taker clears a page's bit when it finds no member there, and then searches the
 * page again: either it sees the new member, or the page's bit is set after the
 * clearing.  All of these operations are sequentially consistent.
 */
#include <errno.h>
#include <sys/mman.h>

#include "populate/pending.h"
#include "util/units.h"

#define WORD_BITS  64u
#define PAGE_WORDS 512u
#define PAGE_BITS  (WORD_BITS * PAGE_WORDS)

static uint64_t word_count(const struct pending_set *set)
{
	return round_up(div_round_up(set->count, WORD_BITS), PAGE_WORDS);
}

int pending_init(struct pending_set *set, uint64_t count)
{
	uint64_t words, pages;
	void *map;

	*set = (struct pending_set){ .count = max_u64(count, 1) };
	words = word_count(set);
	pages = div_round_up(words / PAGE_WORDS, WORD_BITS);
	if (words + pages > SIZE_MAX / 16)
		return -ENOMEM;
	set->bytes = (words + pages) * sizeof(uint64_t);
	map = mmap(NULL, set->bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return -ENOMEM;
	set->words = map;
	set->pages = set->words + words;
	return 0;
}

void pending_destroy(struct pending_set *set)
{
	if (set->words)
		munmap((void *)set->words, set->bytes);
	set->words = NULL;
}

bool pending_add(struct pending_set *set, uint64_t n)
{
	uint64_t bit = 1ULL << n % WORD_BITS, page = n / PAGE_BITS;
	uint64_t page_bit = 1ULL << page % WORD_BITS;

	if (n >= set->count || (atomic_fetch_or(&set->words[n / WORD_BITS], bit) & bit))
		return false;
	if (!(atomic_load(&set->pages[page / WORD_BITS]) & page_bit))
		atomic_fetch_or(&set->pages[page / WORD_BITS], page_bit);
	return true;
}

bool pending_has(const struct pending_set *set, uint64_t n)
{
	return n < set->count && (atomic_load(&set->words[n / WORD_BITS]) >> n % WORD_BITS & 1);
}

/* Return the first member in [from, end), all in one page, or @end. */
static uint64_t find_in_page(struct pending_set *set, uint64_t from, uint64_t end)
{
	while (from < end) {
		uint64_t word = atomic_load(&set->words[from / WORD_BITS]) >> from % WORD_BITS;

		if (word)
			return min_u64(from + (unsigned int)__builtin_ctzll(word), end);
		from = (from / WORD_BITS + 1) * WORD_BITS;
	}
	return end;
}

/* Return the first member in [from, end), or @end. */
static uint64_t find(struct pending_set *set, uint64_t from, uint64_t end)
{
	while (from < end) {
		uint64_t page = from / PAGE_BITS, page_end = min_u64((page + 1) * PAGE_BITS, end);
		_Atomic uint64_t *word = &set->pages[page / WORD_BITS];
		uint64_t bits = atomic_load(word) >> page % WORD_BITS, n;

		if (!bits) {
			from = (page / WORD_BITS + 1) * WORD_BITS * PAGE_BITS;
			continue;
		}
		if (!(bits & 1)) {
			from = (page + (unsigned int)__builtin_ctzll(bits)) * PAGE_BITS;
			continue;
		}
		n = find_in_page(set, from, page_end);
		if (n < page_end)
			return n;
		if (from == page * PAGE_BITS) {
			atomic_fetch_and(word, ~(1ULL << page % WORD_BITS));
			n = find_in_page(set, from, page_end);
			if (n < page_end) {
				atomic_fetch_or(word, 1ULL << page % WORD_BITS);
				return n;
			}
		}
		from = page_end;
	}
	return end;
}

static bool take_one(struct pending_set *set, uint64_t n)
{
	uint64_t bit = 1ULL << n % WORD_BITS;

	return atomic_fetch_and(&set->words[n / WORD_BITS], ~bit) & bit;
}

uint64_t pending_take(struct pending_set *set, uint64_t max, uint64_t *start)
{
	uint64_t n = find(set, set->next, set->count), taken = 0;

	if (n == set->count)
		n = find(set, 0, set->count);
	if (n == set->count)
		return 0;
	*start = n;
	while (taken < max && n < set->count && take_one(set, n)) {
		n++;
		taken++;
	}
	set->next = n < set->count ? n : 0;
	return taken;
}

bool pending_empty(struct pending_set *set)
{
	return find(set, 0, set->count) == set->count;
}
