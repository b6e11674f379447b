/* SPDX-License-Identifier: GPL-2.0 */
/* The commands of the control socket; each is a row of a table. */
#ifndef QEDBLK_SERVER_COMMANDS_H
#define QEDBLK_SERVER_COMMANDS_H

#include <stddef.h>

#include <jansson.h>

#include "util/error.h"

struct server;

/* Where a long command reports its progress. */
struct event_sink {
	/*
	 * Send an event with @data; takes the reference. Yields. Returns 0, or -errno when the
	 * client is gone.
	 */
	int (*co_emit)(const struct event_sink *sink, const char *event, json_t *data);
};

/*
 * Execute the command in @line (without its newline). Returns the reply, a line for
 * the caller to free(), or NULL when memory is short. Coroutine of the main loop;
 * yields.
 */
char *commands_co_answer(struct server *server, const char *line, size_t len,
			 const struct event_sink *sink);

/*
 * job_commands.c, trace_commands.c, set.c, check_command.c, resize.c, snapshot.c and quit.c. Set
 * *@result (a new reference; NULL: an empty reply) and return 0, or return a negative errno with an
 * error line.
 */
typedef int command_fn(struct server *server, json_t *arguments, const struct event_sink *sink,
		       json_t **result, struct error *err);
command_fn command_co_stream, command_co_stream_pause, command_co_stream_resume,
	command_co_stream_cancel;
command_fn command_co_commit, command_co_commit_pause, command_co_commit_resume,
	command_co_commit_cancel;
command_fn command_co_trace_start, command_co_trace_stop;
command_fn command_co_set;
command_fn command_co_check;
command_fn command_co_resize, command_co_snapshot;
command_fn command_co_quit;
/*
 * Stop a trace that is being recorded, when the server stops. Coroutine of the main
 * loop; yields.
 */
void server_trace_co_stop(struct server *server);

#endif
