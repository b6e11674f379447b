// SPDX-License-Identifier: GPL-2.0
/* The control socket's commands about jobs: stream and commit. */
#include <errno.h>
#include <string.h>

#include "aio/sys.h"
#include "server/commands.h"
#include "server/commit.h"
#include "server/job.h"
#include "server/protocol.h"
#include "server/server.h"
#include "server/stream.h"

/* Interval of the progress events for a client that waits. */
#define PROGRESS_NS 500000000ULL

/* ---- Start, and wait for the end ---- */

static int get_speed(json_t *arguments, uint64_t *speed, struct error *err)
{
	json_int_t value = json_integer_value(json_object_get(arguments, "speed"));

	if (value < 0)
		return error_set(err, -EINVAL, "speed: not a number of bytes a second");
	*speed = (uint64_t)value;
	return 0;
}

static const char *get_text(json_t *arguments, const char *name)
{
	return json_string_value(json_object_get(arguments, name));
}

/*
 * Send progress events until @job has ended or the client is gone. Since the client may not read
 * them, this does not count in server->users, which the stop waits for, and holds no slot.
 */
static int co_follow(struct server *server, const struct server_job *job,
		     const struct event_sink *sink, json_t **result, struct error *err)
{
	const char *state;

	while (job->job && !server->stop_reason) {
		if (sink->co_emit(sink, job->kind->event, server_job_json(job)))
			return error_set(err, -EPIPE, "the client is gone");
		aio_co_sleep(PROGRESS_NS);
	}
	if (job->job)
		return error_set(err, -ESHUTDOWN, "the server is stopping");
	*result = server_job_json(job);
	state = json_string_value(json_object_get(*result, "state"));
	if (state && !strcmp(state, "done"))
		return 0;
	return error_set(err, -ECANCELED, "the %s did not come to its end: %s", job->kind->name,
			 state ? state : "gone");
}

/* Is the running job one of @key, "stream" or "commit"? */
static bool runs(const struct server *server, const char *key)
{
	return server_job_runs(server) && !strcmp(server->job->kind->key, key);
}

/*
 * Start a job as @arguments say, unless there is nothing to do, and then set *@result. The caller
 * holds SLOT_STREAM.
 */
typedef int start_fn(struct server *server, json_t *arguments, json_t **result, struct error *err);

/* Start a job of @key, or change the speed of the one that runs. The caller holds SLOT_STREAM. */
static int co_start_or_change(struct server *server, const char *key, start_fn *co_begin,
			      json_t *arguments, json_t **result, struct error *err)
{
	uint64_t speed = 0;
	int ret;

	if (!runs(server, key) || get_text(arguments, "base") || get_text(arguments, "top")) {
		ret = server_job_check_none(server, err);
		return ret ? ret : co_begin(server, arguments, result, err);
	}
	ret = get_speed(arguments, &speed, err);
	if (!ret && json_object_get(arguments, "speed"))
		server_job_set_speed(server, speed);
	return ret;
}

static int co_start_job(struct server *server, const char *key, start_fn *co_begin,
			json_t *arguments, const struct event_sink *sink, json_t **result,
			struct error *err)
{
	struct server_job *job = NULL;
	int ret = server_co_enter(server, SLOT_STREAM, err);

	if (ret)
		return ret;
	ret = co_start_or_change(server, key, co_begin, arguments, result, err);
	if (!ret && !*result)
		job = server_job_get(server);
	server_leave(server, SLOT_STREAM);
	if (job && json_is_true(json_object_get(arguments, "wait")))
		ret = co_follow(server, job, sink, result, err);
	else if (job)
		*result = server_job_json(job);
	server_job_put(job);
	return ret;
}

/* ---- stream ---- */

static int co_begin_stream(struct server *server, json_t *arguments, json_t **result,
			   struct error *err)
{
	struct stream_request request = { .base = get_text(arguments, "base") };
	int ret = get_speed(arguments, &request.speed, err);
	const char *needless = ret ? NULL : server_stream_needless(server, &request);

	if (ret)
		return ret;
	if (!needless)
		return server_stream_co_start(server, &request, err);
	*result = server_stream_needless_json(needless);
	return 0;
}

int command_co_stream(struct server *server, json_t *arguments, const struct event_sink *sink,
		      json_t **result, struct error *err)
{
	return co_start_job(server, "stream", co_begin_stream, arguments, sink, result, err);
}

/* ---- commit ---- */

static int co_begin_commit(struct server *server, json_t *arguments, json_t **result,
			   struct error *err)
{
	struct commit_request request = { .top = get_text(arguments, "top"),
					  .base = get_text(arguments, "base") };
	int ret = get_speed(arguments, &request.speed, err);

	(void)result;
	return ret ? ret : server_commit_co_start(server, &request, err);
}

int command_co_commit(struct server *server, json_t *arguments, const struct event_sink *sink,
		      json_t **result, struct error *err)
{
	return co_start_job(server, "commit", co_begin_commit, arguments, sink, result, err);
}

/* ---- Control ---- */

static int check_runs(const struct server *server, const char *key, struct error *err)
{
	return runs(server, key) ? 0 : error_set(err, -ENOENT, "no %s runs", key);
}

static int set_paused(struct server *server, const char *key, bool paused, json_t **result,
		      struct error *err)
{
	int ret = check_runs(server, key, err);

	if (ret)
		return ret;
	server_job_set_paused(server, paused);
	*result = server_job_json(server->job);
	return 0;
}

static int co_cancel(struct server *server, const char *key, json_t **result, struct error *err)
{
	int ret = check_runs(server, key, err);

	if (ret)
		return ret;
	server_job_co_cancel(server);
	*result = server_job_json(server->job);
	return 0;
}

int command_co_stream_pause(struct server *server, json_t *arguments, const struct event_sink *sink,
			    json_t **result, struct error *err)
{
	(void)arguments;
	(void)sink;
	return set_paused(server, "stream", true, result, err);
}

int command_co_stream_resume(struct server *server, json_t *arguments,
			     const struct event_sink *sink, json_t **result, struct error *err)
{
	(void)arguments;
	(void)sink;
	return set_paused(server, "stream", false, result, err);
}

int command_co_stream_cancel(struct server *server, json_t *arguments,
			     const struct event_sink *sink, json_t **result, struct error *err)
{
	(void)arguments;
	(void)sink;
	return co_cancel(server, "stream", result, err);
}

int command_co_commit_pause(struct server *server, json_t *arguments, const struct event_sink *sink,
			    json_t **result, struct error *err)
{
	(void)arguments;
	(void)sink;
	return set_paused(server, "commit", true, result, err);
}

int command_co_commit_resume(struct server *server, json_t *arguments,
			     const struct event_sink *sink, json_t **result, struct error *err)
{
	(void)arguments;
	(void)sink;
	return set_paused(server, "commit", false, result, err);
}

int command_co_commit_cancel(struct server *server, json_t *arguments,
			     const struct event_sink *sink, json_t **result, struct error *err)
{
	(void)arguments;
	(void)sink;
	return co_cancel(server, "commit", result, err);
}
