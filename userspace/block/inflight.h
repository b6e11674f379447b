/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests in flight, counted so that a caller can ask "is every request that
 * began before now over?" without a lock in the path of any request.
 *
 * Epochs: a request counts itself in its loop's slot under the current epoch's
 * parity.  The epoch advances only when no request is left in the one before it;
 * so when it has advanced twice, all requests that began before are over.  (The
 * scheme of SRCU and of epoch-based reclamation.)
 */
#ifndef QEDBLK_BLOCK_INFLIGHT_H
#define QEDBLK_BLOCK_INFLIGHT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "aio/loop.h"

struct inflight_slot {
	_Atomic uint32_t count[2]; /* by parity of the epoch; changed by the slot's loop only */
} __attribute__((aligned(64)));

struct inflight {
	_Atomic uint64_t epoch;
	_Atomic unsigned int limit; /* slots below this one have ever been used */
	struct inflight_slot slots[AIO_MAX_LOOPS];
};

void inflight_init(struct inflight *inf);

/* Enter, on a loop's thread; the result goes to inflight_end() on the same loop. */
unsigned int inflight_begin(struct inflight *inf);
void inflight_end(struct inflight *inf, unsigned int token);

/*
 * A ticket for "all requests that are in flight now".  A request that begins
 * later sees all that the caller stored before.
 */
uint64_t inflight_ticket(struct inflight *inf);
/* Are they over?  Advances the epoch as far as possible.  Any thread, never blocks. */
bool inflight_passed(struct inflight *inf, uint64_t ticket);
/*
 * Is a request in flight on another loop than the calling thread's?  The answer may be out of
 * date when the caller gets it.
 */
bool inflight_elsewhere(struct inflight *inf);

#endif
