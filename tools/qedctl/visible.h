/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What users other than root may see of devices: mappings by sysfs, and servers by the names and
 * arguments of processes.
 */
#ifndef QEDBLK_QEDCTL_VISIBLE_H
#define QEDBLK_QEDCTL_VISIBLE_H

#include "qedctl/device.h"

/*
 * device_list() for such a user. ->status of a device has only "name", "image", "pid" and "state":
 * live, or unknown where processes of other users are hidden. Of a mapping the target is unknown,
 * and how often it is open.
 */
int visible_list(struct device **devs, size_t *count, struct error *err);

/* Return the ublk device below a mapping, "ublkbN" in @buf, or NULL. */
const char *visible_lower(const struct device *dev, char *buf, size_t len);

#endif
