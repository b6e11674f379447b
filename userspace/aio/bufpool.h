/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A bounded pool of equal, page-aligned buffers, shared by all loops.
 *
 * The pool's address space is reserved at once, and its memory allocated at first
 * use; buffers are handed out last-in first-out so that a quiet pool stays small.
 *
 * A coroutine that holds a buffer may wait only for a buffer of a pool that comes
 * later in the lock order (see file/file.h), and for no second one of the same
 * pool: so waiting always ends.
 */
#ifndef QEDBLK_AIO_BUFPOOL_H
#define QEDBLK_AIO_BUFPOOL_H

#include <stddef.h>

struct bufpool;

/*
 * Create a pool of at most @count buffers of @buf_size bytes, a multiple of the page size.  Returns
 * 0, -EINVAL or -ENOMEM.
 */
int bufpool_create(struct bufpool **pool, size_t buf_size, unsigned int count);
/* All buffers must have been put back.  @pool may be NULL. */
void bufpool_destroy(struct bufpool *pool);
size_t bufpool_buf_size(const struct bufpool *pool);
/* Return the maximal number of buffers. */
unsigned int bufpool_count(const struct bufpool *pool);

/* Get a buffer; yields until there is one if all are in use. */
void *bufpool_co_get(struct bufpool *pool);
/* Get a buffer, or NULL if all are in use.  Any thread. */
void *bufpool_try_get(struct bufpool *pool);
/* Put a buffer back, or hand it to the first waiter.  Any thread. */
void bufpool_put(struct bufpool *pool, void *buf);

#endif
