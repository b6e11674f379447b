// SPDX-License-Identifier: GPL-2.0
/*
 * The table of formats: what probing and blk_driver_find() look through.
 */
#include <stddef.h>

#include "format/formats.h"

const struct blk_driver *const blk_drivers[] = {
	&blk_driver_qed,
	&blk_driver_qcow2,
	&blk_driver_raw,
	NULL,
};
