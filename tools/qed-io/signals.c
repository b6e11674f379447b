// SPDX-License-Identifier: GPL-2.0
/*
 * SIGINT, SIGTERM and SIGHUP end the program as usual, but only after completed writes
 * are saved in the image, since drivers keep metadata in memory for a while. A thread
 * waits for them, so that they are handled whatever the loop's thread does. It has the
 * loop save the image, within a time limit, and then lets the signal end the program; a
 * second signal ends it at once.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "aio/sys.h"
#include "qed-io/input.h"
#include "qed-io/signals.h"
#include "util/units.h"

/* Time limit of saving: an image on a network may never respond. */
#define SAVE_SECONDS 2

static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

static struct {
	struct io_session *io;
	sigset_t set; /* the signals of @numbers that are not ignored */
	pthread_mutex_t mutex; /* protects the fields below */
	struct aio_loop *loop; /* NULL: the session has not started, or has ended */
	bool caught;
	struct aio_post post;
	sem_t saved;
} signals = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void save_co(void *arg)
{
	(void)arg;
	io_session_co_save(signals.io);
	fflush(stdout);
	sem_post(&signals.saved);
}

static void save(struct aio_post *post)
{
	(void)post;
	if (co_start(save_co, NULL) < 0)
		sem_post(&signals.saved);
}

static void wait_saved(void)
{
	struct timespec until;
	bool running;

	pthread_mutex_lock(&signals.mutex);
	running = signals.loop;
	if (running) {
		signals.caught = true;
		signals.post.fn = save;
		aio_loop_post(signals.loop, &signals.post);
	}
	pthread_mutex_unlock(&signals.mutex);
	if (!running)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += SAVE_SECONDS;
	while (sem_clockwait(&signals.saved, CLOCK_MONOTONIC, &until) && errno == EINTR)
		;
}

static void *wait_for_signal(void *arg)
{
	int number, err;
	size_t i;

	(void)arg;
	do
		err = sigwait(&signals.set, &number);
	while (err == EINTR);
	if (err)
		return NULL;
	/*
	 * The next signal is delivered to this thread, the only one with it unblocked, and ends the
	 * process.
	 */
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (sigismember(&signals.set, numbers[i]))
			signal(numbers[i], SIG_DFL); /* the prompt has handlers of its own */
	pthread_sigmask(SIG_UNBLOCK, &signals.set, NULL);
	wait_saved();
	io_input_restore();
	io_signals_raise(number);
	return NULL;
}

void io_signals_init(struct io_session *io)
{
	struct sigaction now;
	pthread_t thread;
	bool any = false;
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	signals.io = io;
	sem_init(&signals.saved, 0, 0);
	sigemptyset(&signals.set);
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		/* Signals that the parent ignored stay ignored: `nohup`, or `&` in a script. */
		if (sigaction(numbers[i], NULL, &now) || now.sa_handler == SIG_IGN)
			continue;
		sigaddset(&signals.set, numbers[i]);
		any = true;
	}
	if (!any)
		return;
	pthread_sigmask(SIG_BLOCK, &signals.set, NULL);
	if (pthread_create(&thread, NULL, wait_for_signal, NULL))
		/* Without the thread signals end the process at once. */
		pthread_sigmask(SIG_UNBLOCK, &signals.set, NULL);
	else
		pthread_detach(thread);
}

void io_signals_begin(struct aio_loop *loop)
{
	pthread_mutex_lock(&signals.mutex);
	signals.loop = loop;
	pthread_mutex_unlock(&signals.mutex);
}

void io_signals_co_end(void)
{
	bool caught;

	pthread_mutex_lock(&signals.mutex);
	signals.loop = NULL;
	caught = signals.caught;
	pthread_mutex_unlock(&signals.mutex);
	/*
	 * The saving coroutine runs on the loop: let it continue until the signal ends the process.
	 */
	while (caught)
		aio_co_sleep(UINT64_C(1000000000));
}

void io_signals_raise(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
}
