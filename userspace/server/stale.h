/* SPDX-License-Identifier: GPL-2.0 */
/* Devices that a dead server of the same name left behind. */
#ifndef QEDBLK_SERVER_STALE_H
#define QEDBLK_SERVER_STALE_H

#include "util/error.h"

/*
 * Delete all devices that a server called @name added and whose server is gone.
 * The kernel's word counts, not that of files.  -EBUSY: one of them has a
 * living server.  Blocks.
 */
int stale_devices_delete(const char *name, struct error *err);

#endif
