/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A bounded pool of equal, page-aligned buffers, shared by all loops.
 *
 * The pool's address space is reserved at once and touched as it is used;
 * buffers are handed out last-in first-out so that a quiet pool stays small.
 *
 * Whoever holds a buffer may wait for a buffer of a pool of *lower rank* only
 * (see file/file.h), and for no second one of the same pool: so waiting
 * always ends.
 */
#ifndef QEDBLK_AIO_BUFPOOL_H
#define QEDBLK_AIO_BUFPOOL_H

#include <stddef.h>

struct bufpool;

/* @buf_size in bytes, a multiple of the page size; @count buffers at most. */
int bufpool_create(struct bufpool **pool, size_t buf_size, unsigned int count);
/* All buffers must have been put back. */
void bufpool_destroy(struct bufpool *pool);
size_t bufpool_buf_size(const struct bufpool *pool);
/* How many buffers it has at most. */
unsigned int bufpool_count(const struct bufpool *pool);

/* A buffer, waiting for one if all are out. */
void *bufpool_co_get(struct bufpool *pool);
/* A buffer, or NULL if all are out.  Any thread. */
void *bufpool_try_get(struct bufpool *pool);
/* Any thread. */
void bufpool_put(struct bufpool *pool, void *buf);

#endif
