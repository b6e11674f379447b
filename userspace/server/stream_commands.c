// SPDX-License-Identifier: GPL-2.0
/* The control socket's commands about streaming. */
#include <errno.h>
#include <string.h>

#include "aio/sys.h"
#include "job/stream.h"
#include "server/commands.h"
#include "server/protocol.h"
#include "server/server.h"
#include "server/stream.h"

/* Interval of the progress events for a client that waits. */
#define PROGRESS_NS 500000000ULL

static int get_request(json_t *arguments, struct stream_request *request, struct error *err)
{
	const json_t *speed = json_object_get(arguments, "speed");
	const json_t *base = json_object_get(arguments, "base");

	if (speed && json_integer_value(speed) < 0)
		return error_set(err, -EINVAL, "speed: not a number of bytes a second");
	request->speed = speed ? (uint64_t)json_integer_value(speed) : 0;
	request->base = json_string_value(base);
	return 0;
}

/*
 * Send progress events until @streaming has ended or the client is gone. Since the client may
 * not read them, this does not count in server->users, which the stop waits for, and holds no
 * slot.
 */
static int co_follow(struct server *server, const struct streaming *streaming,
		     const struct event_sink *sink, json_t **result, struct error *err)
{
	const char *state;

	while (streaming->stream && !server->stop_reason) {
		if (sink->co_emit(sink, "STREAM_PROGRESS", streaming_json(streaming)))
			return error_set(err, -EPIPE, "the client is gone");
		aio_co_sleep(PROGRESS_NS);
	}
	if (streaming->stream)
		return error_set(err, -ESHUTDOWN, "the server is stopping");
	*result = streaming_json(streaming);
	state = json_string_value(json_object_get(*result, "state"));
	if (state && !strcmp(state, "done"))
		return 0;
	return error_set(err, -ECANCELED, "the stream did not come to its end: %s",
			 state ? state : "gone");
}

/*
 * Start a stream, or change the speed of the running one. Sets *@streaming to it, a
 * reference that the caller puts; or to NULL, with *@result set, when there was
 * nothing to stream. The caller holds SLOT_STREAM.
 */
static int co_start_stream(struct server *server, json_t *arguments,
			   const struct stream_request *request, struct streaming **streaming,
			   json_t **result, struct error *err)
{
	const char *needless = NULL;
	int ret = 0;

	*streaming = NULL;
	if (server_stream_runs(server)) {
		if (request->base)
			return error_set(err, -EBUSY, "a stream runs already");
		if (json_object_get(arguments, "speed"))
			server_stream_set_speed(server, request->speed);
	} else {
		needless = server_stream_needless(server, request);
		if (!needless)
			ret = server_stream_co_start(server, request, err);
	}
	if (!ret && needless)
		*result = server_stream_needless_json(needless);
	else if (!ret)
		*streaming = server_stream_get(server);
	return ret;
}

int command_co_stream(struct server *server, json_t *arguments, const struct event_sink *sink,
		      json_t **result, struct error *err)
{
	struct stream_request request = { 0 };
	struct streaming *streaming;
	int ret = get_request(arguments, &request, err);

	if (!ret)
		ret = server_co_enter(server, SLOT_STREAM, err);
	if (ret)
		return ret;
	ret = co_start_stream(server, arguments, &request, &streaming, result, err);
	server_leave(server, SLOT_STREAM);
	if (streaming && json_is_true(json_object_get(arguments, "wait")))
		ret = co_follow(server, streaming, sink, result, err);
	else if (streaming)
		*result = streaming_json(streaming);
	server_stream_put(streaming);
	return ret;
}

static int set_paused(struct server *server, bool paused, json_t **result, struct error *err)
{
	if (!server_stream_runs(server))
		return error_set(err, -ENOENT, "no stream runs");
	server_stream_set_paused(server, paused);
	*result = server_stream_json(server);
	return 0;
}

int command_co_stream_pause(struct server *server, json_t *arguments, const struct event_sink *sink,
			    json_t **result, struct error *err)
{
	(void)arguments;
	(void)sink;
	return set_paused(server, true, result, err);
}

int command_co_stream_resume(struct server *server, json_t *arguments,
			     const struct event_sink *sink, json_t **result, struct error *err)
{
	(void)arguments;
	(void)sink;
	return set_paused(server, false, result, err);
}

int command_co_stream_cancel(struct server *server, json_t *arguments,
			     const struct event_sink *sink, json_t **result, struct error *err)
{
	(void)arguments;
	(void)sink;
	if (!server_stream_runs(server))
		return error_set(err, -ENOENT, "no stream runs");
	server_stream_co_cancel(server);
	*result = server_stream_json(server);
	return 0;
}
