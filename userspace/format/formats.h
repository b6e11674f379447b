/* SPDX-License-Identifier: GPL-2.0 */
/* The drivers of all formats, for the table in formats.c. */
#ifndef QEDBLK_FORMAT_FORMATS_H
#define QEDBLK_FORMAT_FORMATS_H

#include "block/driver.h"

extern const struct blk_driver blk_driver_raw;
extern const struct blk_driver blk_driver_qed;
extern const struct blk_driver blk_driver_qcow2;

#endif
