/* SPDX-License-Identifier: GPL-2.0 */
/* Having the kernel write what it holds back for a block device. */
#ifndef QEDBLK_UBLK_WRITE_BACK_H
#define QEDBLK_UBLK_WRITE_BACK_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

/* Is there what ublk_write_back() needs? */
bool ublk_can_write_back(void);

/*
 * Have the block device's page cache, and what a file system mounted from it
 * holds, written to it; its queues must be serving.  What fails to be written is the business of
 * whoever wrote it.  A device that is gone is no error.  Blocks.  -ETIMEDOUT
 * after ten minutes.
 */
int ublk_write_back(uint32_t dev_id, struct error *err);

#endif
