/* SPDX-License-Identifier: GPL-2.0 */
/*
 * NAME.json: what a server is about, for whoever looks and for its successor.  It
 * is rewritten whenever what a successor has to be told changes.
 */
#ifndef QEDBLK_SERVER_STATE_FILE_H
#define QEDBLK_SERVER_STATE_FILE_H

#include "util/error.h"

struct server;

/* Blocking, though on a file system in memory; main loop's thread. */
int state_file_write(struct server *server, struct error *err);

/* The same, with a line in the log where it fails. */
void state_file_refresh(struct server *server);

#endif
