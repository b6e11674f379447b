/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The question behind alloc and map.
 */
#ifndef QEDBLK_QED_IO_ALLOCATED_H
#define QEDBLK_QED_IO_ALLOCATED_H

#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"

/*
 * Is the byte at @offset in @node itself (as data or as zeroes)?  *@run is how
 * many bytes, at most @bytes, are alike.  Coroutine.  Returns 0 or a negative errno.
 */
int io_co_is_allocated(struct blk_node *node, uint64_t offset, uint64_t bytes, bool *here,
		       uint64_t *run);

#endif
