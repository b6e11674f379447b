/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Deferred freeing for lock-free look-ups: liburcu's QSBR flavour.
 *
 * A reader is any stretch of loop code, or of a coroutine between two yields: a
 * pointer loaded from a shared structure stays valid until the code yields or
 * the turn ends, and no longer.  Code outside of aio_loop_run() and
 * aio_loop_run_co(), on threads with a loop or without, is no reader, and delays
 * no grace period.  Pointers are published with C11 atomics (release, acquire).
 *
 * The first loop starts a helper thread: a process that continues in a child
 * without exec() must fork before that.
 */
#ifndef QEDBLK_AIO_RCU_H
#define QEDBLK_AIO_RCU_H

struct aio_rcu_head {
	void *opaque[4]; /* liburcu's struct rcu_head; see rcu.c */
	void (*fn)(struct aio_rcu_head *head);
};

/*
 * Call @fn(@head) on a helper thread once no loop can still use a pointer that it
 * loaded before this call.  Never blocks, allocates nothing.
 */
void aio_rcu_defer(struct aio_rcu_head *head, void (*fn)(struct aio_rcu_head *head));

#endif
