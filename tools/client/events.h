/* SPDX-License-Identifier: GPL-2.0 */
/* Commands with events before the reply. */
#ifndef QEDBLK_CLIENT_EVENTS_H
#define QEDBLK_CLIENT_EVENTS_H

#include "client/client.h"

typedef void client_event_fn(void *arg, const char *event, const json_t *data);

/*
 * Like client_command(), but without a timeout, and call @on_event for each event line
 * before the reply. -EINTR when client_interrupted is set.
 */
int client_command_with_events(int fd, const char *execute, json_t *arguments,
			       client_event_fn *on_event, void *arg, json_t **answer,
			       struct error *err);

#endif
