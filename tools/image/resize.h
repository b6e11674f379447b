/* SPDX-License-Identifier: GPL-2.0 */
/* Resizing an image, with preallocation. */
#ifndef QEDBLK_IMAGE_RESIZE_H
#define QEDBLK_IMAGE_RESIZE_H

#include "block/node.h"

/* Preallocation modes; raw images also support "falloc" and "full". */
enum prealloc { PREALLOC_OFF, PREALLOC_METADATA, PREALLOC_FALLOC, PREALLOC_FULL, PREALLOC_COUNT };

/* Return the mode called @name, or PREALLOC_COUNT. */
enum prealloc prealloc_named(const char *name);

/*
 * Set @node's size, in bytes. If it grows, preallocate the new part, which only raw
 * images support; without space the old size stays. Coroutine; yields. Returns 0 or a
 * negative errno with an error line.
 */
int image_co_resize(struct blk_node *node, enum prealloc mode, uint64_t size, struct error *err);

#endif
