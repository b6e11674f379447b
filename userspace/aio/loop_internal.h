/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The internals of a loop, for the files of aio/ only.
 */
#ifndef QEDBLK_AIO_LOOP_INTERNAL_H
#define QEDBLK_AIO_LOOP_INTERNAL_H

#include <stdatomic.h>
#include <urcu/list.h>

#include "aio/co_switch.h"
#include "aio/loop.h"
#include "aio/timer.h"

#define CACHE_LINE 64

/* A completion taken off the ring. */
struct ring_done {
	struct aio_op *op;
	int32_t res;
	uint32_t flags;
};

/* Completions moved off the ring while the kernel refused submissions. */
struct ring_backlog {
	struct ring_done *entries;
	unsigned int head, tail, size;
};

/*
 * What takes a loop's operations, waits for them and delivers their completions.  One is
 * chosen when a loop is created, see engines[] in loop.c.
 */
struct aio_engine {
	/* Return 0 or a negative errno; -EINVAL and others make the next engine be tried. */
	int (*create)(struct aio_loop *loop, unsigned int entries);
	void (*destroy)(struct aio_loop *loop);
	/*
	 * Begin the operations whose SQEs were got; wait for a completion, a kick or @deadline
	 * (0: none) if @block; deliver what there is.
	 */
	int (*turn)(struct aio_loop *loop, bool block, uint64_t deadline);
	/* See aio_get_sqe(). */
	struct io_uring_sqe *(*get_sqe)(struct aio_loop *loop);
	unsigned int setup_flags; /* of the ring */
	bool is_uring;
};

struct co {
	struct co_context ctx;
	struct co_context *resumer; /* the context that continues when this one yields */
	struct aio_loop *loop;
	co_fn *fn;
	void *arg;
	struct co *next; /* in the loop's ready or idle list */
	struct aio_post wake;
	atomic_bool woken; /* a wake is pending: there may be only one */
	void *mapping;
};

/* First in, first out. Singly linked: a coroutine that wakes is hot, and none leaves early. */
struct co_list {
	struct co *head, **tail;
};

struct aio_loop {
	const struct aio_engine *engine;
	unsigned int sq_entries;
	/* Of ring.c. */
	struct io_uring ring;
	struct ring_backlog backlog;
	/* Of threads.c. */
	struct threads *threads;

	struct co_context thread; /* the plain loop code */
	struct co *current;
	struct co_list ready;
	struct co *idle;
	unsigned int nr_idle, max_idle, nr_busy, colour;

	struct aio_timer *timers; /* root of the heap */
	uint64_t timer_order;

	bool running; /* inside aio_loop_run*(), where this thread is a reader (aio/rcu.h) */
	bool stopping;
	int failed; /* negative errno once the engine cannot be used */
	unsigned int index;

	/* The read of the event descriptor, by which other threads end the wait for completions. */
	int event_fd;
	bool event_armed, closing;
	uint64_t event_value;
	uint64_t kicks_seen, kicks_due;
	struct aio_op event_op;
	struct aio_post stop_post;

	/* Written by other threads, on a cache line of its own. */
	_Alignas(CACHE_LINE) _Atomic(struct aio_post *) inbox;
	atomic_bool stop_asked;
	char pad[CACHE_LINE - sizeof(struct aio_post *) - sizeof(atomic_bool)];
};

/* The current thread's loop, or NULL. */
extern __thread struct aio_loop *aio_this_loop;

/* Log @what, a bug of this program, and abort. */
_Noreturn void aio_bug(const char *what);

/* ring.c: each needs less of the kernel than the one before it. */
#define AIO_RINGS 3
extern const struct aio_engine ring_engines[AIO_RINGS];
/* threads.c */
extern const struct aio_engine threads_engine;

/* loop.c */
/* Bracket code that runs turns, or that must run as if called from one: as a reader (aio/rcu.h). */
void loop_enter(struct aio_loop *loop);
void loop_leave(struct aio_loop *loop);
/* The number of engines; the best is 0, and the first AIO_RINGS are io_uring. */
#define AIO_ENGINES (AIO_RINGS + 1)
/* Create a loop with the first of engines @first .. @last that can be used here. */
int loop_create(struct aio_loop **loop, unsigned int entries, unsigned int first, unsigned int last,
		struct error *err);

/* inbox.c */
int inbox_create(struct aio_loop *loop);
void inbox_destroy(struct aio_loop *loop);
/* Call the posts of other threads. */
void inbox_drain(struct aio_loop *loop);
/* Make posters kick the loop from now on.  False, with nothing done, if there is a post. */
bool inbox_sleep(struct aio_loop *loop);
void inbox_awake(struct aio_loop *loop);

/* co.c */
void co_loop_init(struct aio_loop *loop);
void co_loop_exit(struct aio_loop *loop);
/* Run every coroutine that is ready at the time of the call. */
void co_run_ready(struct aio_loop *loop);

/* timer.c */
void timers_expire(struct aio_loop *loop);

/* worker.c */
/* Embedded in an object of the caller, which may be gone once @run is called. */
struct work {
	void (*run)(struct work *work);
	struct cds_list_head link;
};
/* The most workers of the threads engine in the process. */
#define AIO_MAX_IO_WORKERS 32
extern struct worker_pool worker_io_pool;
/* Call @work->run on a worker of @pool.  Returns 0, or -ENOMEM or -EAGAIN with nothing done. */
int worker_run(struct worker_pool *pool, struct work *work);
/* How long, in ms, a worker waits for the next work; here for tests. */
extern atomic_uint aio_worker_idle_ms;

/* rcu.c */
/* Register the thread, offline. */
void rcu_loop_init(void);
void rcu_loop_exit(void);
void rcu_loop_quiescent(void);
void rcu_loop_offline(void);
void rcu_loop_online(void);

#endif
