/* SPDX-License-Identifier: GPL-2.0 */
/* The stream or prefetch of the served image: start, and what a successor goes on with. */
#ifndef QEDBLK_SERVER_STREAM_H
#define QEDBLK_SERVER_STREAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct server;

struct stream_request {
	const char *base; /* a file of the backing chain that stays; NULL: none stays */
	const char *first; /* a trace whose ranges are populated first; NULL: none */
	bool only_first; /* populate nothing else */
	bool paused; /* from the start */
	uint64_t speed; /* bytes a second, 0: no limit */
};

/* The stream that is not finished yet: a successor of this server starts it again. */
struct stream_wish {
	bool stream; /* down to @base (heap; NULL: the whole chain) */
	char *base;
	const char *prefetch; /* a trace, or NULL */
	bool paused;
};

/*
 * Return why @request has nothing to do, as a static line, or NULL when there is
 * something to stream or the request is invalid. No stream may be running.
 */
const char *server_stream_needless(const struct server *server,
				   const struct stream_request *request);
/*
 * Start a stream. Returns 0, or a negative errno with an error line, also when a
 * job runs already or there is nothing to stream. The caller holds SLOT_STREAM, or
 * the server is starting. Coroutine of the main loop; yields. All functions below are
 * for the main loop, too.
 */
int server_stream_co_start(struct server *server, const struct stream_request *request,
			   struct error *err);
/*
 * Start the stream that the options request, once the device is live. Nothing left to
 * stream is no error.
 */
int server_stream_co_start_by_options(struct server *server, struct error *err);
/* Set server->wish from the options, until a command changes it. Returns 0 or -ENOMEM. */
int server_stream_wish_by_options(struct server *server);
/* A successor does not go on with the stream. */
void server_stream_drop_wish(struct server *server);

/*
 * Return the status of a stream that had nothing to do, a new reference. @why is from
 * server_stream_needless().
 */
json_t *server_stream_needless_json(const char *why);

#endif
