// SPDX-License-Identifier: GPL-2.0
/*
 * One shared buffer of zeroes.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "file/zero_pages.h"

static _Atomic(void *) pages;

/* Of two threads that race here one unmaps its copy.  After a failure the next caller retries. */
static const void *map_pages(void)
{
	/* Never written to, so that every page of it is the kernel's shared zero page. */
	void *p = mmap(NULL, ZERO_PAGES_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *other = NULL;

	if (p == MAP_FAILED)
		return NULL;
	if (atomic_compare_exchange_strong(&pages, &other, p))
		return p;
	munmap(p, ZERO_PAGES_SIZE);
	return other;
}

const void *zero_pages(void)
{
	const void *p = atomic_load_explicit(&pages, memory_order_acquire);

	return p ? p : map_pages();
}
