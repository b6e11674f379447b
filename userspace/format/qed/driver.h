/* SPDX-License-Identifier: GPL-2.0 */
/* The QED driver, for the table of formats. */
#ifndef QEDBLK_FORMAT_QED_DRIVER_H
#define QEDBLK_FORMAT_QED_DRIVER_H

#include "block/driver.h"

extern const struct blk_driver blk_driver_qed;

#endif
