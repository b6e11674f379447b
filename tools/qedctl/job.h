/* SPDX-License-Identifier: GPL-2.0 */
/* The verbs for the jobs of a server: their options, and running them. */
#ifndef QEDBLK_QEDCTL_JOB_H
#define QEDBLK_QEDCTL_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "cmdline/options.h"

struct job_options {
	const char *verb; /* and command of the server: stream, commit */
	const char *name, *top, *base;
	uint64_t speed;
	bool has_speed, wait, progress, json;
	const char *action; /* pause, resume, cancel; NULL: start */
	unsigned int actions; /* how many were given */
};

int job_take_speed(void *verb, const struct verb_option *option, const char *value);
int job_take_progress(void *verb, const struct verb_option *option, const char *value);
int job_take_action(void *verb, const struct verb_option *option, const char *value);

/* Rows of the options that all jobs have. */
/* clang-format off */
#define JOB_OPTIONS                                                                                \
	OPT_TEXT(0, "base", struct job_options, base),                                             \
	OPT_CALL_VALUE(0, "speed", job_take_speed),                                                \
	OPT_SWITCH(0, "wait", struct job_options, wait),                                           \
	OPT_CALL('p', NULL, job_take_progress),                                                    \
	OPT(0, "pause", CALL, .call = job_take_action, .what = "pause"),                           \
	OPT(0, "resume", CALL, .call = job_take_action, .what = "resume"),                         \
	OPT(0, "cancel", CALL, .call = job_take_action, .what = "cancel"),                         \
	OPT_SWITCH(0, "json", struct job_options, json)
/* clang-format on */

/* Run the verb @argv[0], whose options are @options. Returns the program's exit status. */
int job_run_verb(int argc, char **argv, const struct verb_option *options);

#endif
