/* SPDX-License-Identifier: GPL-2.0 */
/* The drivers and protocols that exist, for the tables in formats.c and protocols.c. */
#ifndef QEDBLK_FORMAT_FORMATS_H
#define QEDBLK_FORMAT_FORMATS_H

#include "block/driver.h"
#include "block/protocol.h"

extern const struct blk_driver blk_driver_raw;
extern const struct blk_driver blk_driver_qed;
extern const struct blk_driver blk_driver_qcow2;

extern const struct blk_protocol blk_protocol_nbd;
extern const struct blk_protocol blk_protocol_null;

#endif
