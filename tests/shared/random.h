/* SPDX-License-Identifier: GPL-2.0 */
/* The generator of content and of choices for all test programs: splitmix64. */
#ifndef QEDBLK_TESTS_SHARED_RANDOM_H
#define QEDBLK_TESTS_SHARED_RANDOM_H

#include <stdint.h>

static inline uint64_t mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline uint64_t next_random(uint64_t *state)
{
	return mix64((*state)++);
}

#endif
