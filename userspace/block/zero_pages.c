// SPDX-License-Identifier: GPL-2.0
/*
 * One shared buffer of zeroes.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "block/zero_pages.h"

static const void *pages;

static void map_pages(void)
{
	/* Never written to, so that every page of it is the kernel's one zero page. */
	void *p = mmap(NULL, ZERO_PAGES_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		pages = p;
}

const void *zero_pages(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, map_pages);
	return pages;
}
