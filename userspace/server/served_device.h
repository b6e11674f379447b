/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ublk device of the server: coroutines of the main loop, which yield and return 0 or a
 * negative errno with an error line.
 */
#ifndef QEDBLK_SERVER_SERVED_DEVICE_H
#define QEDBLK_SERVER_SERVED_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct server;

/*
 * Check that the options fit what a server that died left: -EEXIST if its device waits and
 * --recover was not given, -ESRCH if none waits and it was given.
 */
int served_device_co_check_claim(struct server *server, struct error *err);

/*
 * Set server->device to a new device for the image, or with --recover to the one that waits.
 * Requests are served from served_device_co_start() on.
 */
int served_device_co_create(struct server *server, struct error *err);
int served_device_co_start(struct server *server, struct error *err);

/* Return true while the mapping of the device's name is above it. Blocks, in sysfs. */
bool served_device_is_mapped(const struct server *server);

/*
 * Make the started device @bytes large, down to a whole sector. -ENOTSUP where the kernel cannot do
 * that, which served_device_co_check_resize() finds without changing anything.
 */
int served_device_co_resize(struct server *server, uint64_t bytes, struct error *err);
int served_device_co_check_resize(struct server *server, struct error *err);

/*
 * Stop and destroy the device, after which server->device is NULL. After an error queues may
 * still run: the image must stay open.
 */
int served_device_co_end(struct server *server, struct error *err);

#endif
