// SPDX-License-Identifier: GPL-2.0
/* A node's background thread. */
#include <errno.h>
#include <sys/prctl.h>

#include "aio/sys.h"
#include "populate/background.h"

#define RING_ENTRIES 128

/* Shared by start_thread(), on a worker thread, and the new thread. */
struct start {
	struct background *bg;
	co_fn *fn;
	void *arg;
	struct error *err;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	struct aio_loop *loop;
	int ret;
	bool done;
};

static void report(struct start *start, struct aio_loop *loop, int ret)
{
	pthread_mutex_lock(&start->mutex);
	start->loop = loop;
	start->ret = ret;
	start->done = true;
	pthread_cond_signal(&start->cond);
	pthread_mutex_unlock(&start->mutex);
}

static int prepare(struct start *start, struct aio_loop **loop)
{
	int ret = aio_loop_create(loop, RING_ENTRIES, start->err);

	if (ret)
		return ret;
	ret = co_start(start->fn, start->arg);
	if (ret) {
		aio_loop_destroy(*loop);
		return error_set_errno(start->err, ret, "cannot start a coroutine");
	}
	return 0;
}

static void *thread_main(void *arg)
{
	struct start *start = arg;
	struct aio_loop *loop = NULL;
	int ret;

	/* Writeback of memory may depend on this thread.  Fails without CAP_SYS_RESOURCE. */
	(void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	ret = prepare(start, &loop);
	report(start, ret ? NULL : loop, ret);
	/* From here on @start, on the starter's stack, may be gone. */
	if (ret)
		return NULL;
	/* If the ring fails, its operations end with errors; no other caller is to be informed. */
	(void)aio_loop_run(loop);
	aio_loop_destroy(loop);
	return NULL;
}

static int start_thread(void *arg)
{
	struct start *start = arg;
	int ret = -pthread_create(&start->bg->thread, NULL, thread_main, start);

	if (ret)
		return error_set_errno(start->err, ret, "cannot start a background thread");
	pthread_mutex_lock(&start->mutex);
	while (!start->done)
		pthread_cond_wait(&start->cond, &start->mutex);
	pthread_mutex_unlock(&start->mutex);
	if (start->ret)
		(void)pthread_join(start->bg->thread, NULL);
	return start->ret;
}

void background_init(struct background *bg)
{
	co_mutex_init(&bg->starting);
	atomic_init(&bg->loop, NULL);
}

void background_destroy(struct background *bg)
{
	co_mutex_destroy(&bg->starting);
}

int background_co_start(struct background *bg, co_fn *fn, void *arg, struct error *err)
{
	struct start start = { .bg = bg, .fn = fn, .arg = arg, .err = err };
	int ret = 0;

	if (background_loop(bg))
		return 0;
	co_mutex_lock(&bg->starting);
	if (bg->barred) {
		ret = error_set_errno(err, -ESHUTDOWN, "background thread");
	} else if (!background_loop(bg)) {
		pthread_mutex_init(&start.mutex, NULL);
		pthread_cond_init(&start.cond, NULL);
		ret = aio_co_call(start_thread, &start);
		pthread_cond_destroy(&start.cond);
		pthread_mutex_destroy(&start.mutex);
		if (!ret)
			atomic_store_explicit(&bg->loop, start.loop, memory_order_release);
	}
	co_mutex_unlock(&bg->starting);
	return ret;
}

void background_co_bar(struct background *bg, bool barred)
{
	co_mutex_lock(&bg->starting);
	bg->barred = barred;
	co_mutex_unlock(&bg->starting);
}

static int join_thread(void *arg)
{
	struct background *bg = arg;

	return -pthread_join(bg->thread, NULL);
}

void background_co_stop(struct background *bg)
{
	struct aio_loop *loop = background_loop(bg);

	if (!loop)
		return;
	aio_loop_stop(loop);
	(void)aio_co_call(join_thread, bg);
	atomic_store_explicit(&bg->loop, NULL, memory_order_release);
}
