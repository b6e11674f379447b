// SPDX-License-Identifier: GPL-2.0
/*
 * The device-mapper event of a device whose image's file system became full, or has room again: the
 * message `event` to the mapping's target, if that is `qed`. Other targets raise no events.
 *
 * A worker thread sends it, one at a time: device-mapper may hold its locks for long.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "aio/sys.h"
#include "server/full_event.h"
#include "server/served_device.h"
#include "server/server.h"
#include "ublk/name.h"
#include "util/log.h"
#include "util/units.h"

#define MESSAGE "event"

/* Send it to the mapping of device @arg, found by its uuid: it may have been renamed. */
static int send_on_worker(void *arg)
{
	union {
		struct dm_ioctl head;
		char room[sizeof(struct dm_ioctl) + sizeof(struct dm_target_msg) + sizeof(MESSAGE)];
	} request = {
		.head = { .version = { DM_VERSION_MAJOR, 0, 0 },
			  .data_size = sizeof(request),
			  .data_start = sizeof(struct dm_ioctl) },
	};
	const char *name = arg;
	int fd, ret;

	snprintf(request.head.uuid, sizeof(request.head.uuid), DM_UUID_OF_OURS "%s", name);
	strcpy(request.room + sizeof(struct dm_ioctl) + sizeof(struct dm_target_msg), MESSAGE);
	fd = open("/dev/" DM_DIR "/" DM_CONTROL_NODE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = ioctl(fd, DM_TARGET_MSG, &request) ? -errno : 0;
	close(fd);
	return ret;
}

/* The server does not end before this does. */
static void co_send(void *arg)
{
	struct server *server = arg;

	while (server->full_event_due && !server_co_enter(server, SLOT_NONE, NULL)) {
		int ret = 0;

		server->full_event_due = false;
		if (served_device_is_mapped(server))
			ret = aio_co_call(send_on_worker, (void *)server->options->name);
		/* The target linear takes no message. */
		if (ret && ret != -EINVAL)
			log_debug("no device-mapper event: %s", strerror(-ret));
		server_leave(server, SLOT_NONE);
	}
	server->full_event_sent = true;
}

static void on_full_changed(struct aio_post *post)
{
	struct server *server = container_of(post, struct server, full_changed);

	atomic_flag_clear(&server->full_has_changed);
	server->full_event_due = true;
	if (!server->full_event_sent)
		return;
	server->full_event_sent = false;
	if (co_start(co_send, server))
		server->full_event_sent = true;
}

/* On a queue's thread. */
static void full_changed(void *arg)
{
	struct server *server = arg;

	if (!atomic_flag_test_and_set(&server->full_has_changed))
		aio_loop_post(server->loop, &server->full_changed);
}

void server_full_event_init(struct server *server)
{
	server->full_changed.fn = on_full_changed;
	server->full_event_sent = true;
	server->target.full.changed = full_changed;
	server->target.full.changed_arg = server;
}
