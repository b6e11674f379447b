/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Jobs: background work on a node; its states, and how to pause, throttle, watch and
 * cancel it.
 *
 * A job that was started runs on the background thread of its node. Any thread may control
 * it. The job ends before its node is closed.
 */
#ifndef QEDBLK_JOB_JOB_H
#define QEDBLK_JOB_JOB_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "aio/lock.h"
#include "aio/loop.h"
#include "block/node.h"
#include "util/error.h"

enum job_state {
	JOB_RUNNING,
	JOB_WAITING, /* in the back-off after an error, or for room; retries */
	JOB_PAUSED, /* by the user, or after too many errors (then ->error_text is set) */
	/* Final states. */
	JOB_DONE,
	JOB_FAILED,
	JOB_CANCELLED,
};

struct job {
	struct blk_node *node;
	/*
	 * The work: a coroutine of the background thread. Returns 0 or -errno with an error line.
	 */
	int (*co_run)(struct job *job, struct error *err);
	struct aio_post start;

	/* The thread of the work only. */
	uint64_t due; /* ns, monotonic: when the speed limit allows the next bytes; 0: not begun */
	uint64_t due_speed; /* the speed that @due was computed with */
	unsigned int failures; /* consecutive */
	uint64_t back_off; /* ns: after the first failure */

	pthread_mutex_t mutex; /* protects the fields below */
	enum job_state state;
	bool pause, cancel; /* requested by a controlling thread */
	uint64_t speed; /* bytes a second, 0: no limit */
	uint64_t errors; /* count of failures */
	char *error_text; /* the last failure, until the next success; NULL: none */
	time_t full_since; /* when it began to wait for room in a file system; 0: it does not */
	struct co_queue control; /* the job's coroutines, waiting for @pause or @cancel to change */
	struct co_queue watchers; /* coroutines waiting for a change of state */
};

static inline bool job_state_is_last(enum job_state state)
{
	return state >= JOB_DONE;
}

/* "running", "waiting", ... */
const char *job_state_name(enum job_state state);

/*
 * Initialise @job to run @co_run: a coroutine of @node's background thread, which
 * returns 0, or a negative errno with an error line. Nothing runs yet. The caller owns
 * @job; @node outlives it. @node and @co_run NULL: the job is never started, and
 * serves as the control of work that the caller does itself.
 */
void job_init(struct job *job, struct blk_node *node,
	      int (*co_run)(struct job *job, struct error *err));
/* Free the members of @job, which has ended or was never started. */
void job_destroy(struct job *job);

/*
 * Start the job. Returns 0 or a negative errno with an error line. Coroutine of any
 * loop; yields.
 */
int job_co_start(struct job *job, struct error *err);

/* ---- Control; any thread ---- */

/* Have the job pause at its next checkpoint. Does not wait for that. */
void job_pause(struct job *job);
/* Resume the job, also one that paused itself after too many errors. */
void job_resume(struct job *job);
/* Have the job end soon; what it has done stays done. Does not wait for that. */
void job_cancel(struct job *job);
/* @speed in bytes a second, 0: no limit. */
void job_set_speed(struct job *job, uint64_t speed);
uint64_t job_get_speed(struct job *job);
/* Return since when the job waits for room in a file system; 0: it does not. */
time_t job_full_since(struct job *job);
/* Yield until the job has ended, and return how. */
enum job_state job_co_wait_end(struct job *job);

/* ---- For the work itself; coroutines of the one loop it runs on ---- */

/* Yield while the job is paused. Returns false when the job is cancelled. */
bool job_co_checkpoint(struct job *job);
/* Sleep for @ns, or until the job is to pause or end (seen within 50 ms). */
void job_co_nap(struct job *job, uint64_t ns);
/*
 * Yield until the speed limit allows @bytes more, then charge them. Returns false when
 * the job is cancelled. job_refund() returns bytes that were charged and not used.
 */
bool job_co_pace(struct job *job, uint64_t bytes);
void job_refund(struct job *job, uint64_t bytes);
/*
 * Record a failure of @what with @error (negative errno). Yield for a back-off that
 * doubles with each consecutive failure; after too many of them, pause. With the error of a full
 * file system the back-off stays short, and the job does not pause: it waits for room. Returns
 * false when the job is cancelled.
 */
bool job_co_back_off(struct job *job, int error, const char *what);
/* Record a success: the next failure counts as the first again. */
void job_went_well(struct job *job);

#endif
