// SPDX-License-Identifier: GPL-2.0
/*
 * The requests of qed-img bench: a fixed number in flight, a new one for each that
 * completes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aio/co.h"
#include "aio/timer.h"
#include "block/request.h"
#include "qed-img/bench.h"
#include "util/units.h"

struct slot {
	struct blk_request req;
	struct bench *bench;
	struct slot *next; /* in the list of idle slots */
};

struct bench {
	const struct bench_job *job;
	struct slot *slots, *idle;
	char *memory; /* @job->bytes for each slot */
	uint64_t offset; /* offset of the next request */
	unsigned int left; /* not sent yet */
	unsigned int in_flight; /* flushes included */
	bool flush_due; /* sent when a slot is free, with @drain when nothing is in flight */
	bool flushing; /* a flush is in flight with @drain: send nothing else */
	bool sending; /* send_more() is running further up the stack */
	struct co *waiter; /* yields until nothing is in flight */
	int ret;
};

static void send_more(struct bench *b);

static void on_done(struct blk_request *req, int ret)
{
	struct slot *slot = container_of(req, struct slot, req);
	struct bench *b = slot->bench;

	if (ret && !b->ret)
		b->ret = ret;
	if (req->op == BLK_OP_FLUSH)
		b->flushing = false;
	slot->next = b->idle;
	b->idle = slot;
	b->in_flight--;
	if (b->sending)
		return;
	send_more(b);
	if (!b->in_flight && b->waiter)
		co_wake(b->waiter);
}

static struct slot *take_slot(struct bench *b)
{
	struct slot *slot = b->idle;

	b->idle = slot->next;
	b->in_flight++;
	return slot;
}

static void send_flush(struct bench *b)
{
	struct slot *slot = take_slot(b);

	b->flush_due = false;
	b->flushing = b->job->drain;
	slot->req.op = BLK_OP_FLUSH;
	slot->req.flags = 0;
	blk_request_submit(&slot->req);
}

static void send_one(struct bench *b)
{
	const struct bench_job *job = b->job;
	uint64_t size = atomic_load(&job->node->size);
	struct slot *slot = take_slot(b);

	slot->req.op = job->write ? BLK_OP_WRITE : BLK_OP_READ;
	slot->req.flags = job->write ? job->write_flags : 0;
	slot->req.offset = b->offset;
	b->offset += job->step;
	if (size)
		b->offset %= size;
	b->left--;
	/* QEMU counts from the end, so that the last requests are flushed, too. */
	if (job->flush_interval && b->left % job->flush_interval == 0)
		b->flush_due = true;
	blk_request_submit(&slot->req);
}

/* Send all requests that may be sent now. Some may complete before this returns. */
static void send_more(struct bench *b)
{
	b->sending = true;
	while (!b->ret && b->idle && !b->flushing) {
		if (b->flush_due && (!b->job->drain || !b->in_flight))
			send_flush(b);
		else if (!b->flush_due && b->left)
			send_one(b);
		else
			break;
	}
	b->sending = false;
}

static int make_slots(struct bench *b)
{
	const struct bench_job *job = b->job;
	size_t bytes = max_u64(job->bytes, 1) * job->depth;

	b->slots = calloc(job->depth, sizeof(*b->slots));
	b->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->memory == MAP_FAILED)
		b->memory = NULL;
	if (!b->slots || !b->memory)
		return -ENOMEM;
	memset(b->memory, job->pattern, bytes);
	for (unsigned int i = job->depth; i-- > 0;) {
		struct slot *slot = &b->slots[i];

		slot->bench = b;
		slot->req.node = job->node;
		slot->req.bytes = job->bytes;
		slot->req.buf = b->memory + i * job->bytes;
		slot->req.done = on_done;
		slot->next = b->idle;
		b->idle = slot;
	}
	return 0;
}

static void free_slots(struct bench *b)
{
	if (b->memory)
		munmap(b->memory, max_u64(b->job->bytes, 1) * b->job->depth);
	free(b->slots);
}

int bench_co_run(const struct bench_job *job, double *seconds)
{
	struct bench b = { .job = job, .offset = job->offset, .left = job->count };
	uint64_t start;
	int ret = make_slots(&b);

	if (!ret) {
		start = aio_now();
		send_more(&b);
		if (b.in_flight) {
			b.waiter = co_self();
			co_park();
		}
		*seconds = (double)(aio_now() - start) / 1e9;
		ret = b.ret;
	}
	free_slots(&b);
	return ret;
}
