// SPDX-License-Identifier: GPL-2.0
/*
 * Event loops for nbdkit's threads, and the image that all connections share.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nbdkit/engine.h"
#include "block/driver.h"
#include "device/device_image.h"
#include "file/name.h"
#include "file/protocol.h"
#include "util/log.h"
#include "util/units.h"

#define MAX_LOOPS    4
#define RING_ENTRIES 256
/* Bytes; more than the longest error line. */
#define MAX_ERROR 4096

struct engine_loop {
	pthread_t thread;
	struct aio_loop *loop;
	struct error *err;
	int ret;
	sem_t started;
};

static struct engine {
	pthread_mutex_t lock; /* held only while the engine starts or ends */
	bool is_open;
	struct device_image image;
	struct engine_loop loop[MAX_LOOPS];
	unsigned int nr_loops;
	atomic_uint next_loop;
	char *why_read_only; /* why the image can never be written to; NULL: perhaps it can */
} engine = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- Calls ---- */

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) && errno == EINTR)
		;
}

static void call_co(void *arg)
{
	struct engine_call *call = arg;

	call->ret = call->co_fn(call);
	sem_post(&call->done);
}

static void on_call(struct aio_post *post)
{
	struct engine_call *call = container_of(post, struct engine_call, post);
	int ret = co_start(call_co, call);

	if (ret) {
		call->ret = ret;
		sem_post(&call->done);
	}
}

static int call_on(struct engine_loop *loop, struct engine_call *call)
{
	call->post.fn = on_call;
	sem_init(&call->done, 0, 0);
	aio_loop_post(loop->loop, &call->post);
	wait_for(&call->done);
	sem_destroy(&call->done);
	return call->ret;
}

int engine_call(struct engine_call *call)
{
	unsigned int turn = atomic_fetch_add_explicit(&engine.next_loop, 1, memory_order_relaxed);

	call->node = engine.image.node;
	return call_on(&engine.loop[turn % engine.nr_loops], call);
}

struct blk_node *engine_node(void)
{
	return engine.image.node;
}

/* ---- Loops ---- */

static void *loop_thread(void *arg)
{
	struct engine_loop *self = arg;

	self->ret = aio_loop_create(&self->loop, RING_ENTRIES, self->err);
	sem_post(&self->started);
	if (self->ret)
		return NULL;
	/* Without its ring no call can complete: abort. */
	if (aio_loop_run(self->loop) < 0)
		abort();
	aio_loop_destroy(self->loop);
	return NULL;
}

static int start_loop(struct engine_loop *loop, struct error *err)
{
	sigset_t all, old;
	int ret;

	loop->err = err;
	sem_init(&loop->started, 0, 0);
	/* nbdkit's own threads handle signals. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&loop->thread, NULL, loop_thread, loop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ret) {
		wait_for(&loop->started);
		ret = loop->ret;
		if (ret)
			pthread_join(loop->thread, NULL);
	}
	sem_destroy(&loop->started);
	return ret ? error_set_errno(err, ret, "cannot start a thread") : 0;
}

static void stop_loops(void)
{
	while (engine.nr_loops) {
		struct engine_loop *loop = &engine.loop[--engine.nr_loops];

		aio_loop_stop(loop->loop);
		pthread_join(loop->thread, NULL);
	}
}

static int start_loops(struct error *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int wanted = cpus > 0 ? (unsigned int)min_u64((uint64_t)cpus, MAX_LOOPS) : 1;
	int ret = 0;

	while (!ret && engine.nr_loops < wanted) {
		ret = start_loop(&engine.loop[engine.nr_loops], err);
		if (!ret)
			engine.nr_loops++;
	}
	if (ret)
		stop_loops();
	return ret;
}

/* ---- The image ---- */

struct image_call {
	struct engine_call call;
	const struct device_options *options;
	struct error *err;
};

static int co_open_image(struct engine_call *call)
{
	struct image_call *open = container_of(call, struct image_call, call);

	int ret = device_image_co_open(&engine.image, open->options, -1, open->err);

	if (!ret)
		device_image_warn(&engine.image, NULL);
	return ret;
}

static int co_close_image(struct engine_call *call)
{
	(void)call;
	return device_image_co_close(&engine.image);
}

static int start(const struct device_options *options, struct error *err)
{
	struct image_call open = {
		.call.co_fn = co_open_image,
		.options = options,
		.err = err,
	};
	int ret = start_loops(err);

	if (ret)
		return ret;
	/* The image's background coroutines run on the loop that opened it. */
	ret = call_on(&engine.loop[0], &open.call);
	if (ret) {
		device_image_free(&engine.image);
		stop_loops();
	}
	return ret;
}

int engine_open(const struct device_options *options, bool read_only, struct error *err)
{
	struct device_options now = *options;
	int ret = 0;

	now.read_only = read_only || engine.why_read_only;
	/* engine_check() has created the image if necessary. */
	now.backing = NULL;
	now.size = 0;
	now.cluster_size = now.table_size = 0;
	pthread_mutex_lock(&engine.lock);
	if (!engine.is_open) {
		ret = start(&now, err);
		if (!ret && !read_only && engine.why_read_only)
			log_warning("%s: it is served for reading only", engine.why_read_only);
	}
	if (!ret)
		engine.is_open = true;
	pthread_mutex_unlock(&engine.lock);
	return ret;
}

int engine_close(struct error *err)
{
	struct image_call close = { .call.co_fn = co_close_image };
	int ret = 0;

	pthread_mutex_lock(&engine.lock);
	if (engine.is_open) {
		ret = call_on(&engine.loop[0], &close.call);
		if (ret)
			error_set_errno(err, ret, "%s: cannot close it in order",
					engine.image.path);
		device_image_free(&engine.image);
		stop_loops();
		engine.is_open = false;
	}
	free(engine.why_read_only);
	engine.why_read_only = NULL;
	pthread_mutex_unlock(&engine.lock);
	return ret;
}

/* ---- Checking the image first ---- */

struct engine_check {
	const struct device_options *options;
	struct error err;
	int ret;
};

/* Only opening tells: a file that may be written to can be immutable, or a program that runs. */
static void try_to_write(const char *filename, struct error *err)
{
	int fd = open(filename, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		error_set_errno(err, -errno, "%s", filename);
	else
		close(fd);
}

/* Set the line of @err to the reason why @node, which is open for reading, cannot be written to. */
static void find_why_read_only(const struct blk_node *node, struct error *err)
{
	const struct blk_protocol *protocol = node->file->protocol;

	if (!node->driver->co_pwrite)
		error_set(err, -ENOTSUP, "%s: format %s cannot be written to", node->filename,
			  node->driver->name);
	else if (protocol && protocol->read_only)
		error_set(err, -EROFS, "%s: network images can only be read", node->filename);
	else if (!protocol)
		try_to_write(node->filename, err);
}

static void check_co(void *arg)
{
	struct engine_check *check = arg;
	struct device_image image;

	check->ret = device_image_co_open(&image, check->options, -1, &check->err);
	if (!check->ret) {
		if (check->options->read_only)
			find_why_read_only(image.node, &check->err);
		/* Keep a created image. */
		image.created = false;
		check->ret = device_image_co_close(&image);
		if (check->ret) {
			error_free(&check->err);
			error_set_errno(&check->err, check->ret, "%s", image.path);
		}
	}
	device_image_free(&image);
}

/*
 * In the child: exit with the result, and write the error line to @fd; with 0 it is the reason why
 * the image cannot be written to, if there is one.
 */
static _Noreturn void check_in_child(const struct device_options *options, int fd)
{
	struct engine_check check = { .options = options, .err = ERROR_INIT };
	struct aio_loop *loop;

	check.ret = aio_loop_create(&loop, RING_ENTRIES, &check.err);
	if (!check.ret)
		(void)aio_loop_run_co(loop, check_co, &check);
	if (check.err.code)
		dprintf(fd, "%s", error_text(&check.err));
	/* Skip the exit handlers, which belong to the parent. */
	_exit(check.ret ? 1 : 0);
}

static void read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, text + len, size - 1 - len)) != 0) {
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	text[len] = '\0';
}

int engine_check(const struct device_options *options, struct error *err)
{
	struct device_options look = *options;
	char text[MAX_ERROR];
	int fds[2], status;
	pid_t pid;

	/* Open an existing image read-only here; each connection decides whether it writes. */
	look.read_only = blk_name_is_url(options->image) || !access(options->image, F_OK);
	if (pipe(fds))
		return error_set_errno(err, -errno, "pipe");
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return error_set_errno(err, -errno, "fork");
	}
	if (!pid) {
		close(fds[0]);
		check_in_child(&look, fds[1]);
	}
	close(fds[1]);
	read_all(fds[0], text, sizeof(text));
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		engine.why_read_only = *text ? strdup(text) : NULL;
		return 0;
	}
	return error_set(err, -EINVAL, "%s", *text ? text : "looking at the image failed");
}
