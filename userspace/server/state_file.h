/* SPDX-License-Identifier: GPL-2.0 */
/*
 * NAME.json: the description of a server, for tools and for its successor. It is
 * rewritten whenever the options for a successor change.
 */
#ifndef QEDBLK_SERVER_STATE_FILE_H
#define QEDBLK_SERVER_STATE_FILE_H

#include "util/error.h"

struct server;

/*
 * Write NAME.json. Blocks, on a file system in memory. Main loop's thread. Returns 0
 * or a negative errno with an error line.
 */
int state_file_write(struct server *server, struct error *err);

/* The same, but log an error. */
void state_file_refresh(struct server *server);

#endif
