/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The gate between the queues of a device and the node that serves them: while it is closed, new
 * requests are held, and those inside come to an end.  Then what serves requests can be exchanged.
 *
 * A request is inside from ublk_gate_enter() to ublk_gate_leave().  One that waits for room in a
 * file system (full.h) has left, and enters again for the next try.
 *
 * Why requests need no lock and no atomic operation for that: each queue has its own state, which
 * only the queue's thread reads and writes.  The closer posts to each queue's loop; the queue notes
 * there, between two requests, that the gate is closed, and reports when its last request has left,
 * at once if it has none.  The reports are counted under @mutex, as is everything else that threads
 * share; so the closer, when it has them all, sees what the requests wrote, and a queue, when it
 * learns that the gate is open, sees what the closer wrote in between.
 */
#ifndef QEDBLK_UBLK_GATE_H
#define QEDBLK_UBLK_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <urcu/list.h>

#include "aio/lock.h"
#include "ublk/queue.h"

/* What a queue has of the gate.  The queue's thread only, but for the last part. */
struct ublk_gate_queue {
	struct ublk_gate *gate;
	bool closed; /* what this queue knows */
	unsigned int inside; /* requests */
	struct cds_list_head held; /* struct ublk_request, in the order in which they came */

	struct aio_loop *loop; /* constant */
	struct aio_post post; /* to @loop: the gate has changed */
	/* Protected by gate->mutex: */
	struct cds_list_head link; /* in gate->queues */
	bool posted; /* @post is on its way */
	bool quiet; /* it is no longer counted in gate->busy */
};

struct ublk_gate {
	pthread_mutex_t mutex; /* protects all of this; held for a few instructions */
	struct cds_list_head queues;
	bool closed;
	unsigned int busy; /* while closed: queues that have not reported */
	struct co_queue reported; /* the closer */
};

/* Initialise an open gate without queues. */
void ublk_gate_init(struct ublk_gate *gate);

/*
 * Add a queue, on its thread, which has a loop, before its first request; and take it away, on its
 * thread, when no request of it is inside or held.  @queue lives until the loop is destroyed.
 */
void ublk_gate_join(struct ublk_gate *gate, struct ublk_gate_queue *queue);
void ublk_gate_quit(struct ublk_gate_queue *queue);

/*
 * Close the gate: when this returns 0, no request is inside, and none enters before
 * ublk_gate_open().  -ETIMEDOUT: a request did not end within @timeout_ns, and the gate is open
 * again.  -EBUSY: it is closed already.  Coroutine of any loop; yields.
 */
int ublk_gate_co_close(struct ublk_gate *gate, uint64_t timeout_ns);

/* Open the gate: each queue submits what it holds.  Any thread; does not yield. */
void ublk_gate_open(struct ublk_gate *gate);

/* For the two below. */
void ublk_gate_hold(struct ublk_request *req);
void ublk_gate_report(struct ublk_gate_queue *queue);

/*
 * Let @req enter.  False: it is held, and its target's submit() is called again when the gate is
 * open.  On the queue's thread.
 */
static inline bool ublk_gate_enter(struct ublk_request *req)
{
	struct ublk_gate_queue *queue = req->gate;

	if (__builtin_expect(queue->closed, false)) {
		ublk_gate_hold(req);
		return false;
	}
	queue->inside++;
	return true;
}

/* @req, which entered, no longer uses what serves it.  On the queue's thread. */
static inline void ublk_gate_leave(struct ublk_request *req)
{
	struct ublk_gate_queue *queue = req->gate;

	if (!--queue->inside && __builtin_expect(queue->closed, false))
		ublk_gate_report(queue);
}

#endif
