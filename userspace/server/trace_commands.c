// SPDX-License-Identifier: GPL-2.0
/* The control socket's commands for traces, and the recorder that writes them. */
#include <errno.h>
#include <string.h>

#include "populate/trace.h"
#include "server/commands.h"
#include "server/server.h"
#include "util/log.h"

/* Interval of writing recorded requests to the file. */
#define WRITE_NS 200000000ULL

/* Stop the recorder and the trace. The caller holds SLOT_TRACE, or the server is stopping. */
static int co_stop(struct server *server, uint64_t *lost, struct error *err)
{
	int ret;

	/* End the recorder first: trace_co_stop() writes to the file, too. */
	server->trace_stop = true;
	server_changed(server);
	while (server->tracing)
		server_co_wait_change(server);
	ret = trace_co_stop(server->image.node, lost, err);
	server->trace_stop = false;
	return ret;
}

/* The recorder: one coroutine while server->tracing is true. */
static void trace_fn(void *arg)
{
	struct server *server = arg;
	struct error err = ERROR_INIT;

	while (!server->trace_stop) {
		if (trace_co_write(server->image.node, &err)) {
			log_error("%s: trace: %s", server->options->name, error_text(&err));
			break;
		}
		server_co_nap(server, WRITE_NS, &server->trace_stop);
	}
	error_free(&err);
	server->tracing = false;
	server_changed(server);
}

int command_co_trace_start(struct server *server, json_t *arguments, const struct event_sink *sink,
			   json_t **result, struct error *err)
{
	const char *file = json_string_value(json_object_get(arguments, "file"));
	uint64_t lost;
	int ret;

	(void)sink;
	(void)result;
	if (!file || file[0] != '/')
		return error_set(err, -EINVAL, "file: not an absolute file name");
	ret = trace_co_start(server->image.node, file, err);
	if (ret)
		return ret;
	server->tracing = true;
	ret = co_start(trace_fn, server);
	if (!ret)
		return 0;
	server->tracing = false;
	(void)trace_co_stop(server->image.node, &lost, NULL);
	return error_set_errno(err, ret, "trace");
}

int command_co_trace_stop(struct server *server, json_t *arguments, const struct event_sink *sink,
			  json_t **result, struct error *err)
{
	const char *file = json_string_value(json_object_get(arguments, "file"));
	const char *path = trace_path(server->image.node);
	uint64_t lost;
	int ret;

	(void)sink;
	if (!path)
		return error_set(err, -ENOENT, "no trace is recorded");
	if (file && strcmp(file, path))
		return error_set(err, -EINVAL, "the trace is recorded to %s", path);
	ret = co_stop(server, &lost, err);
	if (!ret)
		*result = json_pack("{s:I}", "lost", (json_int_t)lost);
	return ret;
}

void server_trace_co_stop(struct server *server)
{
	struct error err = ERROR_INIT;
	uint64_t lost;

	if (!trace_path(server->image.node))
		return;
	if (co_stop(server, &lost, &err))
		log_warning("%s: trace: %s", server->options->name, error_text(&err));
	error_free(&err);
}
