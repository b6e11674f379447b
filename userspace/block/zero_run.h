/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which parts of a guest's write are zero.  The same rules as in the kernel's target
 * (kernel/zero-run.h), for a request that lies in one buffer.
 */
#ifndef QEDBLK_BLOCK_ZERO_RUN_H
#define QEDBLK_BLOCK_ZERO_RUN_H

#include <stdbool.h>
#include <stdint.h>

/* What becomes of guests' writes of zeroes. */
enum detect_zeroes {
	DETECT_ZEROES_OFF, /* they are written */
	DETECT_ZEROES_ON, /* write-zeroes; what is allocated stays so */
	DETECT_ZEROES_UNMAP, /* write-zeroes that may free */
	DETECT_ZEROES_MODES,
};

/* Bytes in place of a cluster where the format has none, or smaller ones. */
#define DETECT_ZEROES_UNIT 4096u

/* "off", "on" and "unmap"; DETECT_ZEROES_MODES for a @name that is none of them. */
const char *detect_zeroes_name(enum detect_zeroes mode);
enum detect_zeroes detect_zeroes_mode(const char *name);

/*
 * The first run of a write of @bytes, at least one, from @buf to @offset of a device of @size
 * bytes: whole clusters of zeroes (*@zero), or everything up to the next whole
 * cluster of zeroes.  One that the device ends inside of is whole.  Returns the run's
 * bytes.  @cluster is a power of two.  Does not sleep.
 */
uint64_t zero_run(const void *buf, uint64_t offset, uint64_t bytes, uint32_t cluster, uint64_t size,
		  bool *zero);

#endif
