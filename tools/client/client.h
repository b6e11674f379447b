/* SPDX-License-Identifier: GPL-2.0 */
/* The client of a server's control socket: one JSON object per line each way. */
#ifndef QEDBLK_CLIENT_CLIENT_H
#define QEDBLK_CLIENT_CLIENT_H

#include <jansson.h>
#include <signal.h>
#include <stdint.h>

#include "util/error.h"

/* Return the directory of the sockets: $QEDBLK_RUN_DIR, or /run/qedblk. */
const char *client_run_dir(void);

/*
 * Connect to the server of device @name. Blocks for a few seconds at most. Returns a
 * descriptor for the caller to close, or a negative errno with an error line; -ENOENT:
 * no socket, -ECONNREFUSED: no server listens on it.
 */
int client_connect(const char *name, struct error *err);

/*
 * Send command @execute with @arguments (NULL: none; takes the reference) and wait for
 * the reply, at most @timeout_ms milliseconds (-1: no limit). Sets *@answer to a new
 * reference to the returned value; @answer may be NULL. Returns 0 or a negative errno
 * with an error line. A refusal has the server's line and -EBUSY (class DeviceBusy),
 * -ENOTSUP (CommandNotFound), or -EIO. Other errors include -ETIMEDOUT, -ECONNRESET (the
 * server is gone) and -EINTR (client_interrupted).
 */
int client_command(int fd, const char *execute, json_t *arguments, int timeout_ms, json_t **answer,
		   struct error *err);

typedef void client_event_fn(void *arg, const char *event, const json_t *data);

/*
 * Like client_command(), but @timeout_ms limits the wait for each line; calls @on_event for each
 * event line before the reply.
 */
int client_command_with_events(int fd, const char *execute, json_t *arguments, int timeout_ms,
			       client_event_fn *on_event, void *arg, json_t **answer,
			       struct error *err);

/* The monotonic clock, in milliseconds. */
int64_t client_now_ms(void);

/* Set by a signal handler: waiting for a reply then fails with -EINTR. */
extern volatile sig_atomic_t client_interrupted;

#endif
