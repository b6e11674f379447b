// SPDX-License-Identifier: GPL-2.0
/*
 * The server's life: running and stopping (start.c starts it), and the waits of its coroutines.
 *
 * An orderly stop: flush the image; have the kernel remove the block device, which
 * writes back its page cache and a mounted file system; serve the requests in flight;
 * delete the device; close the image. Processes that still use the device then get
 * errors.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aio/sys.h"
#include "aio/loop.h"
#include "aio/timer.h"
#include "block/io.h"
#include "populate/populate.h"
#include "server/commands.h"
#include "server/served_device.h"
#include "server/server.h"
#include "server/state_file.h"
#include "server/status.h"
#include "server/stream.h"
#include "server/watch.h"
#include "util/log.h"
#include "util/units.h"

/* Operations that the main loop may queue between two turns; the queues have their own loops. */
#define RING_ENTRIES 256

/* A server that was killed holds the lock of its name until its I/O has ended. */
#define NAME_TRIES  500
#define NAME_NAP_NS 20000000L

/* ---- Synchronisation ---- */

void server_changed(struct server *server)
{
	pthread_mutex_lock(&server->mutex);
	co_queue_wake_all(&server->changed);
	pthread_mutex_unlock(&server->mutex);
}

void server_co_wait_change(struct server *server)
{
	pthread_mutex_lock(&server->mutex);
	co_queue_wait(&server->changed, &server->mutex);
	pthread_mutex_unlock(&server->mutex);
}

struct nap {
	struct aio_timer timer;
	struct server *server;
	bool over;
};

static void on_nap_over(struct aio_timer *timer)
{
	struct nap *nap = container_of(timer, struct nap, timer);

	nap->over = true;
	server_changed(nap->server);
}

void server_co_nap(struct server *server, uint64_t ns, const bool *wake)
{
	struct nap nap = { .server = server };

	aio_timer_init(&nap.timer, on_nap_over);
	aio_timer_arm(&nap.timer, ns);
	while (!nap.over && !*wake)
		server_co_wait_change(server);
	aio_timer_cancel(&nap.timer);
}

void server_ask_stop(struct server *server, const char *reason)
{
	if (server->stop_reason)
		return;
	server->stop_reason = reason;
	server_changed(server);
}

static int check_live(const struct server *server, struct error *err)
{
	if (server->state == SERVER_LIVE && !server->stop_reason)
		return 0;
	if (server->state == SERVER_STARTING)
		return error_set(err, -ESHUTDOWN, "the server is starting");
	return error_set(err, -ESHUTDOWN, "the server is stopping");
}

int server_co_enter(struct server *server, enum server_slot slot, struct error *err)
{
	int ret = check_live(server, err);

	if (ret)
		return ret;
	server->users++;
	if (slot == SLOT_NONE)
		return 0;
	co_mutex_lock(&server->slots[slot]);
	ret = check_live(server, err);
	if (ret)
		server_leave(server, slot);
	return ret;
}

void server_leave(struct server *server, enum server_slot slot)
{
	if (slot != SLOT_NONE)
		co_mutex_unlock(&server->slots[slot]);
	server->users--;
	server_changed(server);
}

int server_co_wait_stopped(struct server *server, struct error *err)
{
	while (server->state != SERVER_STOPPED)
		server_co_wait_change(server);
	if (server->stop_error.code)
		return error_set(err, server->stop_error.code, "%s",
				 error_text(&server->stop_error));
	return 0;
}

/* ---- Running and stopping ---- */

void server_leave_at_once(enum exit_status status)
{
	_exit(status);
}

static void co_run(struct server *server)
{
	bool created = server->image.created;
	char device[UBLK_PATH_LEN];

	device_image_keep(&server->image);
	/*
	 * Relative names have been resolved; a daemon must not keep a file system from being
	 * unmounted.
	 */
	if (server->starter.detach && chdir("/"))
		log_warning("chdir: %s", strerror(errno));
	server->state = SERVER_LIVE;
	server_changed(server);
	server->live_since = aio_now();
	ublk_block_path(device, ublk_device_info(server->device)->dev_id);
	log_info("%s: %s is live on %s", server->options->name, server->image.path, device);
	starter_ready(&server->starter, device, created);
	while (!server->stop_reason)
		server_co_wait_change(server);
	log_info("%s: stopping: %s", server->options->name, server->stop_reason);
	server->state = SERVER_STOPPING;
	while (server->users)
		server_co_wait_change(server);
}

static void note_stop_error(struct server *server, int ret, const char *what)
{
	if (ret < 0)
		error_set_errno(&server->stop_error, ret, "%s: %s", server->image.path, what);
}

/* Return -errno when queues may still run: the image must then stay open. */
static int co_stop_device(struct server *server)
{
	int ret;

	server->run.keeps_description = served_device_is_mapped(server);
	/* Flush first, since stopping the device may take long. */
	note_stop_error(server, blk_co_sync(server->image.node), "flush");
	ret = served_device_co_end(server, &server->stop_error);
	if (ret < 0)
		note_stop_error(server, blk_co_sync(server->image.node), "flush");
	return ret;
}

static void stopped(struct server *server)
{
	if (server->stop_error.code) {
		log_error("%s: %s", server->options->name, error_text(&server->stop_error));
		server->exit_status = EXIT_FAILED;
	}
	server->state = SERVER_STOPPED;
	server_changed(server);
}

static void co_stop(struct server *server)
{
	int ret;

	/* Requests that wait for room would hold up the device's end. */
	atomic_store(&server->target.full.wait_s, 0);
	server_trace_co_stop(server);
	server_job_co_stop(server);
	server_watch_co_stop(server);
	ret = co_stop_device(server);
	server->image_closes = true;
	if (!ret && server->finish_pending)
		populate_co_drain(server->image.node);
	if (!ret)
		note_stop_error(server, device_image_co_close(&server->image), "close");
	server->run.has_failed = server->stop_error.code;
	stopped(server);
	control_co_stop(&server->control);
	if (ret < 0)
		server_leave_at_once(EXIT_FAILED);
	log_info("%s: stopped", server->options->name);
}

static void server_fn(void *arg)
{
	struct server *server = arg;
	struct error err = ERROR_INIT;

	if (server_co_start(server, &err) < 0) {
		starter_error(&server->starter, server->options->name, error_text(&err));
		server->exit_status = error_status(&err);
	} else {
		co_run(server);
		co_stop(server);
	}
	error_free(&err);
	signals_co_stop(server);
}

/* ---- The process ---- */

static int prepare_loop(struct server *server, struct error *err)
{
	/* The queues' commands exist in io_uring only: end before the image is touched. */
	int ret = aio_loop_create_uring(&server->loop, RING_ENTRIES, err);

	if (ret < 0) {
		error_prefix(err, "a block device needs io_uring");
		return ret;
	}
	ret = signals_start(server);
	if (ret < 0) {
		aio_loop_destroy(server->loop);
		return error_set_errno(err, ret, "signals");
	}
	return 0;
}

static int run_locked(struct server *server, struct error *err)
{
	int ret = prepare_loop(server, err);

	if (ret < 0)
		return ret;
	ret = aio_loop_run_co(server->loop, server_fn, server);
	if (ret < 0) {
		error_set_errno(err, ret, "event loop");
		if (server->device) {
			starter_error(&server->starter, server->options->name, error_text(err));
			server_leave_at_once(EXIT_FAILED);
		}
		return ret;
	}
	aio_loop_destroy(server->loop);
	return 0;
}

/* Lock the name. A successor (--recover) waits for a dying server to release it. */
static int acquire_name(struct server *server, struct error *err)
{
	const struct timespec nap = { .tv_nsec = NAME_NAP_NS };
	int ret = run_state_acquire(&server->run, server->options->name, err);

	for (int i = 0; i < NAME_TRIES && ret == -EBUSY && server->options->recover; i++) {
		nanosleep(&nap, NULL);
		error_free(err);
		ret = run_state_acquire(&server->run, server->options->name, err);
	}
	return ret;
}

int server_run(const struct device_options *options, const struct starter *starter)
{
	struct server server = {
		.options = &server.live_options,
		.live_options = *options,
		.starter = *starter,
		.finish_pending = options->finish_pending,
		.queue_has_ended = ATOMIC_FLAG_INIT,
		.source_has_failed = ATOMIC_FLAG_INIT,
		.full_has_changed = ATOMIC_FLAG_INIT,
	};
	struct error err = ERROR_INIT;
	int ret;

	pthread_mutex_init(&server.mutex, NULL);
	co_queue_init(&server.changed);
	for (int i = 0; i < SERVER_SLOTS; i++)
		co_mutex_init(&server.slots[i]);
	server.directory = getcwd(NULL, 0);
	if (server_stream_wish_by_options(&server))
		log_warning("%s: not enough memory to note the stream", options->name);
	server.signal_fd = signals_block();
	ret = server.signal_fd < 0 ? error_set_errno(&err, server.signal_fd, "signals") :
				     acquire_name(&server, &err);
	if (!ret) {
		ret = run_locked(&server, &err);
		run_state_release(&server.run);
	}
	if (ret < 0) {
		starter_error(&server.starter, options->name, error_text(&err));
		server.exit_status = error_status(&err);
	}
	error_free(&err);
	error_free(&server.stop_error);
	device_image_free(&server.image);
	json_decref(server.description);
	free(server.directory);
	server_job_put(server.job);
	free(server.wish.base);
	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++)
		free(server.live_values[i]);
	for (int i = 0; i < SERVER_SLOTS; i++)
		co_mutex_destroy(&server.slots[i]);
	pthread_mutex_destroy(&server.mutex);
	if (server.signal_fd >= 0)
		close(server.signal_fd);
	return server.exit_status;
}
