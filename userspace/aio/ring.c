// SPDX-License-Identifier: GPL-2.0
/*
 * The engine io_uring: set up a loop's ring, submit, wait, and deliver completions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aio/loop_internal.h"
#include "aio/tsan.h"
#include "util/units.h"

/*
 * Orders the reuse of ring addresses for ThreadSanitizer: a new ring may be mapped
 * where another was unmapped, which it does not see, since liburing makes its own
 * system calls.
 */
static char ring_addresses;

/* Entries of the completion queue per SQE, so that overflow is rare. */
#define CQ_FACTOR 4
/* The kernel's own limit. */
#define MAX_ENTRIES 32768
/* Completions delivered per read of the ring. */
#define BATCH	     64
#define NSEC_PER_SEC 1000000000ULL
/* The longest wait in one system call; a longer one takes several turns. */
#define MAX_WAIT_NS (3600 * NSEC_PER_SEC)

#define COMMON_FLAGS (IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP)

static int ring_create(struct aio_loop *loop, unsigned int entries)
{
	struct io_uring_params params = { .flags = loop->engine->setup_flags };
	int ret;

	entries = (unsigned int)min_u64(entries, MAX_ENTRIES);
	params.cq_entries = entries * CQ_FACTOR;
	ret = io_uring_queue_init_params(entries, &loop->ring, &params);
	if (ret < 0)
		return ret;
	if (!(params.features & IORING_FEAT_EXT_ARG) || !(params.features & IORING_FEAT_NODROP)) {
		io_uring_queue_exit(&loop->ring);
		return -EOPNOTSUPP;
	}
	TSAN_ACQUIRE(&ring_addresses);
	loop->sq_entries = params.sq_entries;
	/* Saves a look-up per system call; a thread has few slots for this, so it may fail. */
	(void)io_uring_register_ring_fd(&loop->ring);
	return 0;
}

static void ring_destroy(struct aio_loop *loop)
{
	TSAN_RELEASE(&ring_addresses);
	io_uring_queue_exit(&loop->ring);
	free(loop->backlog.entries);
}

struct io_uring *aio_loop_ring(struct aio_loop *loop)
{
	if (!loop->engine->is_uring)
		aio_bug("an event loop without io_uring has no ring");
	return &loop->ring;
}

static void nap(void)
{
	struct timespec ts = { .tv_nsec = 1000000 };

	nanosleep(&ts, NULL);
}

static inline void deliver(const struct ring_done *done)
{
	if (done->op)
		done->op->done(done->op, done->res, done->flags);
}

static bool backlog_grow(struct ring_backlog *backlog, unsigned int more)
{
	struct ring_done *entries;
	unsigned int size = backlog->tail + more;

	if (size <= backlog->size)
		return true;
	entries = realloc(backlog->entries, size * sizeof(*entries));
	if (!entries)
		return false;
	backlog->entries = entries;
	backlog->size = size;
	return true;
}

/* Move completions from the ring to the backlog, without calling their callbacks. */
static void backlog_fill(struct aio_loop *loop)
{
	struct ring_backlog *backlog = &loop->backlog;
	unsigned int ready = io_uring_cq_ready(&loop->ring), n = 0;
	unsigned int head __attribute__((unused)); /* newer liburing only sets it */
	struct io_uring_cqe *cqe;

	if (!ready || !backlog_grow(backlog, ready))
		return;
	io_uring_for_each_cqe(&loop->ring, head, cqe)
	{
		if (n++ == ready)
			break;
		backlog->entries[backlog->tail++] = (struct ring_done){
			.op = io_uring_cqe_get_data(cqe),
			.res = cqe->res,
			.flags = cqe->flags,
		};
	}
	io_uring_cq_advance(&loop->ring, ready);
}

static void backlog_deliver(struct aio_loop *loop)
{
	struct ring_backlog *backlog = &loop->backlog;
	struct ring_done done;

	/* A copy, not a pointer: the callback may grow the backlog. */
	while (backlog->head < backlog->tail) {
		done = backlog->entries[backlog->head++];
		deliver(&done);
	}
	backlog->head = backlog->tail = 0;
}

/* Deliver the completions that are there now; later ones wait for the next turn. */
static void reap(struct aio_loop *loop)
{
	unsigned int left = io_uring_cq_ready(&loop->ring), n, i;
	unsigned int head __attribute__((unused)); /* newer liburing only sets it */
	struct ring_done batch[BATCH];
	struct io_uring_cqe *cqe;

	while (left) {
		n = 0;
		io_uring_for_each_cqe(&loop->ring, head, cqe)
		{
			batch[n].op = io_uring_cqe_get_data(cqe);
			batch[n].res = cqe->res;
			batch[n].flags = cqe->flags;
			n++;
			if (n == left || n == BATCH)
				break;
		}
		if (!n)
			return;
		/* Before the callbacks, which may submit and so need room for completions. */
		io_uring_cq_advance(&loop->ring, n);
		for (i = 0; i < n; i++)
			deliver(&batch[i]);
		left -= n;
		/* The backlog, if a callback filled it, is older than what is on the ring now. */
		if (loop->backlog.tail)
			return;
	}
}

/* Are there completions that only a system call makes visible? */
static bool kernel_has_work(struct aio_loop *loop)
{
	unsigned int flags = IO_URING_READ_ONCE(*loop->ring.sq.kflags);

	return flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static int enter_nowait(struct aio_loop *loop)
{
	if (!io_uring_sq_ready(&loop->ring) && !kernel_has_work(loop))
		return 0;
	return io_uring_submit_and_get_events(&loop->ring);
}

static int enter_wait(struct aio_loop *loop, uint64_t deadline, uint64_t now)
{
	struct __kernel_timespec ts;
	struct io_uring_cqe *cqe;
	uint64_t ns;

	if (!deadline)
		return io_uring_submit_and_wait(&loop->ring, 1);
	ns = min_u64(deadline - now, MAX_WAIT_NS);
	ts.tv_sec = (long long)(ns / NSEC_PER_SEC);
	ts.tv_nsec = (long long)(ns % NSEC_PER_SEC);
	return io_uring_submit_and_wait_timeout(&loop->ring, &cqe, 1, &ts, NULL);
}

static int enter(struct aio_loop *loop, bool block, uint64_t deadline)
{
	uint64_t now = 0;
	int ret;

	if (block && deadline) {
		now = aio_now();
		block = deadline > now;
	}
	if (!block || loop->backlog.tail || io_uring_cq_ready(&loop->ring) || !inbox_sleep(loop)) {
		rcu_loop_quiescent();
		return enter_nowait(loop);
	}
	rcu_loop_offline();
	ret = enter_wait(loop, deadline, now);
	rcu_loop_online();
	inbox_awake(loop);
	return ret;
}

static int ring_turn(struct aio_loop *loop, bool block, uint64_t deadline)
{
	int ret = enter(loop, block, deadline);

	switch (ret) {
	case -EAGAIN:
	case -EBUSY:
		/* The kernel is short of memory, or needs room for completions. */
		if (!loop->backlog.tail && !io_uring_cq_ready(&loop->ring))
			nap();
		break;
	case -EINTR:
	case -ETIME:
		break;
	default:
		if (ret < 0)
			return ret;
	}
	backlog_deliver(loop);
	reap(loop);
	return loop->failed;
}

/*
 * Get an SQE when the submission queue is full.  The kernel may refuse to take the
 * queue for lack of memory, which it gets back as operations in flight complete.
 * Completions go to the backlog, since their callbacks must not run inside the
 * caller that needs an SQE.
 */
static struct io_uring_sqe *get_sqe_slowly(struct aio_loop *loop)
{
	struct io_uring_sqe *sqe;
	int ret;

	for (;;) {
		ret = io_uring_submit(&loop->ring);
		sqe = io_uring_get_sqe(&loop->ring);
		if (sqe)
			return sqe;
		if (ret < 0 && ret != -EAGAIN && ret != -EBUSY && ret != -EINTR)
			aio_bug(strerror(-ret));
		backlog_fill(loop);
		ret = io_uring_get_events(&loop->ring);
		if (ret < 0 && ret != -EINTR)
			nap();
	}
}

static struct io_uring_sqe *ring_get_sqe(struct aio_loop *loop)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

	if (!sqe)
		sqe = get_sqe_slowly(loop);
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

#define RING(flags)                                                                               \
	{                                                                                         \
		.create = ring_create, .destroy = ring_destroy, .turn = ring_turn,                \
		.get_sqe = ring_get_sqe, .setup_flags = COMMON_FLAGS | (flags), .is_uring = true, \
	}

const struct aio_engine ring_engines[AIO_RINGS] = {
	/* 6.1: the kernel processes completions only when we enter it, on our own thread. */
	RING(IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
	     IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN),
	/* 5.19: without an inter-processor interrupt, at the next system call. */
	RING(IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG),
	RING(0),
};
