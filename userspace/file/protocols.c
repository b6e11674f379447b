// SPDX-License-Identifier: GPL-2.0
/*
 * The table of protocols.
 */
#include <stddef.h>

#include "file/protocol.h"

const struct blk_protocol *const blk_protocols[] = {
	&blk_protocol_nbd,
	&blk_protocol_null,
	NULL,
};
