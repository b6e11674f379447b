/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Devices that a dead server left behind, found by the server's name in the kernel's
 * state of devices, not by files. These functions block.
 */
#ifndef QEDBLK_UBLK_STALE_H
#define QEDBLK_UBLK_STALE_H

#include "ublk/ctrl.h"
#include "util/error.h"

/*
 * Find the device of a dead server @name that waits for a new server, or is about to.
 * The caller holds the lock of the name, which proves that the server is dead. Returns
 * 1 with @info filled, 0 if there is none, or a negative errno with an error line.
 */
int ublk_stale_find_waiting(const char *name, struct ublk_dev_info *info, struct error *err);

/*
 * Delete all devices that a dead server @name added; requests that wait in them fail.
 * Returns the number deleted, or a negative errno with an error line; -EBUSY: one of
 * them has a live server.
 */
int ublk_stale_delete(const char *name, struct error *err);

#endif
