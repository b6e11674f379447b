/* SPDX-License-Identifier: GPL-2.0 */
/* The device-mapper event of a full file system (full_event.c). */
#ifndef QEDBLK_SERVER_FULL_EVENT_H
#define QEDBLK_SERVER_FULL_EVENT_H

struct server;

/* Raise events from now on. Main loop's thread, when server->target is initialized. */
void server_full_event_init(struct server *server);

#endif
