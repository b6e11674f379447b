// SPDX-License-Identifier: GPL-2.0
/*
 * Starting the server: the image is opened, the device made and started, the control socket
 * opened. What fails, or is interrupted, is undone.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "aio/co.h"
#include "aio/sys.h"
#include "aio/timer.h"
#include "server/served_device.h"
#include "server/server.h"
#include "server/state_file.h"
#include "server/status.h"
#include "server/stream.h"
#include "server/watch.h"
#include "ublk/name.h"
#include "util/log.h"

/* How long an open that is interrupted may take to end, so that it can be undone in order. */
#define OPEN_PATIENCE_NS (300 * 1000000ULL)
#define OPEN_NAP_NS	 (10 * 1000000ULL)

/* ---- Opening the image ---- */

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
		device_image_warn(&server->image, server->options->foreground ? NULL : prefix);
	return ret;
}

/* Fail when a signal or a client has requested a stop; the start is then undone. */
static int check_wanted(const struct server *server, struct error *err)
{
	if (!server->stop_reason)
		return 0;
	return error_set(err, -EINTR, "ended while it was starting: %s", server->stop_reason);
}

struct opening {
	struct server *server;
	struct error *err;
	int ret;
	bool over;
};

static void open_fn(void *arg)
{
	struct opening *opening = arg;

	opening->ret = co_open_image(opening->server, opening->err);
	opening->over = true;
	server_changed(opening->server);
}

/* Exit, though the image is being opened: nothing was served yet. */
static noreturn void leave_opening(struct server *server)
{
	struct error err = ERROR_INIT;

	/* A device that waits, and its files, are for the next server. */
	if (!server->options->recover) {
		device_image_abandon(&server->image);
		run_state_release(&server->run);
	}
	(void)check_wanted(server, &err);
	starter_error(&server->starter, server->options->name, error_text(&err));
	server_leave_at_once(EXIT_FAILED);
}

/*
 * Open the image. A backing file on a server that does not answer, or a lock, may make this wait
 * for long, and not beyond a request to stop.
 */
static int co_open_or_leave(struct server *server, struct error *err)
{
	struct opening opening = { .server = server, .err = err };
	int ret = co_start(open_fn, &opening);
	uint64_t end;

	if (ret < 0)
		return error_set_errno(err, ret, "%s", server->options->image);
	while (!opening.over && !server->stop_reason)
		server_co_wait_change(server);
	end = aio_now() + OPEN_PATIENCE_NS;
	while (!opening.over && (server->image.creating || aio_now() < end))
		aio_co_sleep(OPEN_NAP_NS);
	if (!opening.over)
		leave_opening(server);
	return opening.ret;
}

/* ---- The device and the control socket ---- */

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
	int ret = describe(server, err);

	if (!ret) {
		server_watch_attach(server, server->image.node);
		server_watch_start(server);
	}
	if (!ret)
		ret = served_device_co_start(server, err);
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
	/* Clients may wait for the stop: they get their replies before they are disconnected. */
	server->state = SERVER_STOPPED;
	server_changed(server);
	control_co_stop(&server->control);
	server_job_co_stop(server);
	server_watch_co_stop(server);
	if (server->device && served_device_co_end(server, NULL) < 0)
		return false;
	device_image_co_close(&server->image);
	return true;
}

int server_co_start(struct server *server, struct error *err)
{
	int ret = served_device_co_check_claim(server, err);
	/* A failure must leave a device that waits, or its files, for the next server. */
	bool leave = ret != -ESRCH && (ret < 0 || server->options->recover);

	if (!ret)
		ret = co_open_or_leave(server, err);
	/*
	 * Check before a takeover: afterwards undoing would stop the device instead of leaving it.
	 */
	if (!ret)
		ret = check_wanted(server, err);
	if (!ret)
		ret = served_device_co_create(server, err);
	if (!ret)
		ret = co_start_device(server, err);
	if (!ret && !server->options->recover)
		ret = check_wanted(server, err);
	if (ret < 0 && (leave || !co_abort_start(server))) {
		starter_error(&server->starter, server->options->name, error_text(err));
		server_leave_at_once(error_status(err));
	}
	return ret;
}
