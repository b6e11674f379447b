/* SPDX-License-Identifier: GPL-2.0 */
/* The verbs of qedctl, one per file, and common code. */
#ifndef QEDBLK_QEDCTL_QEDCTL_H
#define QEDBLK_QEDCTL_QEDCTL_H

#include <stdbool.h>

#include "cmdline/options.h"
#include "cmdline/verbs.h"
#include "util/error.h"

/* The verbs, in the order of help. NAME is defined as ctl_NAME_verb at the end of its file. */
#define CTL_VERBS(X)  \
	X(create)     \
	X(remove)     \
	X(recover)    \
	X(ls)         \
	X(info)       \
	X(status)     \
	X(stats)      \
	X(stream)     \
	X(commit)     \
	X(trace)      \
	X(check)      \
	X(resize)     \
	X(set)        \
	X(snapshot)   \
	X(partitions) \
	X(table)      \
	X(message)    \
	X(reload)     \
	X(suspend)    \
	X(resume)     \
	X(features)   \
	X(version)

#define CTL_DECLARE_VERB(name) extern const struct verb ctl_##name##_verb;
CTL_VERBS(CTL_DECLARE_VERB)

/* The help line of a verb with --json. */
#define VERB_JSON_HELP "  --json  one JSON object\n"

/* The options that verbs on one device may have. */
struct one_device_args {
	const char *name, *repair;
	bool json, prometheus, all, no_flush, no_lockfs;
};

/* The option --json of such a verb. */
extern const struct verb_option ctl_json_option[];

/*
 * Parse `[OPTION...] NAME`. @options (NULL: none) are those of the verb, with fields of
 * @args. Returns 0, or 1 after an error line.
 */
int parse_one_device(int argc, char **argv, const struct verb_option *options,
		     struct one_device_args *args);

/* report_usage() with the line of @err, which it frees. Returns 1. */
int fail_usage(struct error *err);

/* Print an error line, and return 1, for what cannot be a device's name. Otherwise return 0. */
int refuse_bad_name(const char *name);

/* Parse `[--json]`, for a verb without operands. Returns 0, or 1 after an error line. */
int parse_json_only(int argc, char **argv, bool *json);

/*
 * The progress of creating a device, for undoing it or for serving it in the
 * foreground.
 */
struct server_process;
struct creation {
	const char *name;
	const char *image;
	bool image_was_missing; /* before the server was started */
	bool server_was_started, mapped;
	int signal_fd;
	struct server_process *server;
};

/* Wait until a signal comes or the server ends, then remove the device. Returns the exit status. */
int create_stay_attached(struct creation *creation);

#endif
