// SPDX-License-Identifier: GPL-2.0
/* Streaming the served image. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static json_t *to_json(const struct stream_status *status)
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

static json_t *job_status(struct job *job)
{
	struct stream_status status;

	stream_get_status(container_of(job, struct stream, job), &status);
	return to_json(&status);
}

json_t *server_stream_needless_json(const char *why)
{
	const struct stream_status status = { .state = JOB_DONE };
	json_t *json = to_json(&status);

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

void server_stream_drop_wish(struct server *server)
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

static void job_free(struct job *job)
{
	stream_co_free(container_of(job, struct stream, job));
}

static void prefetch_ended(struct server *server, enum job_state state)
{
	if (state == JOB_DONE)
		server_stream_drop_wish(server);
}

static void stream_ended(struct server *server, enum job_state state)
{
	if (state != JOB_DONE)
		return;
	server_stream_drop_wish(server);
	status_refresh_chain(server);
	server_watch_follow(server);
	server->backing_changes = true;
}

static const struct server_job_kind stream_kind = {
	.name = "stream",
	.key = "stream",
	.event = "STREAM_PROGRESS",
	.is_wished = true,
	.status = job_status,
	.co_free = job_free,
	.ended = stream_ended,
};

static const struct server_job_kind prefetch_kind = {
	.name = "prefetch",
	.key = "stream",
	.event = "STREAM_PROGRESS",
	.is_wished = true,
	.status = job_status,
	.co_free = job_free,
	.ended = prefetch_ended,
};

const char *server_stream_needless(const struct server *server,
				   const struct stream_request *request)
{
	struct blk_node *node = server->image.node;

	if (!request->base)
		return node->backing ? NULL : "there is no backing file";
	if (node->backing && server_job_find_backing(node, request->base) == node->backing)
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
	int ret = server_job_check_none(server, err);

	if (ret)
		return ret;
	if (request->base) {
		opts.base = server_job_find_backing(node, request->base);
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
	/* Set the wish before the follower starts, which drops it at the end, possibly at once. */
	if (set_wish(server, request))
		log_warning("%s: not enough memory to note the stream", server->options->name);
	server->backing_changes |= !!request->base;
	ret = server_job_co_adopt(server, request->only_first ? &prefetch_kind : &stream_kind,
				  &stream->job, err);
	if (ret)
		server_stream_drop_wish(server);
	else
		state_file_refresh(server);
	return ret;
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
	server_stream_drop_wish(server);
	state_file_refresh(server);
	return 0;
}
