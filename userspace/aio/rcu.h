/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Deferred freeing for lock-free look-ups: liburcu's QSBR flavour.
 *
 * Every loop's thread is registered; a reader is any stretch of loop code or
 * coroutine between two parks: a pointer loaded from a shared structure stays
 * valid until the code parks or the turn ends, and not beyond.
 */
#ifndef QEDBLK_AIO_RCU_H
#define QEDBLK_AIO_RCU_H

#include <stddef.h>

struct aio_rcu_head {
	void *opaque[4]; /* room for liburcu's head; see rcu.c */
	void (*fn)(struct aio_rcu_head *head);
};

/*
 * Call @fn(@head) on a helper thread once no loop can still hold a pointer
 * that it loaded before this call.  Never blocks, allocates nothing.
 */
void aio_rcu_defer(struct aio_rcu_head *head, void (*fn)(struct aio_rcu_head *head));

/*
 * Wait until all that was deferred has been called.  Blocks the thread; on a
 * loop's thread no pointer that was loaded before stays valid.
 */
void aio_rcu_barrier(void);

#endif
