/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control socket: lines from clients in, replies out.
 *
 * Each client has a coroutine on the main loop. The commands of a client run one after
 * another, so a client that does not read its replies blocks only itself.
 */
#ifndef QEDBLK_SERVER_CONTROL_H
#define QEDBLK_SERVER_CONTROL_H

#include <pthread.h>
#include <stdbool.h>
#include <urcu/list.h>

#include "aio/lock.h"
#include "aio/timer.h"

struct server;

struct control {
	struct server *server;
	int listen_fd;
	bool accepting, closing;
	struct cds_list_head clients; /* struct control_client */
	unsigned int nr_clients;
	struct aio_timer patience;

	pthread_mutex_t mutex; /* for @changed; all other fields belong to the main loop */
	struct co_queue changed; /* woken when a client is gone or accepting ended */
};

/*
 * Serve clients of @listen_fd; takes ownership of it, also on an error. Returns 0 or a
 * negative errno. On the main loop's thread.
 */
int control_start(struct control *control, struct server *server, int listen_fd);

/*
 * Let running commands reply, then close all connections. Does nothing on a zeroed
 * @control that control_start() was not called on. Coroutine; yields.
 */
void control_co_stop(struct control *control);

#endif
