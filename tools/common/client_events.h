/* SPDX-License-Identifier: GPL-2.0 */
/* Commands that tell of events before they answer. */
#ifndef QEDBLK_TOOLS_CLIENT_EVENTS_H
#define QEDBLK_TOOLS_CLIENT_EVENTS_H

#include "common/client.h"

typedef void client_event_fn(void *arg, const char *event, const json_t *data);

/*
 * Like client_command(), but without a time limit, and with lines in between
 * that begin an event: each is given to @on_event.  -EINTR where client_interrupted.
 */
int client_command_with_events(int fd, const char *execute, json_t *arguments,
			       client_event_fn *on_event, void *arg, json_t **answer,
			       struct error *err);

#endif
