/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One-shot timers of a loop.  The loop's thread only; embedded in an object of the
 * caller; nothing is allocated.
 */
#ifndef QEDBLK_AIO_TIMER_H
#define QEDBLK_AIO_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct aio_loop;

struct aio_timer {
	uint64_t deadline; /* ns, CLOCK_MONOTONIC; valid while armed */
	void (*fn)(struct aio_timer *timer);
	uint64_t order; /* among equal deadlines; this and below is the loop's heap */
	struct aio_timer *child, *prev, *next;
	bool armed;
};

/* Return CLOCK_MONOTONIC in nanoseconds. */
uint64_t aio_now(void);

void aio_timer_init(struct aio_timer *timer, void (*fn)(struct aio_timer *timer));
/* (Re)arm on the current thread's loop, @ns nanoseconds from now.  @fn is plain loop code. */
void aio_timer_arm(struct aio_timer *timer, uint64_t ns);
void aio_timer_cancel(struct aio_timer *timer);

#endif
