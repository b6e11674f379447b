// SPDX-License-Identifier: GPL-2.0
/* The job of the served image, from its start to its end. */
#include <errno.h>
#include <stdlib.h>

#include "file/name.h"
#include "server/job.h"
#include "server/server.h"
#include "server/state_file.h"
#include "server/stream.h"
#include "util/log.h"

/* ---- References and status ---- */

json_t *server_job_json(const struct server_job *job)
{
	return job->over ? json_incref(job->end) : job->kind->status(job->job);
}

struct server_job *server_job_get(const struct server *server)
{
	server->job->refs++;
	return server->job;
}

void server_job_put(struct server_job *job)
{
	if (!job || --job->refs)
		return;
	json_decref(job->end);
	free(job);
}

bool server_job_runs(const struct server *server)
{
	return server->job && server->job->job;
}

bool server_job_is_wished(const struct server *server)
{
	return server_job_runs(server) && server->job->kind->is_wished;
}

time_t server_job_full_since(const struct server *server)
{
	return server_job_runs(server) ? job_full_since(server->job->job) : 0;
}

int server_job_check_none(const struct server *server, struct error *err)
{
	if (!server_job_runs(server))
		return 0;
	return error_set(err, -EBUSY, "a %s runs: wait for it, or cancel it",
			 server->job->kind->name);
}

struct blk_node *server_job_find_backing(const struct blk_node *top, const char *name)
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

/* ---- Start and end ---- */

static void log_end(const struct server *server, enum job_state state)
{
	const struct server_job *job = server->job;
	const char *error = json_string_value(json_object_get(job->end, "error"));

	if (state == JOB_DONE)
		log_info("%s: %s done", server->options->name, job->kind->name);
	else if (state == JOB_FAILED)
		log_error("%s: %s failed: %s", server->options->name, job->kind->name,
			  error ? error : "");
}

/* Until this returns the job counts as running. Yields while files are closed. */
static void co_free_job(struct server_job *job)
{
	job->over = true;
	job->kind->co_free(job->job);
	job->job = NULL;
}

/* Wait for the end of the job. A coroutine of the main loop; commands run concurrently. */
static void follow(void *arg)
{
	struct server *server = arg;
	/* Not replaced while the job runs. */
	struct server_job *job = server->job;
	enum job_state state = job_co_wait_end(job->job);

	job->end = job->kind->status(job->job);
	log_end(server, state);
	co_free_job(job);
	/* No yielding from here on. */
	job->kind->ended(server, state);
	state_file_refresh(server);
	server_changed(server);
}

/* Make @job, which runs, the latest one; the previous one has ended. */
static int set_job(struct server *server, const struct server_job_kind *kind, struct job *job)
{
	struct server_job *latest = calloc(1, sizeof(*latest));

	if (!latest)
		return -ENOMEM;
	*latest = (struct server_job){ .kind = kind, .job = job, .refs = 1 };
	server_job_put(server->job);
	server->job = latest;
	return 0;
}

static void co_end(struct job *job)
{
	job_cancel(job);
	job_co_wait_end(job);
}

int server_job_co_adopt(struct server *server, const struct server_job_kind *kind, struct job *job,
			struct error *err)
{
	int ret = set_job(server, kind, job);

	if (ret) {
		co_end(job);
		kind->co_free(job);
		return error_set_errno(err, ret, "%s", kind->name);
	}
	ret = co_start(follow, server);
	if (!ret)
		return 0;
	/* Without a follower the job must not run. */
	co_end(job);
	co_free_job(server->job);
	return error_set_errno(err, ret, "%s", kind->name);
}

void server_job_set_speed(struct server *server, uint64_t speed)
{
	job_set_speed(server->job->job, speed);
	state_file_refresh(server);
}

void server_job_set_paused(struct server *server, bool paused)
{
	struct job *job = server->job->job;

	if (paused)
		job_pause(job);
	else
		job_resume(job);
	if (server_job_is_wished(server))
		server->wish.paused = paused;
	state_file_refresh(server);
}

void server_job_co_stop(struct server *server)
{
	if (server_job_runs(server))
		job_cancel(server->job->job);
	while (server_job_runs(server))
		server_co_wait_change(server);
}

void server_job_co_cancel(struct server *server)
{
	if (server_job_is_wished(server))
		server_stream_drop_wish(server);
	server_job_co_stop(server);
}
