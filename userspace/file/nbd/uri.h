/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of NBD exports: from the form in options and image headers to the one for
 * libnbd.
 */
#ifndef QEDBLK_FILE_NBD_URI_H
#define QEDBLK_FILE_NBD_URI_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

/* Defaults, in seconds. */
#define NBD_RECONNECT_DELAY 30
#define NBD_REPLY_TIMEOUT   30

struct nbd_uri {
	char *text; /* heap: for libnbd */
	uint32_t reconnect_delay; /* seconds that requests wait for a lost connection */
	uint32_t reply_timeout; /* seconds without a reply, or of handshake, until it fails */
};

/* Does @name begin like the name of an NBD export? */
bool nbd_uri_matches(const char *name);

/*
 * Parse @name: a URI of the NBD project (nbd://, nbds://, nbd+unix://,
 * nbds+unix://), of which the parameters reconnect-delay=SECONDS and
 * reply-timeout=SECONDS are ours and are left out of @text; or QEMU's older
 * nbd:HOST:PORT[:exportname=NAME], nbd:unix:PATH[:exportname=NAME].
 * Returns 0, -EINVAL or -ENOMEM; the error line is the reason alone.
 */
int nbd_uri_parse(struct nbd_uri *uri, const char *name, struct error *err);

void nbd_uri_free(struct nbd_uri *uri);

#endif
