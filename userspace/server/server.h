/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The server: one image, one block device, and the life of both.
 *
 * Everything here belongs to the main thread and its loop; the device's queues
 * have threads of their own and know the image's node alone.
 *
 * One thread does not mean one at a time: a command that yields (it opens a file, starts a thread,
 * waits for a job) lets others run between what it has looked at and what it does. So what a
 * command changes has a slot, which the command holds from its first look to its last change:
 *
 * SLOT_STREAM	@streaming, @wish, @backing_changes
 * SLOT_TRACE	the trace of the image's node, @tracing, @trace_stop
 *
 * Without the slot, these run: the coroutine that follows a stream, which only ends what runs
 * (@streaming->stream becomes NULL, the wish may go), without yielding between its changes; the
 * start, before which commands are refused; the end, which waits until @users is 0 and refuses new
 * ones. A command without slot either never yields between look and change, or changes nothing.
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

enum server_slot { SLOT_STREAM, SLOT_TRACE, SERVER_SLOTS, SLOT_NONE = SERVER_SLOTS };

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
	struct co_mutex slots[SERVER_SLOTS];
	struct streaming *streaming; /* the last stream, NULL: there was none */
	/* What a successor must be told otherwise than we were. */
	bool backing_changes; /* the options' backing file is, or may soon be, another one */
	struct stream_wish wish;
	bool tracing, trace_stop; /* a trace's recorder runs; it is to end */
	bool finish_pending; /* keep first what was read, when ending */
	bool image_closes; /* too late to ask for that */
	unsigned int quits; /* clients that wait to hear whether the device is in use */
	unsigned int users; /* commands that use the image or the device, or wait for a slot */
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

/* Wait until the server has stopped.  Returns how that went. */
int server_co_wait_stopped(struct server *server, struct error *err);

/* Yield until @server->state or the like may have changed; make others look again. */
void server_co_wait_change(struct server *server);
void server_changed(struct server *server);

/*
 * A command begins to use the image, and what @slot is for (SLOT_NONE: nothing): it has that alone
 * when this returns 0, and the server does not close the image before server_leave().  Refused
 * with a line unless the server is live, be it that it began to stop while the command waited.
 */
int server_co_enter(struct server *server, enum server_slot slot, struct error *err);
void server_leave(struct server *server, enum server_slot slot);

/*
 * Signals that end the server, through a descriptor.  signals_block() comes
 * before any thread; returns a descriptor or a negative errno.
 */
int signals_block(void);
int signals_start(struct server *server);
void signals_co_stop(struct server *server);

#endif
