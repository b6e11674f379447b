/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The server: one image, one block device, and the life of both.
 *
 * Everything here belongs to the main thread and its loop; the device's queues
 * have threads of their own and know the image's node alone.
 */
#ifndef QEDBLK_SERVER_SERVER_H
#define QEDBLK_SERVER_SERVER_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "aio/lock.h"
#include "server/control.h"
#include "server/daemon.h"
#include "device/device_image.h"
#include "device/options.h"
#include "server/run_state.h"
#include "server/stream.h"
#include "ublk/device.h"
#include "ublk/node_target.h"

enum server_state { SERVER_STARTING, SERVER_LIVE, SERVER_STOPPING, SERVER_STOPPED };

struct server {
	const struct device_options *options;
	char *directory; /* where it was started: names in @options are seen from there; or NULL */
	struct starter starter;
	struct run_state run;
	struct control control;

	struct device_image image;
	struct ublk_node_target target;
	struct ublk_device *device;
	json_t *description; /* see status_describe() */

	enum server_state state;
	uint64_t live_since; /* ns, monotonic */
	struct stream *stream; /* that runs, NULL: none */
	json_t *last_stream; /* how the last one ended, or NULL */
	/* What a successor must be told otherwise than we were. */
	bool backing_changes; /* the options' backing file is, or may soon be, another one */
	struct stream_wish wish;
	bool tracing, trace_stop; /* a trace's recorder runs; it is to end */
	bool finish_pending; /* keep first what was read, when ending */
	unsigned int quits; /* clients that wait to hear whether the device is in use */
	unsigned int users; /* commands that use the image or the device now */
	const char *stop_reason; /* NULL: go on */
	struct error stop_error; /* what went wrong while stopping */

	pthread_mutex_t mutex; /* for @changed; all else is the main loop's own */
	struct co_queue changed; /* @state, @users, @stop_reason, @signals_running */

	struct aio_loop *loop;
	struct aio_post queue_ended; /* posted once, by the first queue's thread that ends */
	atomic_flag queue_has_ended;

	int signal_fd;
	bool signals_running, signals_over;
	int exit_status;
};

/*
 * Serve as @options say until a signal or a client ends it.  Returns the
 * program's exit status.  The one who started us is told through @starter.
 */
int server_run(const struct device_options *options, const struct starter *starter);

/* Have the server end; the first reason counts.  Main loop's thread. */
void server_ask_stop(struct server *server, const char *reason);

/* Park until the server has stopped.  Returns how that went. */
int server_co_wait_stopped(struct server *server, struct error *err);

/* Park until @server->state or the like may have changed, and make others look again. */
void server_co_wait_change(struct server *server);
void server_changed(struct server *server);

/* A command that counted itself in server->users is done. */
void server_put_image(struct server *server);

/*
 * Signals that end the server, through a descriptor.  signals_block() comes
 * before any thread; returns a descriptor or a negative errno.
 */
int signals_block(void);
int signals_start(struct server *server);
void signals_co_stop(struct server *server);

#endif
