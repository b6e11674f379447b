/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Switch stacks: leave and re-enter a machine context without a system call, with
 * the annotations that the sanitizers need.
 */
#ifndef QEDBLK_AIO_CO_SWITCH_H
#define QEDBLK_AIO_CO_SWITCH_H

#include <stdbool.h>
#include <stddef.h>

#include "aio/tsan.h"

#if defined(__SANITIZE_ADDRESS__)
#define CO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CO_ASAN 1
#endif
#endif

/*
 * A return address popped from another stack does not match a hardware shadow
 * stack (__CET__ bit 1), so such builds use the C library's contexts.
 */
#if defined(CO_SWITCH_PORTABLE)
#include <ucontext.h> /* requested, to test it */
#elif defined(__x86_64__) && defined(__LP64__) && !(defined(__CET__) && (__CET__ & 2))
#define CO_SWITCH_ASM 1
#elif defined(__aarch64__)
#define CO_SWITCH_ASM 1
#else
#include <ucontext.h>
#endif

struct co_context {
#ifdef CO_SWITCH_ASM
	void *sp;
#else
	ucontext_t uc;
#endif
#ifdef CO_ASAN
	struct co_context *prev; /* the context that switched here last */
	void *fake_stack;
	const void *bottom;
	size_t size;
#endif
#ifdef AIO_TSAN
	void *fiber;
#endif
};

/* Make @ctx the context of the calling thread's own stack. */
void co_context_init_thread(struct co_context *ctx);

/* Make @ctx run @entry, which must never return, on @size bytes of stack at @bottom. */
void co_context_init(struct co_context *ctx, void *bottom, size_t size, void (*entry)(void));

/*
 * Free the sanitizers' state of a context that co_context_init() made and co_context_switch() left
 * with @last.
 */
void co_context_destroy(struct co_context *ctx);

/* Must be the first call of an @entry function, on its own new stack. */
void co_context_entered(struct co_context *ctx);

/* Save the running context in @from and continue @to.  @last: @from never continues. */
void co_context_switch(struct co_context *from, struct co_context *to, bool last);

#endif
