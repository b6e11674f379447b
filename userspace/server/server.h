/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The server: one image, one block device, and the life of both.
 *
 * Everything here belongs to the main thread and its loop. The device's queues have threads of
 * their own and use only the image's node.
 *
 * Commands run concurrently on that one thread: a command that yields (it opens a file, starts a
 * thread, waits for a job) lets others run between its checks and its changes. So the state that a
 * command changes has a slot, which the command holds from its first check to its last change:
 *
 * SLOT_STREAM	@job, @wish, @backing_changes, @resized and the image's size; @image.node, its path,
 *		and @other_image; a check, during which the image may not be resized or replaced
 * SLOT_TRACE	the trace of the image's node, @tracing, @trace_stop
 *
 * These run without the slot: the coroutine that follows a job, which only ends the running job
 * (sets @job->over while it frees the job, and then, without yielding, sets @job->job to NULL and
 * may drop the wish); the start of the server, during which commands are refused; its stop, which
 * refuses new commands and waits until @users is 0. A command without a slot either never yields
 * between check and change, or changes nothing.
 */
#ifndef QEDBLK_SERVER_SERVER_H
#define QEDBLK_SERVER_SERVER_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdnoreturn.h>

#include "aio/lock.h"
#include "server/control.h"
#include "server/daemon.h"
#include "device/device_image.h"
#include "device/options.h"
#include "server/job.h"
#include "server/run_state.h"
#include "server/stream.h"
#include "ublk/device.h"
#include "ublk/node_target.h"

enum server_state { SERVER_STARTING, SERVER_LIVE, SERVER_STOPPING, SERVER_STOPPED };

enum server_slot { SLOT_STREAM, SLOT_TRACE, SERVER_SLOTS, SLOT_NONE = SERVER_SLOTS };

struct server {
	const struct device_options *options; /* of @live_options */
	struct device_options live_options; /* as started with, and changed since: see set.c */
	char *live_values[DEVICE_NR_OPTIONS]; /* heap: values of those that were changed */
	/* The directory it was started in, which names in @options are relative to; or NULL. */
	char *directory;
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
	struct server_job *job; /* the latest one, running or ended; NULL: none yet */
	/* Where the options of a successor differ from this server's. */
	/* The backing file is, or may soon be, another one than in the options. */
	bool backing_changes;
	struct stream_wish wish;
	bool resized; /* the image may have another size than in the options */
	bool other_image; /* it is another one than in the options */
	bool tracing, trace_stop; /* a trace recorder runs; it is to end */
	/* See watch.c. */
	bool watching, watch_wake, watch_stop, watch_renew;
	uint64_t watch_early; /* ns, monotonic: when it was last woken by a failed read */
	struct aio_post source_failed;
	atomic_flag source_has_failed; /* it is posted */
	bool takes_over; /* began to take over a device, which may be in use */
	bool finish_pending; /* when stopping, first write pending copy-on-read clusters */
	bool image_closes; /* too late to request that */
	bool looks_for_files; /* a look for the files of the image's chain runs */
	unsigned int quits; /* requests to stop that check whether the device is in use */
	uint64_t refused_signal; /* ns, monotonic: the last signal that did not stop it; 0: none */
	unsigned int users; /* commands that use the image or the device, or wait for a slot */
	const char *stop_reason; /* NULL: keep running */
	struct error stop_error; /* the first error while stopping */

	pthread_mutex_t mutex; /* for @changed; all other fields belong to the main loop */
	/* @state, @users, @stop_reason, @signals_running, and what naps end for */
	struct co_queue changed;

	struct aio_loop *loop;
	struct aio_post queue_ended; /* posted once, by the first queue's thread that ends */
	atomic_flag queue_has_ended;
	/* See full_event.c. */
	struct aio_post full_changed;
	atomic_flag full_has_changed; /* it is posted */
	bool full_event_due, full_event_sent; /* one is to be sent; no coroutine sends one */

	int signal_fd;
	bool signals_running, signals_over;
	enum exit_status exit_status;
};

/*
 * Serve as @options say until a signal or a client stops the server. Reports to the
 * starting process by @starter. Returns the program's exit status.
 */
int server_run(const struct device_options *options, const struct starter *starter);

/*
 * start.c: start serving. After an error all is undone. When that is impossible, or when the
 * server is to stop while the image is being opened, reports to the starter and does not return.
 * Coroutine of the main loop; yields.
 */
int server_co_start(struct server *server, struct error *err);

/*
 * Exit with @status, without cleanup: threads may be in the middle of requests, so nothing they use
 * can be freed. A device and its files stay, for qedctl recover or remove.
 */
noreturn void server_leave_at_once(enum exit_status status);

/* Request the server to stop; the first reason is kept. Main loop's thread. */
void server_ask_stop(struct server *server, const char *reason);

/* Yield until the server has stopped. Returns 0, or the error of stopping with its line. */
int server_co_wait_stopped(struct server *server, struct error *err);

/*
 * Yield until server->changed is woken; wake all coroutines waiting on it, after a
 * change of @state, @users, @stop_reason or the like.
 */
void server_co_wait_change(struct server *server);
void server_changed(struct server *server);

/* Yield for @ns, or until *@wake is true and server_changed() is called. */
void server_co_nap(struct server *server, uint64_t ns, const bool *wake);

/*
 * Begin a command that uses the image and the state that @slot protects (SLOT_NONE: none). Yields
 * until the slot is free. When this returns 0, the command holds the slot, and the server does not
 * close the image before server_leave(). Fails with an error line unless the server is live, also
 * when it begins to stop while the command waits.
 */
int server_co_enter(struct server *server, enum server_slot slot, struct error *err);
void server_leave(struct server *server, enum server_slot slot);

/*
 * quit.c: return 0 while the block device is unused, -EBUSY with a line that names its users, or
 * another negative errno. Retries for a while, since udev's programs open a device for a moment.
 * Coroutine of the main loop; yields.
 */
int server_co_check_unused(struct server *server, struct error *err);

/*
 * quit.c: a signal, @name, from process @sender asks the server to stop. It is refused while the
 * device is in use, unless it is the second one or the system shuts down. Coroutine of the main
 * loop; yields.
 */
void server_co_take_signal(struct server *server, const char *name, pid_t sender);

/*
 * Signals that stop the server, read from a descriptor. Call signals_block() before
 * any thread starts; it returns a signalfd for the caller to close, or a negative
 * errno.
 */
int signals_block(void);
int signals_start(struct server *server);
void signals_co_stop(struct server *server);

#endif
