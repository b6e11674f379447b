/* SPDX-License-Identifier: GPL-2.0 */
/* The state of a server, as JSON. */
#ifndef QEDBLK_SERVER_STATUS_H
#define QEDBLK_SERVER_STATUS_H

#include <jansson.h>

#include "util/error.h"

struct server;

/*
 * Return the part of `status` that is constant while the device is live. Built once,
 * so that it is available after the image is closed. A new reference; NULL: no memory.
 */
json_t *status_describe(struct server *server);

/* Update that part after a change of the backing chain, or of the image's size. */
void status_refresh_chain(struct server *server);
void status_refresh_size(struct server *server);

/* Return the replies to `status` and `stats`, new references; NULL: no memory. */
json_t *status_json(struct server *server);
json_t *stats_json(struct server *server);
/*
 * Set *@info to the reply to `info`, a new reference. Coroutine; yields; needs the
 * image. Returns 0 or a negative errno with an error line.
 */
int info_co_json(struct server *server, json_t **info, struct error *err);

#endif
