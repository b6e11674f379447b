/* SPDX-License-Identifier: GPL-2.0 */
/* The commands of the control socket, one row of a table each. */
#ifndef QEDBLK_SERVER_COMMANDS_H
#define QEDBLK_SERVER_COMMANDS_H

#include <stddef.h>

#include <jansson.h>

#include "util/error.h"

struct server;

/* Where a command that takes long tells of its progress. */
struct event_sink {
	/* Send an event with @data (taken over).  Returns 0 or -errno: nobody listens.  Parks. */
	int (*co_emit)(const struct event_sink *sink, const char *event, json_t *data);
};

/*
 * Carry out the command in @line (its newline left off) and return the answer,
 * a line on the heap, or NULL when memory is short.  Coroutine of the main loop.
 */
char *commands_co_answer(struct server *server, const char *line, size_t len,
			 const struct event_sink *sink);

/*
 * stream_commands.c and trace_commands.c.  Set *@result (a new reference; NULL:
 * nothing to tell), or fail with a line.
 */
typedef int command_fn(struct server *server, json_t *arguments, const struct event_sink *sink,
		       json_t **result, struct error *err);
command_fn command_co_stream, command_co_stream_pause, command_co_stream_resume,
	command_co_stream_cancel;
command_fn command_co_trace_start, command_co_trace_stop;
/* End a trace that is recorded, when the server does. */
void server_trace_co_stop(struct server *server);

#endif
