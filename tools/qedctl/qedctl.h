/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The verbs of qedctl, a file each, and what several of them need.
 */
#ifndef QEDBLK_QEDCTL_QEDCTL_H
#define QEDBLK_QEDCTL_QEDCTL_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/verbs.h"
#include "util/error.h"

/* A row each, in the verb's file. */
extern const struct verb ctl_create_verb;
extern const struct verb ctl_features_verb;
extern const struct verb ctl_info_verb;
extern const struct verb ctl_ls_verb;
extern const struct verb ctl_message_verb;
extern const struct verb ctl_recover_verb;
extern const struct verb ctl_reload_verb;
extern const struct verb ctl_remove_verb;
extern const struct verb ctl_resume_verb;
extern const struct verb ctl_stats_verb;
extern const struct verb ctl_status_verb;
extern const struct verb ctl_stream_verb;
extern const struct verb ctl_suspend_verb;
extern const struct verb ctl_table_verb;
extern const struct verb ctl_trace_verb;
extern const struct verb ctl_version_verb;

/* The line of help of a verb that has --json. */
#define VERB_JSON_HELP "  --json  one JSON object\n"

/* The options that a verb about one device may have. */
struct one_device_args {
	const char *name;
	bool json, prometheus, no_flush, no_lockfs;
};

/*
 * Parse `[OPTION...] NAME`.  @allowed has a letter for each option that the verb
 * takes: j(son) p(rometheus) f (noflush) l (nolockfs).  Returns 0, or 1 after a line.
 */
int parse_one_device(int argc, char **argv, const char *allowed, struct one_device_args *args);

/* Returns 0, or 1 after a line, for a verb that only takes `--json` and no operand. */
int parse_json_only(int argc, char **argv, bool *json);

/*
 * What has been made of a device that is being created, so that it can be
 * served in the foreground or undone.
 */
struct server;
struct creation {
	const char *name;
	const char *image;
	bool image_was_missing; /* before the server was started */
	bool server_was_started, mapped;
	int signal_fd;
	struct server *server;
};

/* Serve until a signal comes or the server ends, then take the device away.  Exit status. */
int create_stay_attached(struct creation *creation);

#endif
