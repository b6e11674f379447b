// SPDX-License-Identifier: GPL-2.0
/*
 * The command `check`. A check runs in a coroutine of its own, since the client that waits for it
 * may not read the events, and the stop of the server waits for the check. It ends early when the
 * client is gone, or when the server is to stop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aio/sys.h"
#include "block/node.h"
#include "server/commands.h"
#include "server/server.h"

/* Interval of the events that tell the client that the check goes on. */
#define PROGRESS_NS 500000000ULL

struct checking {
	struct server *server;
	unsigned int fix; /* BLK_FIX_* */
	unsigned int refs; /* of the check and of the command */
	bool cancel, done;
	int ret;
	struct blk_check_result result;
	struct error err;
};

static void put(struct checking *checking)
{
	if (--checking->refs)
		return;
	error_free(&checking->err);
	free(checking);
}

static void check_fn(void *arg)
{
	struct checking *checking = arg;
	struct server *server = checking->server;
	int ret = server_co_enter(server, SLOT_STREAM, &checking->err);

	if (!ret) {
		ret = blk_co_check_live(server->image.node, checking->fix, &checking->cancel,
					&checking->result, &checking->err);
		server_leave(server, SLOT_STREAM);
	}
	checking->ret = ret;
	checking->done = true;
	server_changed(server);
	put(checking);
}

static json_t *result_json(const struct server *server, const struct blk_check_result *r)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "format",
			 server->image.node->driver->name, "corruptions",
			 (json_int_t)r->corruptions, "leaks", (json_int_t)r->leaks, "leaks-fixed",
			 (json_int_t)r->leaks_fixed, "check-errors", (json_int_t)r->check_errors,
			 "total-clusters", (json_int_t)r->total_clusters, "allocated-clusters",
			 (json_int_t)r->allocated_clusters, "fragmented-clusters",
			 (json_int_t)r->fragmented_clusters, "compressed-clusters",
			 (json_int_t)r->compressed_clusters, "image-end-offset",
			 (json_int_t)r->image_end);
}

static void co_follow(struct server *server, struct checking *checking,
		      const struct event_sink *sink)
{
	for (;;) {
		server_co_nap(server, PROGRESS_NS, &checking->done);
		if (checking->done)
			return;
		if (!checking->cancel &&
		    (server->stop_reason || sink->co_emit(sink, "CHECK_PROGRESS", json_object())))
			checking->cancel = true;
	}
}

int command_co_check(struct server *server, json_t *arguments, const struct event_sink *sink,
		     json_t **result, struct error *err)
{
	const char *repair = json_string_value(json_object_get(arguments, "repair"));
	struct checking *checking;
	int ret;

	if (repair && strcmp(repair, "leaks"))
		return error_set(err, -EINVAL, "repair: only leaks are repaired in use");
	checking = calloc(1, sizeof(*checking));
	if (!checking)
		return error_set_errno(err, -ENOMEM, "check");
	*checking = (struct checking){
		.server = server, .fix = repair ? BLK_FIX_LEAKS : 0, .refs = 2, .err = ERROR_INIT
	};
	ret = co_start(check_fn, checking);
	if (ret) {
		free(checking);
		return error_set_errno(err, ret, "check");
	}
	co_follow(server, checking, sink);
	ret = checking->ret;
	if (ret)
		error_set(err, ret, "%s", error_text(&checking->err));
	else
		*result = result_json(server, &checking->result);
	put(checking);
	return ret;
}
