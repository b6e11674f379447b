/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A server's files below /run/qedblk (or $QEDBLK_RUN_DIR): the lock that makes
 * a name unique, the control socket, and a description for tools.
 *
 * No other user may open them, whatever the umask: whoever can read a lock's file can
 * hold the lock, and whoever can write to the directory can make files of any name first.
 *
 * Blocking, though on a file system in memory: for the main thread.
 */
#ifndef QEDBLK_SERVER_RUN_STATE_H
#define QEDBLK_SERVER_RUN_STATE_H

#include <jansson.h>
#include <stdbool.h>

#include "util/error.h"

struct run_state {
	const char *name; /* of the device; the caller's */
	char *dir;
	int dir_fd;
	int lock_fd; /* locked while the server lives */
};

/*
 * Make the directory if need be and take the name.  -EBUSY: another server has
 * it; the line names its process.  -EPERM: another user owns or can write to the
 * directory, or owns the lock's file.
 */
int run_state_acquire(struct run_state *state, const char *name, struct error *err);

/*
 * Open NAME.rescue, which outlives a killed server: a new one, or (@left) that
 * which a dead server left.  Returns a descriptor or a negative errno.
 */
int run_state_open_rescue(struct run_state *state, bool left, struct error *err);

/* A listening control socket, mode 0600, in place of one that a dead server left. */
int run_state_listen(struct run_state *state, struct error *err);

/* (Re)write NAME.json; a reader sees the old text or the new. */
int run_state_describe(struct run_state *state, const json_t *description, struct error *err);

/* Remove the files and let go of the name. */
void run_state_release(struct run_state *state);

#endif
