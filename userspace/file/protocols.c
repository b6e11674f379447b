// SPDX-License-Identifier: GPL-2.0
/*
 * The table of protocols, one row each: ROW(NAME) is blk_protocol_NAME.
 */
#include <stddef.h>

#include "file/protocol.h"

#define PROTOCOLS(ROW)   \
	ROW(file)        \
	ROW(host_device) \
	ROW(host_cdrom)  \
	ROW(nbd)         \
	ROW(null)

#define DECLARE(name)	 extern const struct blk_protocol blk_protocol_##name;
#define ADDRESS_OF(name) &blk_protocol_##name,

PROTOCOLS(DECLARE)

const struct blk_protocol *const blk_protocols[] = { PROTOCOLS(ADDRESS_OF) NULL };
