/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What uses a block device: mounts, swap, devices above it, processes.  The functions block, and
 * find only what this process may see; a device may be opened right afterwards.
 */
#ifndef QEDBLK_FILE_DEVICE_USERS_H
#define QEDBLK_FILE_DEVICE_USERS_H

#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"

enum device_use {
	DEVICE_USE_ANY,
	/* What must not find it changed: mounts, swap, and processes that can write to it. */
	DEVICE_USE_KEEPS,
	DEVICE_USE_WRITES, /* only what can write to it */
};

/*
 * Return what uses the device @dev, its partitions or devices above it in a way of @use, other
 * than this process, as words to follow "in use by " (heap); NULL: nothing is found.
 */
char *device_users(dev_t dev, enum device_use use);

/*
 * The image lock of a block device whose bytes are those of a device of qedd: fail with -EBUSY, in
 * the words of a conflict of image locks and with the name of the user, while it is in use
 * for writing, or, with @writing, by what must not find it changed.  With @lasting, that
 * its bytes stay: fail if they can be written to at all.  Any other device: 0.
 */
int device_lock_check(dev_t dev, bool writing, bool lasting, struct error *err);

#endif
