/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control socket: clients' lines in, answers out.
 *
 * A coroutine for each client on the main loop.  A client's commands are
 * carried out one after the other, so one that does not read its answers
 * holds up nobody but itself.
 */
#ifndef QEDBLK_SERVER_CONTROL_H
#define QEDBLK_SERVER_CONTROL_H

#include <pthread.h>
#include <stdbool.h>

#include "aio/lock.h"
#include "aio/timer.h"

struct server;
struct control_client;

struct control {
	struct server *server;
	int listen_fd;
	bool accepting, closing;
	struct control_client *clients; /* list */
	unsigned int nr_clients;
	struct aio_timer patience;

	pthread_mutex_t mutex; /* for @changed; all else is the main loop's own */
	struct co_queue changed; /* fewer clients */
};

/* Serve clients of @listen_fd, which is taken over.  On the main loop's thread. */
int control_start(struct control *control, struct server *server, int listen_fd);

/*
 * Let commands that are being carried out answer, then close all connections.
 * Does nothing where control_start() was not called on the zeroed @control.
 * Coroutine.
 */
void control_co_stop(struct control *control);

#endif
