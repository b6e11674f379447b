// SPDX-License-Identifier: GPL-2.0
/*
 * Worker threads for system calls that would block a loop: those that io_uring does
 * not have, and, with the threads engine (threads.c), those on files.  Each kind has a
 * pool of its own, so that I/O does not queue behind calls that wait for a lock or a
 * name.  Workers are started on demand and end after some idle time.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "aio/loop_internal.h"
#include "aio/sys.h"
#include "util/units.h"

/* Bytes: enough for name look-ups, and small enough to lock all workers' stacks in memory. */
#define WORKER_STACK_SIZE (1024 * 1024)

enum worker_state { WORKER_NONE, WORKER_IDLE, WORKER_BUSY };

struct worker {
	struct worker_pool *pool;
	pthread_t thread;
	enum worker_state state;
};

struct worker_pool {
	pthread_mutex_t mutex;
	/* The mutex protects all of these. */
	pthread_cond_t wanted;
	bool exiting;
	unsigned int nr_waiting; /* workers waiting for work */
	unsigned int nr_works; /* works waiting for a worker */
	struct cds_list_head works; /* struct work, the oldest first */
	struct worker *workers;
	unsigned int max_workers;
};

static struct worker call_workers[AIO_MAX_WORKERS], io_workers[AIO_MAX_IO_WORKERS];

static struct worker_pool call_pool = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.workers = call_workers,
	.max_workers = AIO_MAX_WORKERS,
};

struct worker_pool worker_io_pool = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.workers = io_workers,
	.max_workers = AIO_MAX_IO_WORKERS,
};

static struct worker_pool *const pools[] = { &call_pool, &worker_io_pool };

static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Written once. */
static int initialised;
static pid_t owner;

atomic_uint aio_worker_idle_ms = 5000;

static void wait_limit(struct timespec *until)
{
	uint64_t ns = aio_now() + aio_worker_idle_ms * 1000000ULL;

	until->tv_sec = (time_t)(ns / 1000000000);
	until->tv_nsec = (long)(ns % 1000000000);
}

/* Wait for work; NULL when this worker must end.  Called with the mutex held. */
static struct work *next_work(struct worker *self)
{
	struct worker_pool *pool = self->pool;
	struct timespec until;
	struct work *work;
	int ret = 0;

	wait_limit(&until);
	pool->nr_waiting++;
	while (cds_list_empty(&pool->works) && !pool->exiting && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&pool->wanted, &pool->mutex, &until);
	pool->nr_waiting--;
	if (cds_list_empty(&pool->works) || pool->exiting)
		return NULL;
	work = cds_list_first_entry(&pool->works, struct work, link);
	cds_list_del(&work->link);
	pool->nr_works--;
	self->state = WORKER_BUSY;
	return work;
}

static void *worker_main(void *opaque)
{
	struct worker *self = opaque;
	struct worker_pool *pool = self->pool;
	struct work *work;

	pthread_mutex_lock(&pool->mutex);
	while ((work = next_work(self))) {
		pthread_mutex_unlock(&pool->mutex);
		/* The last use of @work, which may be on the stack of a coroutine. */
		work->run(work);
		pthread_mutex_lock(&pool->mutex);
		self->state = WORKER_IDLE;
	}
	if (!pool->exiting) {
		/* No thread joins this one. */
		pthread_detach(pthread_self());
		self->state = WORKER_NONE;
	}
	pthread_mutex_unlock(&pool->mutex);
	return NULL;
}

/* Join idle workers; a busy one may never return, and is detached. */
static void end_pool(struct worker_pool *pool)
{
	pthread_t idle[AIO_MAX_WORKERS + AIO_MAX_IO_WORKERS];
	unsigned int i, n = 0;

	pthread_mutex_lock(&pool->mutex);
	pool->exiting = true;
	for (i = 0; i < pool->max_workers; i++) {
		if (pool->workers[i].state == WORKER_IDLE)
			idle[n++] = pool->workers[i].thread;
		else if (pool->workers[i].state == WORKER_BUSY)
			pthread_detach(pool->workers[i].thread);
	}
	pthread_cond_broadcast(&pool->wanted);
	pthread_mutex_unlock(&pool->mutex);
	for (i = 0; i < n; i++)
		pthread_join(idle[i], NULL);
}

static void end_workers(void)
{
	if (owner != getpid())
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(pools); i++)
		end_pool(pools[i]);
}

static void initialise(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	for (unsigned int i = 0; i < ARRAY_SIZE(pools); i++) {
		pthread_cond_init(&pools[i]->wanted, &attr);
		CDS_INIT_LIST_HEAD(&pools[i]->works);
	}
	pthread_condattr_destroy(&attr);
	owner = getpid();
	initialised = atexit(end_workers) ? -ENOMEM : 0;
}

/* Start a worker in the free slot @worker, with signals blocked: the program's threads get them. */
static int start_worker(struct worker_pool *pool, struct worker *worker)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int ret;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	worker->pool = pool;
	worker->state = WORKER_IDLE;
	ret = pthread_create(&worker->thread, &attr, worker_main, worker);
	if (ret)
		worker->state = WORKER_NONE;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -ret;
}

/* Wake or start a worker for work that is about to be queued.  With the mutex held. */
static int provide_worker(struct worker_pool *pool)
{
	struct worker *vacant = NULL;
	unsigned int i, alive = 0;
	int ret;

	if (pool->nr_works < pool->nr_waiting) {
		pthread_cond_signal(&pool->wanted);
		return 0;
	}
	for (i = 0; i < pool->max_workers; i++) {
		if (pool->workers[i].state != WORKER_NONE)
			alive++;
		else if (!vacant)
			vacant = &pool->workers[i];
	}
	if (!vacant)
		return 0;
	ret = start_worker(pool, vacant);
	/* Without a new worker, one that exists takes the work later. */
	return alive ? 0 : ret;
}

int worker_run(struct worker_pool *pool, struct work *work)
{
	int ret;

	pthread_once(&once, initialise);
	if (initialised < 0)
		return initialised;
	pthread_mutex_lock(&pool->mutex);
	ret = provide_worker(pool);
	if (ret == 0) {
		cds_list_add_tail(&work->link, &pool->works);
		pool->nr_works++;
	}
	pthread_mutex_unlock(&pool->mutex);
	return ret;
}

struct call {
	struct work work;
	int (*fn)(void *arg);
	void *arg;
	int ret;
	struct co *co;
};

static void run_call(struct work *work)
{
	struct call *call = container_of(work, struct call, work);

	call->ret = call->fn(call->arg);
	co_wake(call->co);
}

int aio_co_call(int (*fn)(void *arg), void *arg)
{
	struct call call = {
		.work.run = run_call,
		.fn = fn,
		.arg = arg,
		.co = co_self(),
	};
	int ret = worker_run(&call_pool, &call.work);

	if (ret < 0)
		return ret;
	co_park();
	return call.ret;
}
