/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The job of the served image: a stream, a prefetch or a commit, one at a time. What is common to
 * them: a coroutine follows the job to its end and keeps its final status.
 *
 * All functions are for the main loop. The caller of those that start or change a job holds
 * SLOT_STREAM, or the server is starting or stopping.
 */
#ifndef QEDBLK_SERVER_JOB_H
#define QEDBLK_SERVER_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "job/job.h"
#include "util/error.h"

struct blk_node;
struct server;

struct server_job_kind {
	const char *name; /* "stream" */
	const char *key; /* of its status in the server's status */
	const char *event; /* of its progress, for a client that waits */
	bool is_wished; /* server->wish is about it: a successor goes on with it */
	/* Return the status, a new reference. Does not yield. */
	json_t *(*status)(struct job *job);
	/* Free the job, which has ended. Yields while files are closed. */
	void (*co_free)(struct job *job);
	/* It ended in @state, and is freed. Does not yield. */
	void (*ended)(struct server *server, enum job_state state);
};

/* One job, and its final status after its end. */
struct server_job {
	const struct server_job_kind *kind;
	struct job *job; /* NULL: it has ended, and is freed */
	/* It has ended. Its nodes may be closed already: only @end tells its status. */
	bool over;
	json_t *end; /* the final status, or NULL */
	unsigned int refs; /* the server, and each client that waits for its end */
};

/* Return true while a job runs. */
bool server_job_runs(const struct server *server);
/* Return since when the job waits for room in a file system; 0: it does not. */
time_t server_job_full_since(const struct server *server);
/* Return 0, or -EBUSY with an error line while a job runs. */
int server_job_check_none(const struct server *server, struct error *err);
/*
 * Make @job, which was started, the server's job, and follow it. After an error, a negative errno
 * with an error line, it has ended and is freed, and kind->ended() was not called. Coroutine;
 * yields.
 */
int server_job_co_adopt(struct server *server, const struct server_job_kind *kind, struct job *job,
			struct error *err);

/* Change the running job; @speed in bytes a second, 0: no limit. */
void server_job_set_speed(struct server *server, uint64_t speed);
/* Return true while a job runs with which a successor goes on. */
bool server_job_is_wished(const struct server *server);
void server_job_set_paused(struct server *server, bool paused);
/*
 * Have it end, done or not, and yield until it is gone. What it has done stays done. After a stop a
 * successor goes on with a stream; after a cancellation it does not.
 */
void server_job_co_stop(struct server *server);
void server_job_co_cancel(struct server *server);

/* Return the node of @top's backing chain that @name, relative to @top, means; or NULL. */
struct blk_node *server_job_find_backing(const struct blk_node *top, const char *name);

/* Return the status of @job, a new reference. */
json_t *server_job_json(const struct server_job *job);

/*
 * Take and drop a reference to the latest job, whose status stays available when another one
 * starts.
 */
struct server_job *server_job_get(const struct server *server);
void server_job_put(struct server_job *job);

#endif
