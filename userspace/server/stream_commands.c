// SPDX-License-Identifier: GPL-2.0
/* The control socket's commands about streaming. */
#include <errno.h>
#include <string.h>

#include "aio/io.h"
#include "job/stream.h"
#include "server/commands.h"
#include "server/protocol.h"
#include "server/server.h"
#include "server/stream.h"

/* Somebody who waits is told of progress this often. */
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
 * Tell of progress until it has ended, or nobody listens.  Who listens may be deaf:
 * this is none of the users of the image that the server's end waits for.
 */
static int co_follow(struct server *server, const struct event_sink *sink, json_t **result,
		     struct error *err)
{
	const char *state;

	while (server->stream && !server->stop_reason) {
		if (sink->co_emit(sink, "STREAM_PROGRESS", server_stream_json(server)))
			return error_set(err, -EPIPE, "nobody listens");
		aio_co_sleep(PROGRESS_NS);
	}
	if (server->stream)
		return error_set(err, -ESHUTDOWN, "the server is stopping");
	*result = server_stream_json(server);
	state = json_string_value(json_object_get(*result, "state"));
	if (state && !strcmp(state, "done"))
		return 0;
	return error_set(err, -ECANCELED, "the stream did not come to its end: %s",
			 state ? state : "gone");
}

/* *@needless: why there was nothing to start, else NULL. */
static int co_start_stream(struct server *server, const struct stream_request *request,
			   const char **needless, struct error *err)
{
	int ret = 0;

	server->users++;
	*needless = server_stream_needless(server, request);
	if (!*needless)
		ret = server_stream_co_start(server, request, err);
	server_put_image(server);
	return ret;
}

int command_co_stream(struct server *server, json_t *arguments, const struct event_sink *sink,
		      json_t **result, struct error *err)
{
	struct stream_request request = { 0 };
	const char *needless = NULL;
	int ret = get_request(arguments, &request, err);

	if (ret)
		return ret;
	if (server->state != SERVER_LIVE)
		return error_set(err, -ESHUTDOWN, "the server is stopping");
	if (server->stream) {
		if (request.base)
			return error_set(err, -EBUSY, "a stream runs already");
		if (json_object_get(arguments, "speed"))
			server_stream_set_speed(server, request.speed);
	} else {
		ret = co_start_stream(server, &request, &needless, err);
		if (ret)
			return ret;
	}
	if (needless) {
		*result = server_stream_needless_json(needless);
		return 0;
	}
	if (json_is_true(json_object_get(arguments, "wait")))
		return co_follow(server, sink, result, err);
	*result = server_stream_json(server);
	return 0;
}

static int set_paused(struct server *server, bool paused, json_t **result, struct error *err)
{
	if (!server->stream)
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
	if (!server->stream)
		return error_set(err, -ENOENT, "no stream runs");
	server_stream_co_cancel(server);
	*result = server_stream_json(server);
	return 0;
}
