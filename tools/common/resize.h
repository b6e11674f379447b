/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Another size for an image, with space for what it gains.
 */
#ifndef QEDBLK_COMMON_RESIZE_H
#define QEDBLK_COMMON_RESIZE_H

#include "block/node.h"

/* "off"; of a raw image also "falloc", "full". */
enum prealloc { PREALLOC_OFF, PREALLOC_METADATA, PREALLOC_FALLOC, PREALLOC_FULL, PREALLOC_COUNT };

/* The mode that is called @name, or PREALLOC_COUNT: none is. */
enum prealloc prealloc_named(const char *name);
const char *prealloc_name(enum prealloc mode);

/*
 * Set @node's size, in bytes; where it grows, with space, which a raw one can be given.  If there
 * is none it keeps its size.  Coroutine.  Returns 0 or a negative errno with a line.
 */
int image_co_resize(struct blk_node *node, enum prealloc mode, uint64_t size, struct error *err);

#endif
