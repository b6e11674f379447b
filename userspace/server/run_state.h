/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A server's files in /run/qedblk (or $QEDBLK_RUN_DIR): the lock that makes a name
 * unique, the control socket, and a description for tools.
 *
 * No other user may open them, whatever the umask: a user that can read a lock file can
 * hold the lock, and a user that can write to the directory can create files of any name
 * first.
 *
 * The functions block, on a file system in memory: main thread only.
 */
#ifndef QEDBLK_SERVER_RUN_STATE_H
#define QEDBLK_SERVER_RUN_STATE_H

#include <jansson.h>
#include <stdbool.h>

#include "util/error.h"

struct run_state {
	const char *name; /* of the device; owned by the caller */
	char *dir;
	int dir_fd;
	int lock_fd; /* locked while the server lives */
	bool keeps_description; /* a mapping stays, for which `recover` needs NAME.json */
	bool has_failed; /* what was written may not be in the image: `recover` must refuse */
};

/*
 * Create the directory if needed and lock the name. Returns 0 or a negative errno with
 * an error line. -EBUSY: another server holds the lock; the line names its process.
 * -EPERM: another user owns or can write to the directory, or owns the lock file.
 */
int run_state_acquire(struct run_state *state, const char *name, struct error *err);

/*
 * Open NAME.rescue, which outlives a killed server; with @left, only one that a dead
 * server left. Returns a descriptor for the caller to close, or a negative errno with
 * an error line.
 */
int run_state_open_rescue(struct run_state *state, bool left, struct error *err);

/*
 * Create a listening control socket, mode 0600, in place of one that a dead server
 * left. Returns a descriptor for the caller to close, or a negative errno with an
 * error line.
 */
int run_state_listen(struct run_state *state, struct error *err);

/*
 * Write or replace NAME.json; a reader sees the old text or the new. Returns 0 or a
 * negative errno with an error line.
 */
int run_state_describe(struct run_state *state, const json_t *description, struct error *err);

/* Return true when NAME.json is there: of this server, or left by one that did not end in order. */
bool run_state_is_described(const struct run_state *state);

/* Remove the files and unlock the name. */
void run_state_release(struct run_state *state);

#endif
