/* SPDX-License-Identifier: GPL-2.0 */
/* Writing back the dirty data that the kernel holds for a block device. */
#ifndef QEDBLK_UBLK_WRITE_BACK_H
#define QEDBLK_UBLK_WRITE_BACK_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

/* Return true when the program that ublk_write_back() needs is installed. */
bool ublk_can_write_back(void);

/*
 * Write back the block device's page cache and a file system mounted from it; its queues must be
 * serving. Blocks. Write errors are reported to the writers of the data, not here. A device that
 * is gone is no error. Returns 0 or a negative errno with an error line; -ETIMEDOUT after ten
 * minutes.
 */
int ublk_write_back(uint32_t dev_id, struct error *err);

#endif
