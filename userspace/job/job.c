// SPDX-License-Identifier: GPL-2.0
/* Jobs: states, control, speed, errors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aio/sys.h"
#include "aio/timer.h"
#include "populate/populate.h"
#include "job/job.h"
#include "util/log.h"
#include "util/room.h"
#include "util/units.h"

/*
 * The back-off after a failure: the first, the maximum, and the failures after which a
 * job pauses.
 */
#define BACK_OFF_NS	(100 * 1000000ULL)
#define MAX_BACK_OFF_NS (10 * 1000000000ULL)
#define MAX_FAILURES	10
/*
 * The most failures that are counted while the image's file system is full: the job tries again
 * every 1.6 seconds, and does not pause.
 */
#define FULL_FAILURES 4
/*
 * Unused time that a job may catch up on. Stalls shorter than this do not lower the
 * average speed, and no interval of ten seconds exceeds the limit by more than a
 * twentieth.
 */
#define CREDIT_NS (500 * 1000000ULL)
/* How often a sleeping coroutine checks for a request to pause or end. */
#define LOOK_NS (50 * 1000000ULL)

#define SECOND 1000000000ULL

const char *job_state_name(enum job_state state)
{
	static const char *const names[] = {
		[JOB_RUNNING] = "running", [JOB_WAITING] = "waiting", [JOB_PAUSED] = "paused",
		[JOB_DONE] = "done",	   [JOB_FAILED] = "failed",   [JOB_CANCELLED] = "cancelled",
	};

	return names[state];
}

void job_init(struct job *job, struct blk_node *node,
	      int (*co_run)(struct job *job, struct error *err))
{
	memset(job, 0, sizeof(*job));
	job->node = node;
	job->co_run = co_run;
	job->back_off = BACK_OFF_NS;
	pthread_mutex_init(&job->mutex, NULL);
	co_queue_init(&job->control);
	co_queue_init(&job->watchers);
}

void job_destroy(struct job *job)
{
	free(job->error_text);
	pthread_mutex_destroy(&job->mutex);
}

/* Set the state and wake the watchers. With job->mutex held. */
static void set_state(struct job *job, enum job_state state)
{
	if (job->state == state)
		return;
	job->state = state;
	co_queue_wake_all(&job->watchers);
}

static void set_error(struct job *job, char *text)
{
	free(job->error_text);
	job->error_text = text;
}

/* ---- Start and end ---- */

static void run(void *arg)
{
	struct job *job = arg;
	struct error err = ERROR_INIT;
	int ret = job->co_run(job, &err);

	pthread_mutex_lock(&job->mutex);
	if (ret && !job->cancel) {
		job->errors++;
		set_error(job, strdup(error_text(&err)));
	}
	set_state(job, job->cancel && ret ? JOB_CANCELLED : ret ? JOB_FAILED : JOB_DONE);
	pthread_mutex_unlock(&job->mutex);
	error_free(&err);
	/* A watcher may already have freed @job. */
}

static void on_start(struct aio_post *post)
{
	struct job *job = container_of(post, struct job, start);

	if (!co_start(run, job))
		return;
	pthread_mutex_lock(&job->mutex);
	set_error(job, strdup("not enough memory"));
	set_state(job, JOB_FAILED);
	pthread_mutex_unlock(&job->mutex);
}

int job_co_start(struct job *job, struct error *err)
{
	int ret = populate_co_start_background(job->node, err);

	if (ret)
		return ret;
	job->start.fn = on_start;
	aio_loop_post(populate_background_loop(job->node), &job->start);
	return 0;
}

/* ---- Control ---- */

static void ask(struct job *job, bool pause, bool cancel)
{
	pthread_mutex_lock(&job->mutex);
	job->pause = pause;
	job->cancel |= cancel;
	co_queue_wake_all(&job->control);
	pthread_mutex_unlock(&job->mutex);
}

void job_pause(struct job *job)
{
	ask(job, true, false);
}

void job_resume(struct job *job)
{
	ask(job, false, false);
}

void job_cancel(struct job *job)
{
	ask(job, false, true);
}

void job_set_speed(struct job *job, uint64_t speed)
{
	pthread_mutex_lock(&job->mutex);
	job->speed = speed;
	pthread_mutex_unlock(&job->mutex);
}

uint64_t job_get_speed(struct job *job)
{
	uint64_t speed;

	pthread_mutex_lock(&job->mutex);
	speed = job->speed;
	pthread_mutex_unlock(&job->mutex);
	return speed;
}

time_t job_full_since(struct job *job)
{
	time_t since;

	pthread_mutex_lock(&job->mutex);
	since = job->full_since;
	pthread_mutex_unlock(&job->mutex);
	return since;
}

enum job_state job_co_wait_end(struct job *job)
{
	enum job_state state;

	pthread_mutex_lock(&job->mutex);
	while (state = job->state, !job_state_is_last(state))
		co_queue_wait(&job->watchers, &job->mutex);
	pthread_mutex_unlock(&job->mutex);
	return state;
}

/* ---- For the work ---- */

bool job_co_checkpoint(struct job *job)
{
	bool go_on;

	pthread_mutex_lock(&job->mutex);
	while (job->pause && !job->cancel) {
		set_state(job, JOB_PAUSED);
		co_queue_wait(&job->control, &job->mutex);
	}
	go_on = !job->cancel;
	if (job->state == JOB_PAUSED)
		set_state(job, JOB_RUNNING);
	pthread_mutex_unlock(&job->mutex);
	return go_on;
}

static bool is_disturbed(struct job *job)
{
	bool disturbed;

	pthread_mutex_lock(&job->mutex);
	disturbed = job->pause || job->cancel;
	pthread_mutex_unlock(&job->mutex);
	return disturbed;
}

void job_co_nap(struct job *job, uint64_t ns)
{
	uint64_t end = aio_now() + ns, now;

	/* Control comes from other threads and cannot end a timer of this loop, so poll. */
	while ((now = aio_now()) < end && !is_disturbed(job))
		aio_co_sleep(min_u64(end - now, LOOK_NS));
}

static uint64_t time_of(uint64_t bytes, uint64_t speed)
{
	return (uint64_t)((double)bytes * (double)SECOND / (double)speed);
}

/*
 * Update job->due, the time at which @speed allows the next bytes. When the speed
 * changes, the bytes owed stay the same, so the time left is scaled.
 */
static void reckon_due(struct job *job, uint64_t speed, uint64_t now)
{
	if (!speed || !job->due)
		job->due = now;
	else if (job->due > now && job->due_speed != speed)
		job->due = now + (uint64_t)((double)(job->due - now) * (double)job->due_speed /
					    (double)speed);
	else if (job->due + CREDIT_NS < now)
		job->due = now - CREDIT_NS;
	job->due_speed = speed;
}

bool job_co_pace(struct job *job, uint64_t bytes)
{
	uint64_t speed, now;

	for (;;) {
		if (!job_co_checkpoint(job))
			return false;
		speed = job_get_speed(job);
		now = aio_now();
		reckon_due(job, speed, now);
		if (job->due <= now)
			break;
		/* In short sleeps, so that a new speed takes effect soon. */
		job_co_nap(job, min_u64(job->due - now, LOOK_NS));
	}
	if (speed)
		job->due += time_of(bytes, speed);
	return true;
}

void job_refund(struct job *job, uint64_t bytes)
{
	if (job->due_speed && bytes)
		job->due -= min_u64(time_of(bytes, job->due_speed), job->due);
}

bool job_co_back_off(struct job *job, int error, const char *what)
{
	uint64_t wait = min_u64(job->back_off << min_u64(job->failures, 20), MAX_BACK_OFF_NS);
	bool full = is_out_of_room(error);
	char *text = NULL;

	if (asprintf(&text, "%s: %s", what, strerror(-error)) < 0)
		text = NULL;
	job->failures++;
	if (full)
		job->failures = min_u64(job->failures, FULL_FAILURES);
	if (job->failures == 1 || (full && !job->full_since))
		log_warning("%s: %s", job->node->filename, text ? text : what);
	pthread_mutex_lock(&job->mutex);
	job->errors++;
	set_error(job, text);
	if (!full)
		job->full_since = 0;
	else if (!job->full_since)
		job->full_since = time(NULL);
	if (job->failures >= MAX_FAILURES) {
		job->failures = 0;
		job->pause = true;
	} else {
		set_state(job, JOB_WAITING);
	}
	pthread_mutex_unlock(&job->mutex);
	job_co_nap(job, wait);
	return job_co_checkpoint(job);
}

void job_went_well(struct job *job)
{
	job->failures = 0;
	pthread_mutex_lock(&job->mutex);
	if (job->full_since)
		log_info("%s: there is room again: the work goes on", job->node->filename);
	job->full_since = 0;
	if (job->state == JOB_WAITING)
		set_state(job, JOB_RUNNING);
	set_error(job, NULL);
	pthread_mutex_unlock(&job->mutex);
}
