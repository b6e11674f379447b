// SPDX-License-Identifier: GPL-2.0
/*
 * Requests in flight, by epochs.
 *
 * Why two advances of the epoch are enough: a request counts itself under epoch e
 * and, after that, still sees epoch e.  The advance from e + 1 to e + 2 looks at
 * the counts of e's parity after the epoch became e + 1, hence after the
 * request counted itself: while the request is in flight the epoch cannot exceed
 * e + 1.  A ticket taken in the meantime is e or e + 1, and passes at e + 2 at
 * the earliest.
 */
#include <string.h>

#include "block/inflight.h"

void inflight_init(struct inflight *inf)
{
	memset(inf, 0, sizeof(*inf));
}

/* Make readers of the slots include slot @index. */
static void raise_limit(struct inflight *inf, unsigned int index)
{
	unsigned int limit = atomic_load(&inf->limit);

	while (limit <= index && !atomic_compare_exchange_weak(&inf->limit, &limit, index + 1))
		;
}

unsigned int inflight_begin(struct inflight *inf)
{
	unsigned int index = aio_loop_index(aio_loop_current());
	struct inflight_slot *slot = &inf->slots[index];

	if (index >= atomic_load_explicit(&inf->limit, memory_order_relaxed))
		raise_limit(inf, index);

	for (;;) {
		uint64_t epoch = atomic_load(&inf->epoch);
		unsigned int token = epoch & 1;

		atomic_fetch_add(&slot->count[token], 1);
		if (atomic_load(&inf->epoch) == epoch)
			return token;
		/* Counted too late for that epoch: its count may have been read already. */
		atomic_fetch_sub(&slot->count[token], 1);
	}
}

void inflight_end(struct inflight *inf, unsigned int token)
{
	struct inflight_slot *slot = &inf->slots[aio_loop_index(aio_loop_current())];

	atomic_fetch_sub(&slot->count[token], 1);
}

static bool parity_empty(struct inflight *inf, unsigned int parity)
{
	unsigned int limit = atomic_load(&inf->limit);

	/* Each slot by itself: a request begins and ends in the same one. */
	for (unsigned int i = 0; i < limit; i++)
		if (atomic_load(&inf->slots[i].count[parity]))
			return false;
	return true;
}

uint64_t inflight_ticket(struct inflight *inf)
{
	/* A request that this ticket does not wait for sees what the caller stored before. */
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load(&inf->epoch);
}

bool inflight_passed(struct inflight *inf, uint64_t ticket)
{
	uint64_t epoch = atomic_load(&inf->epoch);

	while (epoch < ticket + 2) {
		if (!parity_empty(inf, (epoch + 1) & 1))
			return false;
		/* On failure another thread advanced it, and @epoch is its new value. */
		if (atomic_compare_exchange_strong(&inf->epoch, &epoch, epoch + 1))
			epoch++;
	}
	return true;
}

bool inflight_elsewhere(struct inflight *inf)
{
	unsigned int own = aio_loop_index(aio_loop_current());
	unsigned int limit = atomic_load_explicit(&inf->limit, memory_order_relaxed);

	for (unsigned int i = 0; i < limit; i++) {
		struct inflight_slot *slot = &inf->slots[i];

		if (i != own && (atomic_load_explicit(&slot->count[0], memory_order_relaxed) ||
				 atomic_load_explicit(&slot->count[1], memory_order_relaxed)))
			return true;
	}
	return false;
}
