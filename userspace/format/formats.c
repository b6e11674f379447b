// SPDX-License-Identifier: GPL-2.0
/*
 * The table of formats, one row each: ROW(NAME) is the driver blk_driver_NAME. The first is the
 * format of a new image where none is given.
 */
#include <stddef.h>

#include "block/driver.h"

#define FORMATS(ROW) \
	ROW(qed)     \
	ROW(qcow2)   \
	ROW(raw)

#define DECLARE(name)	 extern const struct blk_driver blk_driver_##name;
#define ADDRESS_OF(name) &blk_driver_##name,

FORMATS(DECLARE)

const struct blk_driver *const blk_drivers[] = { FORMATS(ADDRESS_OF) NULL };
