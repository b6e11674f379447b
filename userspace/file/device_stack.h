/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Block devices above and below each other, as /sys shows them: partitions, device-mapper and other
 * stacked devices, loop devices.  The functions block.
 */
#ifndef QEDBLK_FILE_DEVICE_STACK_H
#define QEDBLK_FILE_DEVICE_STACK_H

#include <stdbool.h>
#include <sys/types.h>

#define DEVICE_SET_MAX 256

struct device_set {
	dev_t dev[DEVICE_SET_MAX];
	unsigned int count; /* more devices than there is room for are left out */
};

bool device_set_has(const struct device_set *set, dev_t dev);
void device_set_add(struct device_set *set, dev_t dev);

/* Fill @set with @dev, which comes first, and all devices above it, or below it. */
void device_set_above(struct device_set *set, dev_t dev);
void device_set_below(struct device_set *set, dev_t dev);

/*
 * Write the device's name to @buf: the kernel's, and a device-mapper device's own in brackets.
 * Returns @buf.
 */
#define DEVICE_TITLE_LEN 192
char *device_title(char buf[DEVICE_TITLE_LEN], dev_t dev);

/* Is it a partition? */
bool device_is_partition(dev_t dev);
/* Is it a device mapping of a partition, as kpartx and qedctl make them? */
bool device_is_mapped_partition(dev_t dev);

/* A ublk device whose server is ours. */
struct device_served {
	dev_t dev; /* of the whole ublk device */
	dev_t mapping; /* of the device mapping above it; 0: there is none */
	bool writable;
	pid_t pid; /* the server's; 0: not known to this process */
	char *name; /* the device's; NULL: not known */
	char *image; /* as its server's options name it; NULL: not known */
};

/*
 * Find the device of qedd to which the bytes of block device @dev belong.  A process that may not
 * see the server recognizes only one with a device mapping.  Returns true with @served
 * filled, for device_served_free().
 */
bool device_find_served(dev_t dev, struct device_served *served);
void device_served_free(struct device_served *served);

#endif
