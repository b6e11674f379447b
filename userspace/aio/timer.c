// SPDX-License-Identifier: GPL-2.0
/*
 * One-shot timers of a loop, in a pairing heap: arming takes constant time,
 * expiry and cancelling logarithmic time, however many there are.
 */
#include <stddef.h>
#include <time.h>

#include "aio/loop_internal.h"

uint64_t aio_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Equal deadlines expire in the order of arming. */
static bool is_before(const struct aio_timer *a, const struct aio_timer *b)
{
	return a->deadline < b->deadline || (a->deadline == b->deadline && a->order < b->order);
}

/* Merge two heaps, either of which may be empty; roots have neither prev nor next. */
static struct aio_timer *meld(struct aio_timer *a, struct aio_timer *b)
{
	struct aio_timer *swap;

	if (!a)
		return b;
	if (!b)
		return a;
	if (is_before(b, a)) {
		swap = a;
		a = b;
		b = swap;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	return a;
}

/* Merge a list of siblings to one heap: in pairs from the left, then the pairs from the right. */
static struct aio_timer *meld_siblings(struct aio_timer *first)
{
	struct aio_timer *pairs = NULL, *heap = NULL, *a, *b;

	while (first) {
		a = first;
		b = a->next;
		first = b ? b->next : NULL;
		a->prev = a->next = NULL;
		if (b)
			b->prev = b->next = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		a = pairs;
		pairs = a->next;
		a->next = NULL;
		heap = meld(heap, a);
	}
	return heap;
}

static void heap_remove(struct aio_loop *loop, struct aio_timer *timer)
{
	struct aio_timer *rest = meld_siblings(timer->child);

	if (timer == loop->timers) {
		loop->timers = rest;
	} else {
		/* prev is the parent of a first child, else the sibling to the left. */
		if (timer->prev->child == timer)
			timer->prev->child = timer->next;
		else
			timer->prev->next = timer->next;
		if (timer->next)
			timer->next->prev = timer->prev;
		loop->timers = meld(loop->timers, rest);
	}
	timer->child = timer->prev = timer->next = NULL;
	timer->armed = false;
}

void aio_timer_init(struct aio_timer *timer, void (*fn)(struct aio_timer *timer))
{
	*timer = (struct aio_timer){ .fn = fn };
}

void aio_timer_arm(struct aio_timer *timer, uint64_t ns)
{
	struct aio_loop *loop = aio_this_loop;
	uint64_t now = aio_now();

	if (timer->armed)
		heap_remove(loop, timer);
	timer->deadline = ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
	timer->order = loop->timer_order++;
	timer->armed = true;
	loop->timers = meld(loop->timers, timer);
}

void aio_timer_cancel(struct aio_timer *timer)
{
	if (timer->armed)
		heap_remove(aio_this_loop, timer);
}

void timers_expire(struct aio_loop *loop)
{
	struct aio_timer *timer = loop->timers;
	uint64_t now, newest;

	if (!timer)
		return;
	now = aio_now();
	newest = loop->timer_order;
	/* Timers that are armed by expiring ones wait for the next turn. */
	while ((timer = loop->timers) && timer->deadline <= now && timer->order < newest) {
		heap_remove(loop, timer);
		timer->fn(timer);
	}
}
