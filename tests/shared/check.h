/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An assertion for any thread and any stack: it aborts and prints the place.  cmocka's assertions
 * longjmp, which is invalid off the main thread and in a coroutine.
 */
#ifndef QEDBLK_TESTS_SHARED_CHECK_H
#define QEDBLK_TESTS_SHARED_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(cond)                                                                        \
	do {                                                                               \
		if (!(cond)) {                                                             \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                           \
		}                                                                          \
	} while (0)

#endif
