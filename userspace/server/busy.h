/* SPDX-License-Identifier: GPL-2.0 */
/* Finding users of a block device. */
#ifndef QEDBLK_SERVER_BUSY_H
#define QEDBLK_SERVER_BUSY_H

#include <stdint.h>

#include "util/error.h"

/*
 * Return 0 when the block device of ublk device @dev_id and its partitions are unused,
 * -EBUSY with an error line that names the user, or another negative errno with a
 * line. Finds only processes whose descriptors the caller may read, and a process may
 * open the device right afterwards. Blocks.
 */
int device_check_unused(uint32_t dev_id, struct error *err);

#endif
