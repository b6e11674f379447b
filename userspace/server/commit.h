/* SPDX-License-Identifier: GPL-2.0 */
/* Committing images of the served image's backing chain. */
#ifndef QEDBLK_SERVER_COMMIT_H
#define QEDBLK_SERVER_COMMIT_H

#include <stdint.h>

#include "util/error.h"

struct server;

struct commit_request {
	const char *top; /* a file of the backing chain; NULL: the image itself */
	const char *base; /* a file of the backing chain below it; NULL: the lowest one */
	uint64_t speed; /* bytes a second, 0: no limit */
};

/*
 * Start a commit. Returns 0, or a negative errno with an error line: -EBUSY where another process
 * uses the base. The caller holds SLOT_STREAM, and no job runs. Coroutine of the main loop; yields.
 */
int server_commit_co_start(struct server *server, const struct commit_request *request,
			   struct error *err);

#endif
