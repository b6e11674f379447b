/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The verbs of qedctl, a file each, and what several of them need.
 */
#ifndef QEDBLK_QEDCTL_QEDCTL_H
#define QEDBLK_QEDCTL_QEDCTL_H

#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"

/* Each: argv[0] is the verb; returns the exit status, after a line where it is not 0. */
int verb_create(int argc, char **argv);
int verb_features(int argc, char **argv);
int verb_info(int argc, char **argv);
int verb_ls(int argc, char **argv);
int verb_message(int argc, char **argv);
int verb_reload(int argc, char **argv);
int verb_recover(int argc, char **argv);
int verb_remove(int argc, char **argv);
int verb_resume(int argc, char **argv);
int verb_stats(int argc, char **argv);
int verb_stream(int argc, char **argv);
int verb_trace(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_suspend(int argc, char **argv);
int verb_table(int argc, char **argv);
int verb_version(int argc, char **argv);

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
