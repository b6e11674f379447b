/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Background work on a node: its states, and how it is paused, slowed, watched
 * and ended.
 *
 * A job's coroutines run on its node's background thread.  Whoever controls it may
 * be on any thread.  It ends before its node is closed.
 */
#ifndef QEDBLK_JOB_JOB_H
#define QEDBLK_JOB_JOB_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "aio/lock.h"
#include "aio/loop.h"
#include "block/node.h"
#include "util/error.h"

enum job_state {
	JOB_RUNNING,
	JOB_WAITING, /* after an error, to try again */
	JOB_PAUSED, /* by a person, or after too many errors: ->error_text says so */
	/* The last ones. */
	JOB_DONE,
	JOB_FAILED,
	JOB_CANCELLED,
};

struct job {
	struct blk_node *node;
	/* The work, in a coroutine of the background thread.  Returns 0 or -errno with a line. */
	int (*co_run)(struct job *job, struct error *err);
	struct aio_post start;

	/* The background thread's own. */
	uint64_t due; /* ns, monotonic: when the speed allows to go on; 0: it did not begin */
	uint64_t due_speed; /* that @due was reckoned with */
	unsigned int failures; /* in a row */
	uint64_t back_off; /* ns: after the first of them */

	pthread_mutex_t mutex; /* protects what follows */
	enum job_state state;
	bool pause, cancel; /* what was asked for */
	uint64_t speed; /* bytes a second, 0: no limit */
	uint64_t errors; /* how often something failed */
	char *error_text; /* what failed last, until it went well again; NULL: nothing */
	struct co_queue control; /* the job's coroutines, for a change of what was asked for */
	struct co_queue watchers; /* whoever waits for a change of state */
};

static inline bool job_state_is_last(enum job_state state)
{
	return state >= JOB_DONE;
}

/* "running", "waiting", ... */
const char *job_state_name(enum job_state state);

/*
 * @co_run is the work: a coroutine of @node's background thread, which returns 0, or a negative
 * errno with a line.  Nothing runs yet.  Both outlive the job, and @job is the caller's.
 */
void job_init(struct job *job, struct blk_node *node,
	      int (*co_run)(struct job *job, struct error *err));
/* The job has ended, or was never started. */
void job_destroy(struct job *job);

/* Start it.  Returns 0 or a negative errno with a line.  Coroutine of any loop; parks. */
int job_co_start(struct job *job, struct error *err);

/* ---- Control; any thread ---- */

/* Hold at the next checkpoint; returns at once. */
void job_pause(struct job *job);
/* Go on, be it that it paused by itself. */
void job_resume(struct job *job);
/* Have it end soon; what was done stays done. */
void job_cancel(struct job *job);
/* @speed in bytes a second, 0: no limit. */
void job_set_speed(struct job *job, uint64_t speed);
uint64_t job_get_speed(struct job *job);
enum job_state job_get_state(struct job *job);
/* Park until the state is none of @state, and has not to be the last one. */
void job_co_wait_change(struct job *job, enum job_state state);
/* Park until it has ended. */
void job_co_wait_end(struct job *job);

/* ---- For the work itself; the background thread's coroutines ---- */

/* Park while the job is paused.  False: it is to end. */
bool job_co_checkpoint(struct job *job);
/* Sleep, but not beyond a request to pause or end. */
void job_co_nap(struct job *job, uint64_t ns);
/*
 * Park until the speed allows @bytes more, which are then accounted for.  False:
 * the job is to end.  What was not used after all is given back by job_refund().
 */
bool job_co_pace(struct job *job, uint64_t bytes);
void job_refund(struct job *job, uint64_t bytes);
/*
 * Something failed with @error (negative), @what says what: park for a time that
 * doubles with each failure in a row, and after too many of them pause.  False:
 * the job is to end.
 */
bool job_co_back_off(struct job *job, int error, const char *what);
/* It went well: a failure is the first again. */
void job_went_well(struct job *job);

#endif
