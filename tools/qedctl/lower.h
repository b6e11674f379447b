/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ublk device below a mapping. While the mapping exists it holds the device: no program can
 * mount it, open it with O_EXCL or have its partition table read again.
 */
#ifndef QEDBLK_QEDCTL_LOWER_H
#define QEDBLK_QEDCTL_LOWER_H

#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

struct lower {
	dev_t dev;
	uint64_t size; /* bytes */
	int read_only;
};

/* Fill @lower with the properties of the block device @path. */
int lower_look(const char *path, struct lower *lower, struct error *err);

/*
 * Remove the partitions that the kernel found on the block device @path: what is written to one
 * would go past the mapping. Retries for some seconds, while udev has one open. -EBUSY: one is in
 * use.
 */
int lower_remove_partitions(const char *path, struct error *err);

#endif
