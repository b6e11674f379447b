/* SPDX-License-Identifier: GPL-2.0 */
/* Who has a block device open? */
#ifndef QEDBLK_SERVER_BUSY_H
#define QEDBLK_SERVER_BUSY_H

#include <stdint.h>

#include "util/error.h"

/*
 * Returns 0 when nobody uses the block device of ublk device @dev_id or one of
 * its partitions, -EBUSY with a line that says who does, or another errno.
 * Only processes that we may look at are found, and somebody may come right
 * afterwards.  Blocks.
 */
int device_check_unused(uint32_t dev_id, struct error *err);

#endif
