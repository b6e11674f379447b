/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Devices that a dead server left behind, found by the name of the server.  The
 * kernel's word counts, not that of files.  These functions block.
 */
#ifndef QEDBLK_UBLK_STALE_H
#define QEDBLK_UBLK_STALE_H

#include <stdbool.h>

#include "ublk/ctrl.h"
#include "util/error.h"

/*
 * Find the device that a server called @name served and that waits for its
 * successor, or will in a moment: whoever asks knows that the server does not live,
 * since it has the lock of the name.  Returns 1 with @info filled, or 0: there is none.
 */
int ublk_stale_find_waiting(const char *name, struct ublk_dev_info *info, struct error *err);

/*
 * Delete all devices that a server called @name added and whose server is gone;
 * requests that wait in them fail.  Returns how many were deleted; -EBUSY: one of
 * them has a living server.
 */
int ublk_stale_delete(const char *name, struct error *err);

#endif
