/* SPDX-License-Identifier: GPL-2.0 */
/* Allocation status, for alloc and map. */
#ifndef QEDBLK_QED_IO_ALLOCATED_H
#define QEDBLK_QED_IO_ALLOCATED_H

#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"

/*
 * Set *@here to whether the byte at @offset is allocated in @node itself (as data or
 * zeroes), and *@run to the number of bytes, at most @bytes, with the same status.
 * Coroutine; yields. Returns 0 or a negative errno.
 */
int io_co_is_allocated(struct blk_node *node, uint64_t offset, uint64_t bytes, bool *here,
		       uint64_t *run);

#endif
