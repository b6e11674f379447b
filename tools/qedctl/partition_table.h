/* SPDX-License-Identifier: GPL-2.0 */
/* The partition table of a block device or a file, GPT or MBR, as libblkid reads it. */
#ifndef QEDBLK_QEDCTL_PARTITION_TABLE_H
#define QEDBLK_QEDCTL_PARTITION_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* As many as the kernel has on one device. */
#define PARTITION_MAX 256

struct partition {
	unsigned int number; /* from 1; logical partitions of an MBR from 5 */
	uint64_t start, size; /* bytes, in whole logical blocks of the device */
	char type[40]; /* a GPT's UUID in lower case, or an MBR's number, 0x83 */
	char uuid[40]; /* "" if there is none */
	char label[120]; /* a GPT's name, any text; "" if there is none */
};

/*
 * Read the table of @path, a device or file of @size bytes. Reading blocks, as long as the device
 * holds I/O. Partitions without length, beyond the end or over another one are left out, with a
 * warning each; so is the MBR's extended partition, which only contains others. Returns 0 with
 * @parts, for free(), by number; -ENOENT with an error line if there is no GPT or MBR; another
 * negative errno.
 */
int partition_table_read(const char *path, uint64_t size, struct partition **parts, size_t *count,
			 struct error *err);

/* Return the usual name of a type, as "EFI System", or @type itself. */
const char *partition_type_name(const char *type);

#endif
