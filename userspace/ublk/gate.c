// SPDX-License-Identifier: GPL-2.0
/*
 * Closing and opening the gate.
 *
 * A queue that knows the gate as closed admits nothing, whatever the gate is by now, until its post
 * tells it that the gate is open.  So when it has reported "nothing inside", that stays true until
 * then.  Three rules follow from that:
 *
 * - A post carries no state: the queue reads under the mutex what the gate is when the post runs.
 *   So one post at a time is enough, and a gate that was opened and closed again before the post
 *   ran is closed all the time for this queue.
 * - A report counts for the closing that is going on when it is made, also if the queue learned
 *   that the gate is closed from an earlier one that was given up.
 * - A queue that ends has no request, so it counts as having reported.
 */
#include <errno.h>

#include "aio/timer.h"
#include "ublk/gate.h"
#include "util/units.h"

struct closing {
	struct ublk_gate *gate;
	struct aio_timer timer;
	bool late;
};

/* ---- The queue's thread ---- */

void ublk_gate_hold(struct ublk_request *req)
{
	cds_list_add_tail(&req->held, &req->gate->held);
}

/* With the mutex held: @queue has nothing inside, and admits nothing. */
static void count_quiet(struct ublk_gate_queue *queue)
{
	struct ublk_gate *gate = queue->gate;

	if (!gate->closed || queue->quiet)
		return;
	queue->quiet = true;
	if (!--gate->busy)
		co_queue_wake_all(&gate->reported);
}

void ublk_gate_report(struct ublk_gate_queue *queue)
{
	pthread_mutex_lock(&queue->gate->mutex);
	count_quiet(queue);
	pthread_mutex_unlock(&queue->gate->mutex);
}

static void submit_held(struct ublk_gate_queue *queue)
{
	struct ublk_request *req, *next;
	CDS_LIST_HEAD(list);

	cds_list_splice(&queue->held, &list);
	CDS_INIT_LIST_HEAD(&queue->held);
	/* @next stays in the list meanwhile: a tag's next request comes in a later turn. */
	cds_list_for_each_entry_safe(req, next, &list, held)
		req->target->submit(req);
}

static void on_change(struct aio_post *post)
{
	struct ublk_gate_queue *queue = container_of(post, struct ublk_gate_queue, post);
	struct ublk_gate *gate = queue->gate;

	pthread_mutex_lock(&gate->mutex);
	queue->posted = false;
	queue->closed = gate->closed;
	if (queue->closed && !queue->inside)
		count_quiet(queue);
	pthread_mutex_unlock(&gate->mutex);
	if (!queue->closed)
		submit_held(queue);
}

void ublk_gate_join(struct ublk_gate *gate, struct ublk_gate_queue *queue)
{
	*queue = (struct ublk_gate_queue){
		.gate = gate,
		.loop = aio_loop_current(),
		.post.fn = on_change,
	};
	CDS_INIT_LIST_HEAD(&queue->held);
	pthread_mutex_lock(&gate->mutex);
	queue->closed = gate->closed;
	/* What is closed now does not wait for this queue. */
	queue->quiet = true;
	cds_list_add_tail(&queue->link, &gate->queues);
	pthread_mutex_unlock(&gate->mutex);
}

void ublk_gate_quit(struct ublk_gate_queue *queue)
{
	pthread_mutex_lock(&queue->gate->mutex);
	count_quiet(queue);
	/* A post that is on its way runs before the loop is destroyed, and must not count. */
	queue->quiet = true;
	cds_list_del(&queue->link);
	pthread_mutex_unlock(&queue->gate->mutex);
}

/* ---- The closer ---- */

void ublk_gate_init(struct ublk_gate *gate)
{
	*gate = (struct ublk_gate){ 0 };
	pthread_mutex_init(&gate->mutex, NULL);
	CDS_INIT_LIST_HEAD(&gate->queues);
	co_queue_init(&gate->reported);
}

/* With the mutex held, so that no queue's loop ends meanwhile. */
static void tell(struct ublk_gate_queue *queue)
{
	if (queue->posted)
		return;
	queue->posted = true;
	aio_loop_post(queue->loop, &queue->post);
}

static void on_late(struct aio_timer *timer)
{
	struct closing *closing = container_of(timer, struct closing, timer);

	pthread_mutex_lock(&closing->gate->mutex);
	closing->late = true;
	co_queue_wake_all(&closing->gate->reported);
	pthread_mutex_unlock(&closing->gate->mutex);
}

int ublk_gate_co_close(struct ublk_gate *gate, uint64_t timeout_ns)
{
	struct closing closing = { .gate = gate };
	struct ublk_gate_queue *queue;
	bool quiet;

	aio_timer_init(&closing.timer, on_late);
	pthread_mutex_lock(&gate->mutex);
	if (gate->closed) {
		pthread_mutex_unlock(&gate->mutex);
		return -EBUSY;
	}
	gate->closed = true;
	gate->busy = 0;
	cds_list_for_each_entry(queue, &gate->queues, link) {
		queue->quiet = false;
		gate->busy++;
		tell(queue);
	}
	aio_timer_arm(&closing.timer, timeout_ns);
	while (gate->busy && !closing.late)
		co_queue_wait(&gate->reported, &gate->mutex);
	quiet = !gate->busy;
	pthread_mutex_unlock(&gate->mutex);
	aio_timer_cancel(&closing.timer);
	if (quiet)
		return 0;
	ublk_gate_open(gate);
	return -ETIMEDOUT;
}

void ublk_gate_open(struct ublk_gate *gate)
{
	struct ublk_gate_queue *queue;

	pthread_mutex_lock(&gate->mutex);
	gate->closed = false;
	cds_list_for_each_entry(queue, &gate->queues, link)
		tell(queue);
	pthread_mutex_unlock(&gate->mutex);
}
