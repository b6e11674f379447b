/* SPDX-License-Identifier: GPL-2.0 */
/* The alignment that O_DIRECT requires of offsets, lengths and buffer addresses. */
#ifndef QEDBLK_FILE_FILE_ALIGN_PROBE_H
#define QEDBLK_FILE_FILE_ALIGN_PROBE_H

#include <stdbool.h>
#include <stdint.h>

struct dio_align {
	uint32_t offset; /* of offsets and lengths, bytes, a power of two */
	uint32_t mem; /* of buffer addresses, bytes, a power of two */
};

/*
 * Find the alignment that @fd, open with O_DIRECT, needs.  @size in bytes.  Blocks.
 * Returns 0, -ENOTSUP when direct I/O does not work despite the flag, or another
 * negative errno.
 */
int dio_align_probe(int fd, bool is_device, uint64_t size, struct dio_align *align);

#endif
