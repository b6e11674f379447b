// SPDX-License-Identifier: GPL-2.0
/*
 * Worker threads for system calls that would block a loop and that io_uring does
 * not have.  They are started on demand and end after some idle time.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <urcu/list.h>

#include "aio/co.h"
#include "aio/sys.h"
#include "aio/loop_internal.h"

/* Bytes: enough for name look-ups, and small enough to lock all workers' stacks in memory. */
#define WORKER_STACK_SIZE (1024 * 1024)

struct call {
	int (*fn)(void *arg);
	void *arg;
	int ret;
	struct co *co;
	struct cds_list_head link; /* in calls, until a worker takes it */
};

enum worker_state { WORKER_NONE, WORKER_IDLE, WORKER_BUSY };

struct worker {
	pthread_t thread;
	enum worker_state state;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* The mutex protects all of these. */
static pthread_cond_t wanted;
static bool initialised, exiting;
static pid_t owner;
static struct worker workers[AIO_MAX_WORKERS];
static unsigned int nr_waiting; /* workers waiting for a call */
static unsigned int nr_calls; /* calls waiting for a worker */
static CDS_LIST_HEAD(calls);

atomic_uint aio_worker_idle_ms = 5000;

static void wait_limit(struct timespec *until)
{
	uint64_t ns = aio_now() + aio_worker_idle_ms * 1000000ULL;

	until->tv_sec = (time_t)(ns / 1000000000);
	until->tv_nsec = (long)(ns % 1000000000);
}

/* Wait for a call; NULL when this worker must end.  Called with the mutex held. */
static struct call *next_call(struct worker *self)
{
	struct timespec until;
	struct call *call;
	int ret = 0;

	wait_limit(&until);
	nr_waiting++;
	while (cds_list_empty(&calls) && !exiting && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&wanted, &mutex, &until);
	nr_waiting--;
	if (cds_list_empty(&calls) || exiting)
		return NULL;
	call = cds_list_first_entry(&calls, struct call, link);
	cds_list_del(&call->link);
	nr_calls--;
	self->state = WORKER_BUSY;
	return call;
}

static void *worker_main(void *opaque)
{
	struct worker *self = opaque;
	struct call *call;

	pthread_mutex_lock(&mutex);
	while ((call = next_call(self))) {
		pthread_mutex_unlock(&mutex);
		call->ret = call->fn(call->arg);
		/* The last use of @call, which is on the stack of the coroutine. */
		co_wake(call->co);
		pthread_mutex_lock(&mutex);
		self->state = WORKER_IDLE;
	}
	if (!exiting) {
		/* No thread joins this one. */
		pthread_detach(pthread_self());
		self->state = WORKER_NONE;
	}
	pthread_mutex_unlock(&mutex);
	return NULL;
}

/* Join idle workers at exit; a busy one may never return, and is detached. */
static void end_workers(void)
{
	pthread_t idle[AIO_MAX_WORKERS];
	unsigned int i, n = 0;

	if (owner != getpid())
		return;
	pthread_mutex_lock(&mutex);
	exiting = true;
	for (i = 0; i < AIO_MAX_WORKERS; i++) {
		if (workers[i].state == WORKER_IDLE)
			idle[n++] = workers[i].thread;
		else if (workers[i].state == WORKER_BUSY)
			pthread_detach(workers[i].thread);
	}
	pthread_cond_broadcast(&wanted);
	pthread_mutex_unlock(&mutex);
	for (i = 0; i < n; i++)
		pthread_join(idle[i], NULL);
}

static int initialise(void)
{
	pthread_condattr_t attr;

	if (initialised)
		return 0;
	if (atexit(end_workers))
		return -ENOMEM;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&wanted, &attr);
	pthread_condattr_destroy(&attr);
	owner = getpid();
	initialised = true;
	return 0;
}

/* Start a worker in the free slot @worker, with signals blocked: the program's threads get them. */
static int start_worker(struct worker *worker)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int ret;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	worker->state = WORKER_IDLE;
	ret = pthread_create(&worker->thread, &attr, worker_main, worker);
	if (ret)
		worker->state = WORKER_NONE;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -ret;
}

/* Wake or start a worker for a call that is about to be queued.  With the mutex held. */
static int provide_worker(void)
{
	struct worker *vacant = NULL;
	unsigned int i, alive = 0;
	int ret;

	if (nr_calls < nr_waiting) {
		pthread_cond_signal(&wanted);
		return 0;
	}
	for (i = 0; i < AIO_MAX_WORKERS; i++) {
		if (workers[i].state != WORKER_NONE)
			alive++;
		else if (!vacant)
			vacant = &workers[i];
	}
	if (!vacant)
		return 0;
	ret = start_worker(vacant);
	/* Without a new worker, one that exists takes the call later. */
	return alive ? 0 : ret;
}

int aio_co_call(int (*fn)(void *arg), void *arg)
{
	struct call call = { .fn = fn, .arg = arg, .co = co_self() };
	int ret;

	pthread_mutex_lock(&mutex);
	ret = initialise();
	if (ret >= 0)
		ret = provide_worker();
	if (ret < 0) {
		pthread_mutex_unlock(&mutex);
		return ret;
	}
	cds_list_add_tail(&call.link, &calls);
	nr_calls++;
	pthread_mutex_unlock(&mutex);
	co_park();
	return call.ret;
}
