/* SPDX-License-Identifier: GPL-2.0 */
/* Watching the backing files of the served image, which other programs must not change. */
#ifndef QEDBLK_SERVER_WATCH_H
#define QEDBLK_SERVER_WATCH_H

struct blk_node;
struct server;

/*
 * Look, too, when a read of a backing file of @node has failed. Before the first request to it.
 * Main loop's thread, like all functions here.
 */
void server_watch_attach(struct server *server, struct blk_node *node);

/* Start watching, if there are backing files and it has not begun. Logs an error. */
void server_watch_start(struct server *server);

/* End it, before the image is closed. Yields. */
void server_watch_co_stop(struct server *server);

/* The backing chain has become shorter: watch, and record, what is left. Does not yield. */
void server_watch_follow(struct server *server);

/* Files of the chain were changed on purpose, and are not in the record: add them, soon. */
void server_watch_renew(struct server *server);

#endif
