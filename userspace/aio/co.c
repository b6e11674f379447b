// SPDX-License-Identifier: GPL-2.0
/*
 * Coroutines: start, yield, wake, and the pool of their stacks.
 *
 * An idle coroutine keeps its context: it is suspended in co_main()'s loop, and
 * to start it again takes one switch.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aio/loop_internal.h"
#include "util/units.h"

/* The least number of idle stacks that a loop keeps; more on loops with larger rings. */
#define MIN_IDLE_STACKS 256

/*
 * Stacks begin at different offsets in their pages: otherwise the hot frames of all
 * of them would share a few cache sets.
 */
#define STACK_COLOURS	  16
#define STACK_COLOUR_STEP (3 * CACHE_LINE)

static void co_list_append(struct co_list *list, struct co *co)
{
	co->next = NULL;
	*list->tail = co;
	list->tail = &co->next;
}

/* The first function of a stack: runs one coroutine after the other, until one has no function. */
static void co_main(void)
{
	struct aio_loop *loop = aio_this_loop;
	struct co *co = loop->current;

	co_context_entered(&co->ctx);
	while (co->fn) {
		co->fn(co->arg);
		co->fn = NULL;
		co_context_switch(&co->ctx, co->resumer, false);
	}
	co_context_switch(&co->ctx, co->resumer, true);
	abort();
}

static void on_wake(struct aio_post *post)
{
	struct co *co = container_of(post, struct co, wake);

	co_list_append(&co->loop->ready, co);
}

static struct co *co_create(struct aio_loop *loop)
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE);
	char *map, *top;
	struct co *co;

	map = mmap(NULL, guard + CO_STACK_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	if (mprotect(map, guard, PROT_NONE)) {
		munmap(map, guard + CO_STACK_SIZE);
		return NULL;
	}
	top = map + guard + CO_STACK_SIZE - loop->colour * STACK_COLOUR_STEP;
	loop->colour = (loop->colour + 1) % STACK_COLOURS;
	co = (struct co *)(((uintptr_t)top - sizeof(*co)) & ~(uintptr_t)(CACHE_LINE - 1));
	co->loop = loop;
	co->mapping = map;
	co->wake.fn = on_wake;
	atomic_init(&co->woken, false);
	co_context_init(&co->ctx, map + guard, (size_t)((char *)co - map) - guard, co_main);
	return co;
}

/* Switch to @co; returns when it yields or ends. */
static void co_enter(struct aio_loop *loop, struct co *co)
{
	struct co *resumer = loop->current;

	co->resumer = resumer ? &resumer->ctx : &loop->thread;
	loop->current = co;
	co_context_switch(co->resumer, &co->ctx, false);
	loop->current = resumer;
}

/* End an idle coroutine and unmap its stack. */
static void co_destroy(struct co *co)
{
	co_enter(co->loop, co);
	co_context_destroy(&co->ctx);
	munmap(co->mapping, (size_t)sysconf(_SC_PAGESIZE) + CO_STACK_SIZE);
}

static void co_run(struct aio_loop *loop, struct co *co)
{
	co_enter(loop, co);
	if (co->fn)
		return;
	loop->nr_busy--;
	if (loop->nr_idle >= loop->max_idle) {
		co_destroy(co);
		return;
	}
	co->next = loop->idle;
	loop->idle = co;
	loop->nr_idle++;
}

int co_start(co_fn *fn, void *arg)
{
	struct aio_loop *loop = aio_this_loop;
	struct co *co;

	if (!loop)
		aio_bug("coroutine started on a thread without a loop");
	co = loop->idle;
	if (co) {
		loop->idle = co->next;
		loop->nr_idle--;
	} else {
		co = co_create(loop);
		if (!co)
			return -ENOMEM;
	}
	loop->nr_busy++;
	co->fn = fn;
	co->arg = arg;
	if (loop->running) {
		co_run(loop, co);
	} else {
		loop_enter(loop);
		co_run(loop, co);
		loop_leave(loop);
	}
	return 0;
}

struct co *co_self(void)
{
	return aio_this_loop ? aio_this_loop->current : NULL;
}

void co_park(void)
{
	struct co *co = co_self();

	if (!co)
		aio_bug("plain loop code yielded");
	co_context_switch(&co->ctx, co->resumer, false);
}

void co_wake(struct co *co)
{
	struct aio_loop *loop = co->loop;

	/* Not a read-modify-write: it only has to detect bugs, not to make them harmless. */
	if (atomic_load_explicit(&co->woken, memory_order_relaxed))
		aio_bug("coroutine woken twice");
	atomic_store_explicit(&co->woken, true, memory_order_relaxed);
	if (loop == aio_this_loop)
		co_list_append(&loop->ready, co);
	else
		aio_loop_post(loop, &co->wake);
}

void co_run_ready(struct aio_loop *loop)
{
	struct co *co = loop->ready.head, *next;

	/* Coroutines that become ready meanwhile wait for the next turn, after completions. */
	loop->ready.head = NULL;
	loop->ready.tail = &loop->ready.head;
	for (; co; co = next) {
		next = co->next;
		atomic_store_explicit(&co->woken, false, memory_order_relaxed);
		co_run(loop, co);
	}
}

void co_loop_init(struct aio_loop *loop)
{
	co_context_init_thread(&loop->thread);
	loop->ready.tail = &loop->ready.head;
	loop->max_idle = (unsigned int)max_u64(MIN_IDLE_STACKS, loop->sq_entries);
}

void co_loop_exit(struct aio_loop *loop)
{
	struct co *co;

	while ((co = loop->idle)) {
		loop->idle = co->next;
		co_destroy(co);
	}
	loop->nr_idle = 0;
}
