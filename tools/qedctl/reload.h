/* SPDX-License-Identifier: GPL-2.0 */
/* Another device-mapper table for a live device: its target, and what that does. */
#ifndef QEDBLK_QEDCTL_RELOAD_H
#define QEDBLK_QEDCTL_RELOAD_H

#include "qedctl/device.h"

/* What is to change; NULL, and neither of the flags: nothing. */
struct reload_wish {
	const char *target, *detect_zeroes;
	bool known_zero, no_known_zero;
};

/*
 * Change the target of @dev, which the caller has from device_find_alone(), and its server's part
 * in the detection of zeroes. Returns 0, or a negative errno with an error line and nothing
 * changed.
 */
int reload_device(const struct device *dev, const struct reload_wish *wish, struct error *err);

#endif
