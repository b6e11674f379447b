/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A server's control socket, seen from a tool: one JSON object a line each way.
 */
#ifndef QEDBLK_TOOLS_CLIENT_H
#define QEDBLK_TOOLS_CLIENT_H

#include <jansson.h>
#include <signal.h>
#include <stdint.h>

#include "util/error.h"

/* Where servers keep their sockets: $QEDBLK_RUN_DIR, or /run/qedblk. */
const char *client_run_dir(void);

/*
 * Connect to the server of device @name.  Returns a file descriptor; -ENOENT
 * when there is no socket, -ECONNREFUSED when nobody listens behind it, or another errno.
 */
int client_connect(const char *name, struct error *err);

/*
 * Send command @execute with @arguments (NULL for none; the reference is
 * taken) and wait for the answer, at most @timeout_ms milliseconds (-1: no limit).
 * *@answer gets a new reference to what was returned; @answer may be NULL.
 * A refusal sets the server's line: -EBUSY (class DeviceBusy), -ENOTSUP
 * (CommandNotFound), -EIO otherwise.  -ETIMEDOUT, -ECONNRESET (the server went away).
 */
int client_command(int fd, const char *execute, json_t *arguments, int timeout_ms, json_t **answer,
		   struct error *err);

/* Only send it; the reference is taken.  Returns 0 or a negative errno. */
int client_send(int fd, const char *execute, json_t *arguments);

/* The monotonic clock, in milliseconds. */
int64_t client_now_ms(void);

/* Set by a signal's handler: waiting for an answer ends with -EINTR then. */
extern volatile sig_atomic_t client_interrupted;

#endif
