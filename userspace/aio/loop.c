// SPDX-License-Identifier: GPL-2.0
/*
 * The event loop: create, destroy, and run turns.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aio/loop_internal.h"
#include "util/log.h"
#include "util/units.h"

#define INDEX_BITS 64

__thread struct aio_loop *aio_this_loop;

static _Atomic uint64_t used_indices[AIO_MAX_LOOPS / INDEX_BITS];

_Noreturn void aio_bug(const char *what)
{
	log_error("internal error: %s", what);
	abort();
}

/* Take the lowest free index, or return -ENFILE. */
static int index_take(void)
{
	unsigned int word, bit;
	uint64_t used;

	for (word = 0; word < ARRAY_SIZE(used_indices); word++) {
		used = atomic_load(&used_indices[word]);
		while (~used) {
			bit = (unsigned int)__builtin_ctzll(~used);
			if (atomic_compare_exchange_weak(&used_indices[word], &used,
							 used | 1ULL << bit))
				return (int)(word * INDEX_BITS + bit);
		}
	}
	return -ENFILE;
}

static void index_give_back(unsigned int index)
{
	atomic_fetch_and(&used_indices[index / INDEX_BITS], ~(1ULL << index % INDEX_BITS));
}

static const struct aio_engine *const engines[AIO_ENGINES] = {
	&ring_engines[0],
	&ring_engines[1],
	&ring_engines[2],
	&threads_engine,
};

/*
 * Where io_uring is denied, not known or not possible in the memory that the process may lock,
 * there are threads.  Without descriptors there is no engine.
 */
static int choose_engine(struct aio_loop *loop, unsigned int entries, unsigned int first,
			 unsigned int last, struct error *err)
{
	int ret = -EINVAL;

	for (unsigned int i = first; i <= last && ret < 0; i++) {
		loop->engine = engines[i];
		ret = loop->engine->create(loop, entries);
		if (ret == -EMFILE || ret == -ENFILE)
			break;
	}
	if (ret >= 0)
		return 0;
	if (loop->engine->is_uring)
		return aio_explain_uring(ret, err);
	return error_set_errno(err, ret, "cannot set up an event loop");
}

/* Initialise @loop but for its index; on an error nothing stays allocated. */
static int loop_init(struct aio_loop *loop, unsigned int entries, unsigned int first,
		     unsigned int last, struct error *err)
{
	int ret = choose_engine(loop, entries, first, last, err);

	if (ret < 0)
		return ret;
	ret = inbox_create(loop);
	if (ret < 0) {
		loop->engine->destroy(loop);
		return error_set_errno(err, ret, "cannot make an event descriptor");
	}
	co_loop_init(loop);
	rcu_loop_init();
	return 0;
}

int loop_create(struct aio_loop **loop_out, unsigned int entries, unsigned int first,
		unsigned int last, struct error *err)
{
	struct aio_loop *loop;
	int index, ret;

	if (aio_this_loop)
		return error_set(err, -EBUSY, "this thread has an event loop already");
	index = index_take();
	if (index < 0)
		return error_set(err, index, "more than %d event loops", AIO_MAX_LOOPS);
	loop = aligned_alloc(CACHE_LINE, sizeof(*loop));
	if (!loop) {
		index_give_back((unsigned int)index);
		return error_set_errno(err, -ENOMEM, "cannot make an event loop");
	}
	memset(loop, 0, sizeof(*loop));
	loop->index = (unsigned int)index;
	ret = loop_init(loop, entries, first, last, err);
	if (ret < 0) {
		free(loop);
		index_give_back((unsigned int)index);
		return ret;
	}
	aio_this_loop = loop;
	*loop_out = loop;
	return 0;
}

int aio_loop_create(struct aio_loop **loop, unsigned int entries, struct error *err)
{
	const char *name = getenv("QEDBLK_AIO");
	unsigned int first = 0, last = AIO_ENGINES - 1;

	if (name && !strcmp(name, "threads"))
		first = last;
	else if (name && !strcmp(name, "io_uring"))
		last = AIO_RINGS - 1;
	else if (name && *name)
		return error_set(err, -EINVAL, "QEDBLK_AIO is neither io_uring nor threads: %s",
				 name);
	return loop_create(loop, entries, first, last, err);
}

int aio_loop_create_uring(struct aio_loop **loop, unsigned int entries, struct error *err)
{
	return loop_create(loop, entries, 0, AIO_RINGS - 1, err);
}

void aio_loop_destroy(struct aio_loop *loop)
{
	unsigned int index = loop->index;

	if (loop != aio_this_loop)
		aio_bug("event loop destroyed by another thread");
	loop_enter(loop);
	inbox_destroy(loop);
	loop_leave(loop);
	if (loop->nr_busy)
		log_warning("event loop destroyed with %u coroutines waiting", loop->nr_busy);
	co_loop_exit(loop);
	loop->engine->destroy(loop);
	rcu_loop_exit();
	aio_this_loop = NULL;
	free(loop);
	index_give_back(index);
}

struct aio_loop *aio_loop_current(void)
{
	return aio_this_loop;
}

unsigned int aio_loop_index(const struct aio_loop *loop)
{
	return loop->index;
}

void loop_enter(struct aio_loop *loop)
{
	if (loop != aio_this_loop || loop->running)
		aio_bug("event loop run from within, or by another thread");
	loop->running = true;
	rcu_loop_online();
}

void loop_leave(struct aio_loop *loop)
{
	rcu_loop_offline();
	loop->running = false;
}

/* Run one turn.  Does not wait for the kernel once *@done is set. */
static int loop_turn(struct aio_loop *loop, const bool *done)
{
	inbox_drain(loop);
	timers_expire(loop);
	co_run_ready(loop);
	return loop->engine->turn(loop, !*done && !loop->ready.head,
				  loop->timers ? loop->timers->deadline : 0);
}

struct io_uring_sqe *aio_get_sqe(struct aio_loop *loop)
{
	return loop->engine->get_sqe(loop);
}

int aio_loop_run(struct aio_loop *loop)
{
	int ret = 0;

	loop_enter(loop);
	while (!loop->stopping && ret >= 0)
		ret = loop_turn(loop, &loop->stopping);
	loop_leave(loop);
	/* If the ring failed before the stop arrived, its post is still in the inbox. */
	if (loop->stopping) {
		loop->stopping = false;
		atomic_store(&loop->stop_asked, false);
	}
	return ret;
}

struct main_co {
	co_fn *fn;
	void *arg;
	bool done;
};

static void main_co_entry(void *opaque)
{
	struct main_co *main_co = opaque;

	main_co->fn(main_co->arg);
	main_co->done = true;
}

int aio_loop_run_co(struct aio_loop *loop, co_fn *fn, void *arg)
{
	struct main_co main_co = { .fn = fn, .arg = arg };
	int ret;

	loop_enter(loop);
	ret = co_start(main_co_entry, &main_co);
	while (!main_co.done && ret >= 0)
		ret = loop_turn(loop, &main_co.done);
	loop_leave(loop);
	return ret;
}
