/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A try of the engine: what fails, and where the images are.
 */
#ifndef QEDBLK_TESTS_FAULTS_ENGINE_H
#define QEDBLK_TESTS_FAULTS_ENGINE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "faults/inject.h"

struct plan {
	enum inject_kind kind;
	uint64_t nth; /* 0: nothing fails */
	int error;
	bool on; /* all after it fail as well */
	bool direct; /* O_DIRECT */
	uint64_t seed;
	uint64_t counts[INJECT_KINDS]; /* of calls, when it has run */
};

/* The image is made by a try, over a backing file beside it; both are the caller's to remove. */
extern struct engine_files {
	char image[PATH_MAX], backing[PATH_MAX];
} engine_files;

/* Carry @plan out, with a loop on this thread.  What does not hold aborts, with a line. */
void engine_try(struct plan *plan);

#endif
