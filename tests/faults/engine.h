/* SPDX-License-Identifier: GPL-2.0 */
/* A try of the engine: the injected failure, and the image files. */
#ifndef QEDBLK_TESTS_FAULTS_ENGINE_H
#define QEDBLK_TESTS_FAULTS_ENGINE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "faults/inject.h"

struct plan {
	enum inject_kind kind;
	uint64_t nth; /* 0: no failure */
	int error;
	bool on; /* all later ones fail as well */
	bool direct; /* O_DIRECT */
	uint64_t seed;
	uint64_t counts[INJECT_KINDS]; /* calls by kind, after the try */
};

/* Files that a try makes: the image, and a backing file beside it. The caller removes them. */
extern struct engine_files {
	char image[PATH_MAX], backing[PATH_MAX];
} engine_files;

/* Run @plan, with a loop on this thread. Abort, with a line on stderr, if a check fails. */
void engine_try(struct plan *plan);

#endif
