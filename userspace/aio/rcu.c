// SPDX-License-Identifier: GPL-2.0
/*
 * Deferred freeing for lock-free look-ups: liburcu's QSBR flavour.
 */
#include "aio/rcu.h"

#include <urcu-qsbr.h>

#include "aio/loop_internal.h"
#include "aio/tsan.h"
#include "util/units.h"

/*
 * ThreadSanitizer does not see liburcu's ordering: everything that a loop does before
 * a quiescent state happens before the functions called after the grace period.
 */
static char tsan_grace;

_Static_assert(sizeof(struct rcu_head) <= sizeof(((struct aio_rcu_head *)0)->opaque),
	       "no room for liburcu's head");
_Static_assert(_Alignof(struct rcu_head) <= _Alignof(struct aio_rcu_head),
	       "liburcu's head wants more alignment");

void rcu_loop_init(void)
{
	/* Starts the helper thread, so that aio_rcu_defer() needs no memory for it. */
	(void)get_default_call_rcu_data();
	rcu_register_thread();
	rcu_loop_offline();
}

void rcu_loop_exit(void)
{
	TSAN_RELEASE(&tsan_grace);
	rcu_unregister_thread();
}

void rcu_loop_quiescent(void)
{
	TSAN_RELEASE(&tsan_grace);
	rcu_quiescent_state();
}

void rcu_loop_offline(void)
{
	TSAN_RELEASE(&tsan_grace);
	rcu_thread_offline();
}

void rcu_loop_online(void)
{
	rcu_thread_online();
}

static void after_grace(struct rcu_head *rcu)
{
	struct aio_rcu_head *head = container_of((void *)rcu, struct aio_rcu_head, opaque);

	TSAN_ACQUIRE(&tsan_grace);
	head->fn(head);
	TSAN_RELEASE(&tsan_grace);
}

void aio_rcu_defer(struct aio_rcu_head *head, void (*fn)(struct aio_rcu_head *head))
{
	head->fn = fn;
	TSAN_RELEASE(&tsan_grace);
	call_rcu((struct rcu_head *)(void *)head->opaque, after_grace);
}
