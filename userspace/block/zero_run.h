/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Find which parts of a guest's write are zero.  The same rules as in the kernel target
 * (kernel/zero-run.h), for a request in one buffer.
 */
#ifndef QEDBLK_BLOCK_ZERO_RUN_H
#define QEDBLK_BLOCK_ZERO_RUN_H

#include <stdbool.h>
#include <stdint.h>

/* How a guest's write of zeroes is executed. */
enum detect_zeroes {
	DETECT_ZEROES_OFF, /* as a write */
	DETECT_ZEROES_ON, /* as write-zeroes that keep allocated clusters */
	DETECT_ZEROES_UNMAP, /* as write-zeroes that may free clusters */
	DETECT_ZEROES_MODES,
};

/* Bytes: used as the cluster size where the format has no clusters, or smaller ones. */
#define DETECT_ZEROES_UNIT 4096u

/* "off", "on" and "unmap"; DETECT_ZEROES_MODES for a @name that is none of them. */
const char *detect_zeroes_name(enum detect_zeroes mode);
enum detect_zeroes detect_zeroes_mode(const char *name);

/*
 * Return the length, in bytes, of the first run of a write of @bytes (at least 1) from @buf to
 * @offset of a device of @size bytes: whole clusters of zeroes (*@zero set), or everything up
 * to the next whole cluster of zeroes.  A cluster that the end of the device cuts counts as
 * whole.  @cluster, bytes, is a power of two.  Does not sleep.
 */
uint64_t zero_run(const void *buf, uint64_t offset, uint64_t bytes, uint32_t cluster, uint64_t size,
		  bool *zero);

#endif
