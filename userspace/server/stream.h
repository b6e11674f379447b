/* SPDX-License-Identifier: GPL-2.0 */
/* The stream or prefetch of the served image: control and status. */
#ifndef QEDBLK_SERVER_STREAM_H
#define QEDBLK_SERVER_STREAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct server;
struct stream;

/* One stream, and its final status after its end. */
struct streaming {
	struct stream *stream; /* NULL: it has ended */
	json_t *end; /* then: its final status, or NULL */
	unsigned int refs; /* the server, and each client that waits for its end */
};

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
/* Return true while a stream runs. */
bool server_stream_runs(const struct server *server);
/*
 * Start a stream. Returns 0, or a negative errno with an error line, also when a
 * stream runs already or there is nothing to stream. The caller holds SLOT_STREAM, or
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
/*
 * Change the running stream; @speed in bytes a second, 0: no limit. The caller holds
 * SLOT_STREAM.
 */
void server_stream_set_speed(struct server *server, uint64_t speed);
void server_stream_set_paused(struct server *server, bool paused);
/*
 * End the stream, done or not, and yield until it is gone. What it has done stays
 * done. After a stop a successor continues the stream; after a cancellation it does
 * not. The caller holds SLOT_STREAM, or the server is stopping, so no other stream
 * starts meanwhile.
 */
void server_stream_co_stop(struct server *server);
void server_stream_co_cancel(struct server *server);

/*
 * Return the status of a stream that had nothing to do, a new reference. @why is from
 * server_stream_needless().
 */
json_t *server_stream_needless_json(const char *why);
/* Return the status of the latest stream, a new reference; NULL: there was none. */
json_t *server_stream_json(const struct server *server);

/*
 * Take and drop a reference to the latest stream, and return its status, which stays
 * available when another stream starts.
 */
struct streaming *server_stream_get(const struct server *server);
void server_stream_put(struct streaming *streaming);
json_t *streaming_json(const struct streaming *streaming);

#endif
