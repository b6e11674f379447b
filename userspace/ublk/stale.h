/* SPDX-License-Identifier: GPL-2.0 */
/* Devices that a dead server left behind. */
#ifndef QEDBLK_UBLK_STALE_H
#define QEDBLK_UBLK_STALE_H

#include "util/error.h"

/*
 * Delete all devices that a server called @name added and whose server is gone.
 * The kernel's word counts, not that of files.  Returns how many were deleted;
 * -EBUSY: one of them has a living server.  Blocks.
 */
int ublk_stale_delete(const char *name, struct error *err);

#endif
