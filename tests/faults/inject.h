/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Failure injection: the Nth allocation, read, write, flush, ... of a program fails, once or from
 * then on.
 *
 * inject.c wraps the calls that the project's code makes (--wrap of the linker): allocation
 * functions (jansson's as well), the I/O of aio/sys.h, and file calls.  A program linked with it
 * reads from QEDBLK_FAULT="KIND:N:ERROR[:on]" which call fails, and writes the number of calls to
 * the file named by QEDBLK_FAULT_COUNT; without these variables it behaves as usual.
 */
#ifndef QEDBLK_TESTS_FAULTS_INJECT_H
#define QEDBLK_TESTS_FAULTS_INJECT_H

#include <stdbool.h>
#include <stdint.h>

enum inject_kind {
	INJECT_ALLOC, /* memory, mappings, threads, rings */
	INJECT_READ,
	INJECT_WRITE,
	INJECT_FLUSH,
	INJECT_FALLOCATE, /* allocating, zeroing and punching space */
	INJECT_TRUNCATE,
	INJECT_CALL, /* open, stat, seek */
	INJECT_KINDS,
};

extern const char *const inject_names[INJECT_KINDS];

/*
 * Instead of an errno, for reads and writes: half of the bytes are transferred, without an error.
 */
#define INJECT_SHORT 1000

/*
 * Reset the counts, and make the @nth call (from 1; 0: none) of @kind fail with @error, an errno;
 * @on: all later ones as well.  Other threads may make calls meanwhile.
 */
void inject_arm(enum inject_kind kind, uint64_t nth, int error, bool on);
/* Stop failing and counting calls. */
void inject_disarm(void);
/* Return the number of calls of @kind since inject_arm(). */
uint64_t inject_count(enum inject_kind kind);

#endif
