/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Failures on purpose: the Nth allocation, read, write, flush, ... of a program fails, once or from
 * then on.
 *
 * inject.c stands between the project's code and what it calls, by --wrap of the linker: allocation
 * functions (jansson's as well), the I/O of aio/io.h, and file calls.  A program linked with it and
 * run as it is reads what shall fail from QEDBLK_FAULT="KIND:N:ERROR[:on]", counts calls into the
 * file that QEDBLK_FAULT_COUNT names, and behaves as ever where neither is set.
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
	INJECT_FALLOCATE, /* space taken, zeroed and punched */
	INJECT_TRUNCATE,
	INJECT_CALL, /* open, stat, seek */
	INJECT_KINDS,
};

extern const char *const inject_names[INJECT_KINDS];

/* In place of an errno, of reads and writes: half of the bytes are transferred, and no error. */
#define INJECT_SHORT 1000

/*
 * Count from 0 again, and have the @nth call (from 1; 0: none) of @kind fail with @error, an
 * errno; @on: and all after it.  Other threads may be calling meanwhile.
 */
void inject_arm(enum inject_kind kind, uint64_t nth, int error, bool on);
/* Nothing fails any more, nothing is counted. */
void inject_disarm(void);
/* Calls of @kind since inject_arm(). */
uint64_t inject_count(enum inject_kind kind);

#endif
