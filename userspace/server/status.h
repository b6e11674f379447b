/* SPDX-License-Identifier: GPL-2.0 */
/* What a server tells of itself, as JSON. */
#ifndef QEDBLK_SERVER_STATUS_H
#define QEDBLK_SERVER_STATUS_H

#include <jansson.h>

#include "util/error.h"

struct server;

/*
 * The part of `status` that stays the same while the device is live; made once,
 * so that it can be told after the image is closed.  NULL: no memory.
 */
json_t *status_describe(struct server *server);

/* The backing chain is another one now. */
void status_refresh_chain(struct server *server);

/* Answers to `status` and `stats`; NULL: no memory. */
json_t *status_json(struct server *server);
json_t *stats_json(struct server *server);
/* The answer to `info`.  Coroutine; needs the image. */
int info_co_json(struct server *server, json_t **info, struct error *err);

#endif
