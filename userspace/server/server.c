// SPDX-License-Identifier: GPL-2.0
/*
 * Starting a device from options, running and stopping it.
 *
 * An orderly stop: flush the image; have the kernel remove the block device, which
 * writes back its page cache and a mounted file system; serve the requests in flight;
 * delete the device; close the image. Processes that still use the device then get
 * errors.
 */
#include <errno.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aio/sys.h"
#include "aio/loop.h"
#include "aio/timer.h"
#include "block/io.h"
#include "populate/populate.h"
#include "server/commands.h"
#include "server/server.h"
#include "server/state_file.h"
#include "server/status.h"
#include "server/stream.h"
#include "ublk/stale.h"
#include "ublk/write_back.h"
#include "util/log.h"
#include "util/units.h"

#define RING_ENTRIES 256
/* The longest read or write in one request, and the size of each tag's buffer. */
#define MAX_IO_BYTES (512 * KiB)

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

/* ---- The device; these functions run on worker threads ---- */

struct device_call {
	struct server *server;
	struct ublk_device_opts opts;
	struct error *err;
};

/*
 * A device that waits for a server, and its files, are only for a server started with
 * --recover. On a worker thread, as the functions below.
 */
static int check_claim(void *arg)
{
	struct device_call *call = arg;
	const struct device_options *options = call->server->options;
	struct ublk_dev_info info;
	int ret = ublk_stale_find_waiting(options->name, &info, call->err);

	if (ret > 0 && !options->recover)
		return error_set(call->err, -EEXIST,
				 "ublk device %u of a server that died waits: qedctl recover %s, "
				 "or qedctl remove --force %s",
				 info.dev_id, options->name, options->name);
	if (!ret && options->recover)
		return error_set(call->err, -ESRCH, "no device of that name waits for a server");
	return ret < 0 ? ret : 0;
}

static int device_create(void *arg)
{
	struct device_call *call = arg;
	const char *name = call->server->options->name;
	int ret = ublk_stale_delete(name, call->err);

	if (ret < 0)
		return ret;
	if (ret)
		log_warning("%s: deleted %d ublk device(s) of a server that died", name, ret);
	return ublk_device_create(&call->server->device, &call->opts, call->err);
}

static int device_take_over(void *arg)
{
	struct device_call *call = arg;
	struct ublk_dev_info info;
	int ret = ublk_stale_find_waiting(call->server->options->name, &info, call->err);

	if (!ret)
		ret = error_set(call->err, -ENODEV, "no device waits for a server of that name");
	if (ret < 0)
		return ret;
	call->opts.dev_id = info.dev_id;
	return ublk_device_take_over(&call->server->device, &call->opts, call->err);
}

static int device_start(void *arg)
{
	struct device_call *call = arg;

	return ublk_device_start(call->server->device, call->err);
}

static int device_stop(void *arg)
{
	struct device_call *call = arg;

	return ublk_device_stop(call->server->device, call->err);
}

static int device_destroy(void *arg)
{
	struct device_call *call = arg;

	return ublk_device_destroy(call->server->device, call->err);
}

/* On the main loop. */
static void on_queue_ended(struct aio_post *post)
{
	struct server *server = container_of(post, struct server, queue_ended);

	if (server->state == SERVER_LIVE && !server->stop_reason)
		log_error("%s: the device was stopped by somebody else", server->options->name);
	server_ask_stop(server, "the device is gone");
}

/* On a queue's thread. */
static void queue_ended(void *arg)
{
	struct server *server = arg;

	if (!atomic_flag_test_and_set(&server->queue_has_ended))
		aio_loop_post(server->loop, &server->queue_ended);
}

static int co_create_device(struct server *server, struct error *err)
{
	const struct device_options *options = server->options;
	struct blk_node *node = server->image.node;
	struct device_call call = {
		.server = server,
		.err = err,
		.opts = {
			.dev_id = UBLK_ANY_DEV_ID,
			.flags = ublk_can_write_back() ?
					 UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE :
					 0,
			.cookie = ublk_name_cookie(options->name),
			.queues = options->queues,
			.depth = options->depth,
			.limits = {
				.size = node->size,
				.cluster_size = node->cluster_size,
				.file_align = node->file ? node->file->align : 0,
				.mem_align = node->file ? node->file->mem_align : 0,
				.max_io_bytes = MAX_IO_BYTES,
				.read_only = options->read_only,
				.discard = options->discard && node->driver->co_pdiscard,
			},
			.target = &server->target.target,
			.queue_ended = queue_ended,
			.arg = server,
		},
	};

	ublk_node_target_init(&server->target, node);
	atomic_store(&server->target.detect_zeroes, server->options->detect_zeroes);
	return aio_co_call(options->recover ? device_take_over : device_create, &call);
}

/*
 * Exit without cleanup, when a device could not be stopped or taken over: threads may
 * be in the middle of requests, so nothing they use can be freed. The device and the
 * files stay, for qedctl recover or remove.
 */
static noreturn void leave_at_once(void)
{
	_exit(1);
}

/* ---- Starting ---- */

static int describe(struct server *server, struct error *err)
{
	int ret = state_file_write(server, err);

	if (ret < 0)
		return ret;
	server->description = status_describe(server);
	return server->description ? 0 : error_set(err, -ENOMEM, "not enough memory");
}

static int open_control(struct server *server, struct error *err)
{
	int fd = run_state_listen(&server->run, err);
	int ret;

	if (fd < 0)
		return fd;
	ret = control_start(&server->control, server, fd);
	return ret < 0 ? error_set_errno(err, ret, "control socket") : 0;
}

static int co_start_device(struct server *server, struct error *err)
{
	struct device_call call = { .server = server, .err = err };
	int ret = describe(server, err);

	if (!ret)
		ret = aio_co_call(device_start, &call);
	if (!ret)
		ret = open_control(server, err);
	if (!ret)
		ret = server_stream_co_start_by_options(server, err);
	/* The recovered device must run; the stream is optional. */
	if (ret < 0 && server->options->recover && server->control.server) {
		log_warning("%s: %s", server->options->name, error_text(err));
		error_free(err);
		ret = 0;
	}
	return ret;
}

/* Undo the start. Returns false when queues may still run. */
static bool co_abort_start(struct server *server)
{
	struct device_call call = { .server = server };

	/* Clients may wait for the stop: they get their replies before they are disconnected. */
	server->state = SERVER_STOPPED;
	server_changed(server);
	control_co_stop(&server->control);
	server_stream_co_stop(server);
	if (server->device) {
		if (aio_co_call(device_stop, &call) < 0)
			return false;
		aio_co_call(device_destroy, &call);
	}
	device_image_co_close(&server->image);
	return true;
}

static int co_open_image(struct server *server, struct error *err)
{
	int fd = run_state_open_rescue(&server->run, server->options->recover, err);
	int ret = fd < 0 ? fd : device_image_co_open(&server->image, server->options, fd, err);
	char prefix[DEVICE_NAME_MAX + 16];

	if (fd >= 0)
		close(fd);
	snprintf(prefix, sizeof(prefix), "qedd: %s", server->options->name);
	/* In the foreground the log already goes to standard error. */
	if (!ret)
		device_image_warn_of_probing(&server->image,
					     server->options->foreground ? NULL : prefix);
	return ret;
}

/* Fail when a signal or a client has requested a stop; the start is then undone. */
static int check_wanted(const struct server *server, struct error *err)
{
	if (!server->stop_reason)
		return 0;
	return error_set(err, -EINTR, "ended while it was starting: %s", server->stop_reason);
}

static int co_start_server(struct server *server, struct error *err)
{
	struct device_call call = { .server = server, .err = err };
	int ret = aio_co_call(check_claim, &call);
	/* A failure must leave a device that waits, or its files, for the next server. */
	bool leave = ret != -ESRCH && (ret < 0 || server->options->recover);

	if (!ret)
		ret = co_open_image(server, err);
	/*
	 * Check before a takeover: afterwards undoing would stop the device instead of leaving it.
	 */
	if (!ret)
		ret = check_wanted(server, err);
	if (!ret)
		ret = co_create_device(server, err);
	if (!ret)
		ret = co_start_device(server, err);
	if (!ret && !server->options->recover)
		ret = check_wanted(server, err);
	if (ret < 0 && (leave || !co_abort_start(server))) {
		starter_error(&server->starter, server->options->name, error_text(err));
		leave_at_once();
	}
	return ret;
}

/* ---- Running and stopping ---- */

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
	struct device_call call = { .server = server, .err = &server->stop_error };
	int ret;

	/* Flush first, since stopping the device may take long. */
	note_stop_error(server, blk_co_sync(server->image.node), "flush");
	ret = aio_co_call(device_stop, &call);
	if (ret < 0) {
		note_stop_error(server, blk_co_sync(server->image.node), "flush");
		return ret;
	}
	aio_co_call(device_destroy, &call);
	server->device = NULL;
	return 0;
}

static void stopped(struct server *server)
{
	if (server->stop_error.code) {
		log_error("%s: %s", server->options->name, error_text(&server->stop_error));
		server->exit_status = 1;
	}
	server->state = SERVER_STOPPED;
	server_changed(server);
}

static void co_stop(struct server *server)
{
	int ret;

	server_trace_co_stop(server);
	server_stream_co_stop(server);
	ret = co_stop_device(server);
	server->image_closes = true;
	if (!ret && server->finish_pending)
		populate_co_drain(server->image.node);
	if (!ret)
		note_stop_error(server, device_image_co_close(&server->image), "close");
	stopped(server);
	control_co_stop(&server->control);
	if (ret < 0)
		leave_at_once();
	log_info("%s: stopped", server->options->name);
}

static void server_fn(void *arg)
{
	struct server *server = arg;
	struct error err = ERROR_INIT;

	if (co_start_server(server, &err) < 0) {
		starter_error(&server->starter, server->options->name, error_text(&err));
		server->exit_status = 1;
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
	int ret = aio_loop_create(&server->loop, RING_ENTRIES, err);

	if (ret < 0)
		return ret;
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
			leave_at_once();
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
		.options = options,
		.starter = *starter,
		.finish_pending = options->finish_pending,
		.queue_ended = { .fn = on_queue_ended },
		.queue_has_ended = ATOMIC_FLAG_INIT,
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
		server.exit_status = 1;
	}
	error_free(&err);
	error_free(&server.stop_error);
	device_image_free(&server.image);
	json_decref(server.description);
	free(server.directory);
	server_stream_put(server.streaming);
	free(server.wish.base);
	for (int i = 0; i < SERVER_SLOTS; i++)
		co_mutex_destroy(&server.slots[i]);
	pthread_mutex_destroy(&server.mutex);
	if (server.signal_fd >= 0)
		close(server.signal_fd);
	return server.exit_status;
}
