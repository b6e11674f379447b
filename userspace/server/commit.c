// SPDX-License-Identifier: GPL-2.0
/*
 * Committing images of the served image's backing chain.
 *
 * The files of the chain change on purpose: what is recorded of those that are written to goes
 * before the first write, and is recorded again after the end.
 */
#include <errno.h>

#include "job/live_commit.h"
#include "server/commit.h"
#include "server/job.h"
#include "server/server.h"
#include "server/state_file.h"
#include "server/status.h"
#include "server/watch.h"
#include "util/json_text.h"
#include "util/units.h"

/* ---- Status ---- */

static double percent(const struct live_commit_status *status)
{
	if (status->state == JOB_DONE)
		return 100;
	return status->total ? 100.0 * (double)status->done / (double)status->total : 0;
}

static json_t *job_status(struct job *job)
{
	struct live_commit *commit = container_of(job, struct live_commit, job);
	struct live_commit_status status;
	double seconds;
	json_t *json;

	live_commit_get_status(commit, &status);
	seconds = (double)status.elapsed / 1e9;
	json = json_pack("{s:s, s:s, s:f, s:o, s:o, s:{s:I, s:I}, s:I, s:I, s:I, s:I}", "kind",
			 "commit", "state", job_state_name(status.state), "percent",
			 percent(&status), "top", json_text(commit->opts.top->filename), "base",
			 json_text(commit->opts.base->filename), "bytes", "total",
			 (json_int_t)status.total, "done", (json_int_t)status.done, "written-bytes",
			 (json_int_t)status.written, "bytes-per-second",
			 (json_int_t)(seconds > 0 ? (double)status.written / seconds : 0), "speed",
			 (json_int_t)status.speed, "errors", (json_int_t)status.errors);
	if (status.error[0])
		json_object_set_new(json, "error", json_string(status.error));
	return json;
}

/* ---- Start and end ---- */

static void job_free(struct job *job)
{
	live_commit_co_free(container_of(job, struct live_commit, job));
}

static void ended(struct server *server, enum job_state state)
{
	(void)state;
	status_refresh_chain(server);
	server_watch_renew(server);
}

static const struct server_job_kind commit_kind = {
	.name = "commit",
	.key = "commit",
	.event = "COMMIT_PROGRESS",
	.status = job_status,
	.co_free = job_free,
	.ended = ended,
};

static int find_images(const struct server *server, const struct commit_request *request,
		       struct live_commit_opts *opts, struct error *err)
{
	struct blk_node *node = server->image.node;

	if (!request->top)
		return error_set(
			err, -ENOTSUP,
			"the image that the device writes to cannot be committed yet: name "
			"one below it with --top");
	opts->top = server_job_find_backing(node, request->top);
	if (!opts->top)
		return error_set(err, -EINVAL, "%s: not in the backing chain", request->top);
	opts->base = opts->top->backing;
	if (!opts->base)
		return error_set(err, -EINVAL, "%s: has no backing file", request->top);
	if (request->base)
		opts->base = server_job_find_backing(node, request->base);
	else
		while (opts->base->backing)
			opts->base = opts->base->backing;
	return opts->base ? 0 :
			    error_set(err, -EINVAL, "%s: not in the backing chain", request->base);
}

/* Say what to do about a base that is in use. */
static void tell_way(struct error *err)
{
	struct error said = *err;

	*err = ERROR_INIT;
	error_set(err, said.code,
		  "%s (a commit changes what other users of this file read: end them first, or "
		  "commit into an image above it with --base)",
		  error_text(&said));
	error_free(&said);
}

int server_commit_co_start(struct server *server, const struct commit_request *request,
			   struct error *err)
{
	struct blk_node *node = server->image.node;
	struct live_commit_opts opts = {
		.speed = request->speed,
		.open = { .backing_dir = server->options->backing_dir,
			  .l2_cache_size = server->options->l2_cache },
	};
	bool before = server->backing_changes;
	struct live_commit *commit;
	int ret = find_images(server, request, &opts, err);

	if (ret)
		return ret;
	/* A successor must not demand the backing file that the image may no longer have. */
	server->backing_changes |= opts.top == node->backing;
	ret = state_file_write(server, err);
	if (!ret)
		ret = live_commit_co_start(&commit, node, &opts, err);
	if (ret) {
		server->backing_changes = before;
		state_file_refresh(server);
		if (ret == -EBUSY)
			tell_way(err);
		return ret;
	}
	server_watch_follow(server);
	return server_job_co_adopt(server, &commit_kind, &commit->job, err);
}
