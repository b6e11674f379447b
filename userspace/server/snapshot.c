// SPDX-License-Identifier: GPL-2.0
/*
 * The command `snapshot`: a new overlay becomes the image of the live device, and the image that
 * was served becomes its backing file, read-only.
 *
 * The new image is durable, with its name, before the first request goes to it. While requests are
 * held the old image is made clean on disk, NAME.rescue is emptied, and NAME.json, which is
 * replaced as a whole, names the new image: a successor finds one or the other, and with either one
 * nothing to replay. Only then does the new image record in NAME.rescue, and requests go on.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "aio/timer.h"
#include "block/io.h"
#include "block/overlay.h"
#include "device/device_overlay.h"
#include "populate/populate.h"
#include "populate/trace.h"
#include "server/commands.h"
#include "server/server.h"
#include "server/state_file.h"
#include "server/status.h"
#include "server/watch.h"
#include "util/log.h"
#include "util/units.h"

/* How long requests that are in flight may take to end, while all others are held. */
#define PATIENCE_NS (10 * 1000000000ULL)
/* What is dirty is written before, until that takes no longer than this, or so many times. */
#define SHORT_FLUSH_NS (5 * 1000000ULL)
#define FLUSHES	       4
/* A check may take long. The client does not wait much longer: it would report a failure. */
#define CLIENT_NS (20 * 1000000000ULL)

struct snapshot {
	struct server *server;
	struct device_overlay overlay; /* afterwards: the old image */
	struct error *err;
	uint64_t pause; /* ns: how long requests were held */
};

/* The caller holds both slots. */
static int check_idle(const struct server *server, struct error *err)
{
	if (server_job_check_none(server, err))
		return err->code;
	if (trace_path(server->image.node))
		return error_set(err, -EBUSY, "a trace is recorded: stop it first");
	return 0;
}

/* Make most of what is dirty durable, so that little is left for when requests are held. */
static int co_flush_ahead(struct server *server, struct error *err)
{
	for (unsigned int i = 0; i < FLUSHES; i++) {
		uint64_t begin = aio_now();
		int ret = blk_co_sync(server->image.node);

		if (ret)
			return error_set_errno(err, ret, "%s: flush", server->image.path);
		if (aio_now() - begin < SHORT_FLUSH_NS)
			break;
	}
	return 0;
}

/* Describe the new image to a successor: from here on it is the device's. */
static int describe(struct snapshot *snapshot)
{
	struct server *server = snapshot->server;
	bool changes = server->backing_changes, other = server->other_image;
	/* Of a stream that has failed: it was one of the old image. */
	struct stream_wish wish = server->wish;
	int ret;

	device_overlay_exchange(&snapshot->overlay, &server->image);
	server->backing_changes = true;
	server->other_image = true;
	server->wish = (struct stream_wish){ 0 };
	ret = state_file_write(server, snapshot->err);
	if (!ret) {
		free(wish.base);
		return 0;
	}
	device_overlay_exchange(&snapshot->overlay, &server->image);
	server->backing_changes = changes;
	server->other_image = other;
	server->wish = wish;
	return ret;
}

/* No request is in flight. */
static int co_pivot(void *arg, struct blk_node **node)
{
	struct snapshot *snapshot = arg;
	struct blk_node *old = *node;
	int ret;

	ret = blk_co_end_writes(old, snapshot->err);
	if (ret)
		return ret;
	ret = describe(snapshot);
	if (ret) {
		blk_begin_writes(old);
		return ret;
	}
	*node = snapshot->server->image.node;
	populate_co_detach(old);
	/* The device's counters go on. */
	blk_stats_add_all(&(*node)->stats, &old->stats);
	blk_begin_rescue(*node);
	return 0;
}

/* The device has the new image. What fails now is no failure of the snapshot. */
static void co_follow(struct snapshot *snapshot)
{
	struct server *server = snapshot->server;
	json_t *description = status_describe(server);

	if (description) {
		json_decref(server->description);
		server->description = description;
	}
	log_info("%s: %s is the image now, and %s its backing file; requests were held for %u ms",
		 server->options->name, server->image.path, snapshot->overlay.path,
		 (unsigned int)(snapshot->pause / 1000000));
	blk_co_settle_backing(server->image.node->backing);
	/* Its file changes no more, and is recorded as it is now. */
	server_watch_renew(server);
}

static int co_exchange(struct snapshot *snapshot)
{
	struct server *server = snapshot->server;
	struct blk_node *old = server->image.node;
	uint64_t begin;
	int ret;

	server_watch_attach(server, snapshot->overlay.node);
	populate_co_pause(old);
	ret = co_flush_ahead(server, snapshot->err);
	begin = aio_now();
	if (!ret)
		ret = ublk_node_target_co_exchange(&server->target, PATIENCE_NS, co_pivot, snapshot,
						   snapshot->err);
	snapshot->pause = aio_now() - begin;
	if (ret)
		populate_co_resume(old);
	return ret;
}

/* The caller holds both slots. */
static int co_snapshot(struct server *server, const char *file, const char *format,
		       struct error *err)
{
	struct snapshot snapshot = { .server = server, .err = err };
	int fd, ret = check_idle(server, err);

	if (ret)
		return ret;
	fd = run_state_open_rescue(&server->run, false, err);
	if (fd < 0)
		return fd;
	ret = device_overlay_co_make(&snapshot.overlay, &server->image, server->options, file,
				     format, fd, err);
	close(fd);
	if (ret)
		return ret;
	server_watch_co_stop(server);
	ret = co_exchange(&snapshot);
	if (ret) {
		device_overlay_co_undo(&snapshot.overlay);
	} else {
		co_follow(&snapshot);
		free(snapshot.overlay.path);
	}
	server_watch_start(server);
	return ret;
}

/* Neither a job nor a trace may begin meanwhile. */
int command_co_snapshot(struct server *server, json_t *arguments, const struct event_sink *sink,
			json_t **result, struct error *err)
{
	const char *file = json_string_value(json_object_get(arguments, "file"));
	const char *format = json_string_value(json_object_get(arguments, "format"));
	uint64_t begin = aio_now();
	int ret;

	(void)sink;
	(void)result;
	if (!file || file[0] != '/')
		return error_set(err, -EINVAL, "file: not an absolute file name");
	ret = server_co_enter(server, SLOT_STREAM, err);
	if (ret)
		return ret;
	ret = server_co_enter(server, SLOT_TRACE, err);
	if (!ret) {
		ret = aio_now() - begin < CLIENT_NS ?
			      co_snapshot(server, file, format, err) :
			      error_set(err, -ETIMEDOUT, "another command took too long");
		server_leave(server, SLOT_TRACE);
	}
	server_leave(server, SLOT_STREAM);
	return ret;
}
