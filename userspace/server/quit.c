// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to stop: the command `quit`, and a signal. Without force they are refused while the
 * block device is in use, since its users would get I/O errors.
 */
#include <errno.h>
#include <unistd.h>

#include "aio/sys.h"
#include "aio/timer.h"
#include "server/busy.h"
#include "server/commands.h"
#include "server/server.h"
#include "util/log.h"
#include "util/system_end.h"

#define BUSY_TRIES  5
#define BUSY_NAP_NS (100 * 1000000ULL)

/* The second of two signals within this time stops the server although its device is in use. */
#define SECOND_SIGNAL_NS (60 * 1000000000ULL)

struct unused_call {
	uint32_t dev_id;
	struct error *err;
};

static int check_unused(void *arg)
{
	struct unused_call *call = arg;

	return device_check_unused(call->dev_id, call->err);
}

int server_co_check_unused(struct server *server, struct error *err)
{
	struct unused_call call = { ublk_device_info(server->device)->dev_id, err };
	int ret;

	for (int tries = 0;; tries++) {
		ret = aio_co_call(check_unused, &call);
		if (ret != -EBUSY || tries == BUSY_TRIES)
			return ret;
		error_free(err);
		aio_co_sleep(BUSY_NAP_NS);
	}
}

/* Return an error with its line if the device is in use. A server that stops has no users left. */
static int co_check_unused(struct server *server, struct error *err)
{
	int ret;

	/* A device that was taken over may be in use before its server is live. */
	while (server->state == SERVER_STARTING && !server->stop_reason)
		server_co_wait_change(server);
	if (server_co_enter(server, SLOT_NONE, NULL))
		return 0;
	server->quits++;
	ret = server_co_check_unused(server, err);
	server->quits--;
	server_leave(server, SLOT_NONE);
	return ret < 0 ? error_set_errno(err, ret, "looking for users of the device") : 0;
}

int command_co_quit(struct server *server, json_t *arguments, const struct event_sink *sink,
		    json_t **result, struct error *err)
{
	bool force = json_is_true(json_object_get(arguments, "force"));
	const json_t *pid = json_object_get(arguments, "pid");
	int ret;

	(void)sink;
	(void)result;
	/* The client may have waited long and mean an earlier server of this name. */
	if (pid && json_integer_value(pid) != getpid())
		return error_set(err, -ESRCH, "another server than the one that was meant");
	ret = force ? 0 : co_check_unused(server, err);
	if (ret < 0)
		return ret;
	if (json_is_true(json_object_get(arguments, "finish"))) {
		if (server->image_closes)
			return error_set(err, -ESHUTDOWN, "the server is stopping");
		server->finish_pending = true;
	}
	server_ask_stop(server, "asked to");
	return server_co_wait_stopped(server, err);
}

/* ---- Signals ---- */

static int ask_whether_system_ends(void *arg)
{
	return system_ends(*(pid_t *)arg);
}

void server_co_take_signal(struct server *server, const char *name, pid_t sender)
{
	uint64_t now = aio_now(), last = server->refused_signal;
	struct error err = ERROR_INIT;

	/* A start is undone: a new device has no users yet, and one to take over stays. */
	if ((server->state == SERVER_STARTING && !server->takes_over) ||
	    (last && now - last < SECOND_SIGNAL_NS) || !co_check_unused(server, &err) ||
	    aio_co_call(ask_whether_system_ends, &sender) > 0) {
		server_ask_stop(server, name);
	} else {
		server->refused_signal = now;
		log_warning("%s: %s does not stop it: %s; a second signal within a minute does",
			    server->options->name, name, error_text(&err));
	}
	error_free(&err);
}
