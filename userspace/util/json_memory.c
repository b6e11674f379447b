// SPDX-License-Identifier: GPL-2.0
/*
 * Detecting JSON values that are incomplete because memory ran out: jansson's failed allocations
 * are counted.
 */
#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "util/json_memory.h"

static _Atomic uint64_t failures;

void json_memory_fail(void)
{
	atomic_fetch_add_explicit(&failures, 1, memory_order_relaxed);
}

static void *counted_malloc(size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		json_memory_fail();
	return memory;
}

/* Before main(): jansson must not have allocated anything with its default functions. */
__attribute__((constructor)) static void count_failures(void)
{
	json_set_alloc_funcs(counted_malloc, free);
}

uint64_t json_memory_failures(void)
{
	return atomic_load_explicit(&failures, memory_order_relaxed);
}
