// SPDX-License-Identifier: GPL-2.0
/*
 * Streaming the served image. A coroutine of the main loop follows the job to its end,
 * closes the images that it removed from the backing chain, and keeps its final
 * status.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aio/timer.h"
#include "file/name.h"
#include "populate/trace.h"
#include "job/stream.h"
#include "server/server.h"
#include "server/state_file.h"
#include "server/status.h"
#include "server/stream.h"
#include "server/watch.h"
#include "util/log.h"
#include "util/units.h"

/* ---- Status ---- */

static double percent(const struct stream_status *status)
{
	if (status->state == JOB_DONE)
		return 100;
	if (!status->total)
		return 0;
	return 100.0 * (double)(status->total - status->left) / (double)status->total;
}

static json_t *status_to_json(const struct stream_status *status)
{
	double seconds = (double)status->elapsed / 1e9;
	json_t *json = json_pack(
		"{s:s, s:s, s:f, s:{s:I, s:I, s:I, s:I}, s:I, s:I, s:I, s:I}", "kind",
		status->prefetch ? "prefetch" : "stream", "state", job_state_name(status->state),
		"percent", percent(status), "clusters", "total", (json_int_t)status->total,
		"populated", (json_int_t)status->populated, "zero", (json_int_t)status->zero,
		"left", (json_int_t)status->left, "source-bytes", (json_int_t)status->source_bytes,
		"bytes-per-second", (json_int_t)(seconds > 0 ? status->source_bytes / seconds : 0),
		"speed", (json_int_t)status->speed, "errors", (json_int_t)status->errors);

	if (status->error[0])
		json_object_set_new(json, "error", json_string(status->error));
	return json;
}

json_t *streaming_json(const struct streaming *streaming)
{
	struct stream_status status;

	if (!streaming->stream)
		return json_incref(streaming->end);
	stream_get_status(streaming->stream, &status);
	return status_to_json(&status);
}

json_t *server_stream_json(const struct server *server)
{
	return server->streaming ? streaming_json(server->streaming) : NULL;
}

json_t *server_stream_needless_json(const char *why)
{
	const struct stream_status status = { .state = JOB_DONE };
	json_t *json = status_to_json(&status);

	json_object_set_new(json, "note", json_string(why));
	return json;
}

/* ---- The wish: what a successor streams ---- */

static int set_wish(struct server *server, const struct stream_request *request)
{
	char *base = request->base ? strdup(request->base) : NULL;

	if (request->base && !base)
		return -ENOMEM;
	free(server->wish.base);
	server->wish = (struct stream_wish){
		.stream = !request->only_first,
		.base = base,
		.prefetch = request->first,
		.paused = request->paused,
	};
	return 0;
}

static void drop_wish(struct server *server)
{
	free(server->wish.base);
	server->wish = (struct stream_wish){ 0 };
}

static struct stream_request request_by_options(const struct device_options *options)
{
	return (struct stream_request){
		.speed = options->speed,
		.base = options->stream_base,
		.first = options->prefetch,
		.only_first = !options->stream,
		.paused = options->stream_paused,
	};
}

int server_stream_wish_by_options(struct server *server)
{
	struct stream_request request = request_by_options(server->options);

	return set_wish(server, &request);
}

/* ---- Start and end ---- */

bool server_stream_runs(const struct server *server)
{
	return server->streaming && server->streaming->stream;
}

struct streaming *server_stream_get(const struct server *server)
{
	server->streaming->refs++;
	return server->streaming;
}

void server_stream_put(struct streaming *streaming)
{
	if (!streaming || --streaming->refs)
		return;
	json_decref(streaming->end);
	free(streaming);
}

/* Make @stream, which runs, the latest one; the previous one has ended. Returns 0 or -ENOMEM. */
static int set_streaming(struct server *server, struct stream *stream)
{
	struct streaming *streaming = calloc(1, sizeof(*streaming));

	if (!streaming)
		return -ENOMEM;
	*streaming = (struct streaming){ .stream = stream, .refs = 1 };
	server_stream_put(server->streaming);
	server->streaming = streaming;
	return 0;
}

/*
 * Free a stream whose job has ended. Yields while files are closed; until then it
 * counts as running.
 */
static void co_free_stream(struct streaming *streaming)
{
	stream_co_free(streaming->stream);
	streaming->stream = NULL;
}

static void log_end(const struct server *server, const struct stream_status *status)
{
	const char *name = server->options->name;

	if (status->state == JOB_DONE)
		log_info("%s: %s done", name, status->prefetch ? "prefetch" : "stream");
	else if (status->state == JOB_FAILED)
		log_error("%s: stream failed: %s", name, status->error);
}

/* Wait for the end of the stream. A coroutine of the main loop; commands run concurrently. */
static void follow(void *arg)
{
	struct server *server = arg;
	/* Not replaced while the stream runs. */
	struct streaming *streaming = server->streaming;
	struct stream_status status;

	job_co_wait_end(&streaming->stream->job);
	stream_get_status(streaming->stream, &status);
	log_end(server, &status);
	streaming->end = status_to_json(&status);
	co_free_stream(streaming);
	/* No yielding from here on. */
	if (status.state == JOB_DONE)
		drop_wish(server);
	if (status.state == JOB_DONE && !status.prefetch) {
		status_refresh_chain(server);
		server_watch_follow(server);
		server->backing_changes = true;
	}
	state_file_refresh(server);
	server_changed(server);
}

/* Return the node of the backing chain that @name, relative to the image, means; or NULL. */
static struct blk_node *find_base(struct blk_node *top, const char *name)
{
	struct blk_node *node = top->backing;
	char *wanted;

	if (blk_name_beside(top->filename, name, &wanted, NULL))
		return NULL;
	while (node && !blk_name_same(node->filename, wanted))
		node = node->backing;
	free(wanted);
	return node;
}

const char *server_stream_needless(const struct server *server,
				   const struct stream_request *request)
{
	struct blk_node *node = server->image.node;

	if (!request->base)
		return node->backing ? NULL : "there is no backing file";
	if (node->backing && find_base(node, request->base) == node->backing)
		return "the base is the backing file already";
	return NULL;
}

static int read_first(struct stream_opts *opts, const struct stream_request *request,
		      struct error *err)
{
	struct trace_range *ranges;
	int ret;

	if (!request->first)
		return 0;
	ret = trace_read(request->first, &ranges, &opts->nr_first, err);
	if (ret)
		return ret;
	opts->first = calloc(opts->nr_first + 1, sizeof(*opts->first));
	if (!opts->first)
		ret = error_set_errno(err, -ENOMEM, "%s", request->first);
	for (size_t i = 0; !ret && i < opts->nr_first; i++)
		opts->first[i] = (struct stream_range){ ranges[i].offset, ranges[i].bytes };
	free(ranges);
	return ret;
}

static void co_end(struct stream *stream)
{
	job_cancel(&stream->job);
	job_co_wait_end(&stream->job);
}

int server_stream_co_start(struct server *server, const struct stream_request *request,
			   struct error *err)
{
	struct blk_node *node = server->image.node;
	struct stream_opts opts = {
		.speed = request->speed,
		.only_first = request->only_first,
		.paused = request->paused,
	};
	struct stream *stream;
	int ret;

	if (server_stream_runs(server))
		return error_set(err, -EBUSY, "a stream runs already");
	if (request->base) {
		opts.base = find_base(node, request->base);
		if (!opts.base)
			return error_set(err, -EINVAL, "%s: not in the backing chain",
					 request->base);
	}
	ret = read_first(&opts, request, err);
	if (ret)
		return ret;
	ret = stream_co_start(&stream, node, &opts, err);
	if (ret)
		return ret;
	ret = set_streaming(server, stream);
	if (ret) {
		co_end(stream);
		stream_co_free(stream);
		return error_set_errno(err, ret, "stream");
	}
	/* Set the wish before the follower starts, which drops it at the end, possibly at once. */
	if (set_wish(server, request))
		log_warning("%s: not enough memory to note the stream", server->options->name);
	server->backing_changes |= !!request->base;
	ret = co_start(follow, server);
	if (!ret) {
		state_file_refresh(server);
		return 0;
	}
	/* Without a follower the stream must not run. */
	co_end(stream);
	co_free_stream(server->streaming);
	drop_wish(server);
	return error_set_errno(err, ret, "stream");
}

int server_stream_co_start_by_options(struct server *server, struct error *err)
{
	const struct device_options *options = server->options;
	struct stream_request request = request_by_options(options);

	if (!options->stream && !options->prefetch)
		return 0;
	if (!server_stream_needless(server, &request))
		return server_stream_co_start(server, &request, err);
	/* The stream finished under an earlier server. */
	drop_wish(server);
	state_file_refresh(server);
	return 0;
}

void server_stream_set_speed(struct server *server, uint64_t speed)
{
	job_set_speed(&server->streaming->stream->job, speed);
	state_file_refresh(server);
}

void server_stream_set_paused(struct server *server, bool paused)
{
	struct job *job = &server->streaming->stream->job;

	if (paused)
		job_pause(job);
	else
		job_resume(job);
	server->wish.paused = paused;
	state_file_refresh(server);
}

void server_stream_co_cancel(struct server *server)
{
	drop_wish(server);
	server_stream_co_stop(server);
}

void server_stream_co_stop(struct server *server)
{
	if (server_stream_runs(server))
		job_cancel(&server->streaming->stream->job);
	while (server_stream_runs(server))
		server_co_wait_change(server);
}
