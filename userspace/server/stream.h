/* SPDX-License-Identifier: GPL-2.0 */
/* The stream or prefetch of the served image: its life, and what is told of it. */
#ifndef QEDBLK_SERVER_STREAM_H
#define QEDBLK_SERVER_STREAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct server;
struct stream;

/* One stream from its start on, and what is told of it after its end. */
struct streaming {
	struct stream *stream; /* NULL: it has ended */
	json_t *end; /* then: its last figures, or NULL */
	unsigned int refs; /* the server, and each client that waits for its end */
};

struct stream_request {
	const char *base; /* a file of the backing chain that stays, NULL: none does */
	const char *first; /* a trace: fetched first, NULL: none */
	bool only_first; /* and nothing else */
	bool paused; /* from the start */
	uint64_t speed; /* bytes a second, 0: no limit */
};

/* What is to be streamed still: a successor of this server begins with that. */
struct stream_wish {
	bool stream; /* down to @base, NULL: all; heap */
	char *base;
	const char *prefetch; /* a trace, or NULL */
	bool paused;
};

/*
 * Is what @request asks for so already?  A line that says why (not to be freed), or
 * NULL: it is to be streamed, or cannot be.  No stream runs.
 */
const char *server_stream_needless(const struct server *server,
				   const struct stream_request *request);
/* Does one run? */
bool server_stream_runs(const struct server *server);
/*
 * Start it.  Fails with a line where one runs already, or where there is nothing to
 * stream.  Coroutine of the main loop, as all of these.  The caller holds SLOT_STREAM,
 * or the server is starting.
 */
int server_stream_co_start(struct server *server, const struct stream_request *request,
			   struct error *err);
/* What the options ask for, when the device is live.  What is done already is no error. */
int server_stream_co_start_by_options(struct server *server, struct error *err);
/* What they ask for, as long as nothing else is asked for.  Returns 0 or -ENOMEM. */
int server_stream_wish_by_options(struct server *server);
/* Of one that runs; @speed in bytes a second, 0: no limit.  The caller holds SLOT_STREAM. */
void server_stream_set_speed(struct server *server, uint64_t speed);
void server_stream_set_paused(struct server *server, bool paused);
/*
 * End it, done or not, and wait until it is gone.  What is done stays done.  After a
 * stop a successor goes on with it; after a cancellation it does not.  The caller
 * holds SLOT_STREAM, or the server is stopping: no other stream begins meanwhile.
 */
void server_stream_co_stop(struct server *server);
void server_stream_co_cancel(struct server *server);

/* As of one that was done before anything was streamed; @why as above. */
json_t *server_stream_needless_json(const char *why);
/* How the last one is, an object; NULL: there never was one. */
json_t *server_stream_json(const struct server *server);

/* Of one stream, be it that another has begun since. */
struct streaming *server_stream_get(const struct server *server);
void server_stream_put(struct streaming *streaming);
json_t *streaming_json(const struct streaming *streaming);

#endif
