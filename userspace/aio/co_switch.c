// SPDX-License-Identifier: GPL-2.0
/*
 * Switch stacks: leave and re-enter a machine context without a system call, with
 * the annotations that the sanitizers need.
 */
#include "aio/co_switch.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef CO_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#ifdef CO_SWITCH_ASM

/*
 * Push the registers that a function call preserves on the running stack, store
 * its stack pointer to *@save, set the stack pointer to @load and pop the same
 * registers there.  The floating point control words, which the ABI preserves,
 * too, are not saved: no code here changes them.
 */
void co_switch_stacks(void **save, void *load) __attribute__((visibility("hidden")));

#if defined(__x86_64__)

#define SAVED_WORDS 6 /* below the return address */

__asm__(".text\n"
	".p2align 4\n"
	".globl co_switch_stacks\n"
	".hidden co_switch_stacks\n"
	".type co_switch_stacks, @function\n"
	"co_switch_stacks:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size co_switch_stacks, . - co_switch_stacks\n");

/* Lay out the stack as if @entry had been called from address 0: debuggers end backtraces there. */
static void *first_frame(void *bottom, size_t size, void (*entry)(void))
{
	uintptr_t top = ((uintptr_t)bottom + size) & ~(uintptr_t)15;
	uintptr_t *sp = (uintptr_t *)top;

	*--sp = 0; /* the return address; with it the stack is aligned as by a call */
	*--sp = (uintptr_t)entry;
	sp -= SAVED_WORDS;
	memset(sp, 0, SAVED_WORDS * sizeof(*sp));
	return sp;
}

#else /* __aarch64__ */

#define SAVED_WORDS 20 /* x19..x30, d8..d15 */
#define SAVED_LR    11

__asm__(".text\n"
	".p2align 4\n"
	".globl co_switch_stacks\n"
	".hidden co_switch_stacks\n"
	".type co_switch_stacks, %function\n"
	"co_switch_stacks:\n"
	"	hint #34\n" /* bti c, a no-op elsewhere */
	"	sub sp, sp, #160\n"
	"	stp x19, x20, [sp, #0]\n"
	"	stp x21, x22, [sp, #16]\n"
	"	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n"
	"	stp x27, x28, [sp, #64]\n"
	"	stp x29, x30, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x19, x20, [sp, #0]\n"
	"	ldp x21, x22, [sp, #16]\n"
	"	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n"
	"	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n"
	"	ret\n"
	".size co_switch_stacks, . - co_switch_stacks\n");

static void *first_frame(void *bottom, size_t size, void (*entry)(void))
{
	uintptr_t top = ((uintptr_t)bottom + size) & ~(uintptr_t)15;
	uintptr_t *sp = (uintptr_t *)top - SAVED_WORDS;

	memset(sp, 0, SAVED_WORDS * sizeof(*sp));
	sp[SAVED_LR] = (uintptr_t)entry;
	return sp;
}

#endif

static void machine_init(struct co_context *ctx, void *bottom, size_t size, void (*entry)(void))
{
	ctx->sp = first_frame(bottom, size, entry);
}

static inline void machine_switch(struct co_context *from, struct co_context *to)
{
	co_switch_stacks(&from->sp, to->sp);
}

#else /* the C library's contexts: on every machine, at two system calls per switch */

static void machine_init(struct co_context *ctx, void *bottom, size_t size, void (*entry)(void))
{
	if (getcontext(&ctx->uc))
		abort();
	ctx->uc.uc_stack.ss_sp = bottom;
	ctx->uc.uc_stack.ss_size = size;
	ctx->uc.uc_link = NULL;
	makecontext(&ctx->uc, entry, 0);
}

static inline void machine_switch(struct co_context *from, struct co_context *to)
{
	if (swapcontext(&from->uc, &to->uc))
		abort();
}

#endif

#ifdef CO_ASAN

static inline void asan_leave(struct co_context *from, struct co_context *to, bool last)
{
	to->prev = from;
	__sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->bottom, to->size);
}

static inline void asan_arrive(struct co_context *ctx)
{
	/* Also sets the bounds of a thread's own stack. */
	__sanitizer_finish_switch_fiber(ctx->fake_stack, &ctx->prev->bottom, &ctx->prev->size);
	ctx->fake_stack = NULL;
}

#else

static inline void asan_leave(struct co_context *from, struct co_context *to, bool last)
{
	(void)from;
	(void)to;
	(void)last;
}

static inline void asan_arrive(struct co_context *ctx)
{
	(void)ctx;
}

#endif

void co_context_init_thread(struct co_context *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
#ifdef AIO_TSAN
	ctx->fiber = __tsan_get_current_fiber();
#endif
}

void co_context_init(struct co_context *ctx, void *bottom, size_t size, void (*entry)(void))
{
	memset(ctx, 0, sizeof(*ctx));
	machine_init(ctx, bottom, size, entry);
#ifdef CO_ASAN
	ctx->bottom = bottom;
	ctx->size = size;
#endif
#ifdef AIO_TSAN
	ctx->fiber = __tsan_create_fiber(0);
#endif
}

void co_context_destroy(struct co_context *ctx)
{
	(void)ctx;
#ifdef CO_ASAN
	/* The frames that never returned would leave the memory poisoned for its next user. */
	__asan_unpoison_memory_region(ctx->bottom, ctx->size);
#endif
#ifdef AIO_TSAN
	__tsan_destroy_fiber(ctx->fiber);
#endif
}

void co_context_entered(struct co_context *ctx)
{
	asan_arrive(ctx);
}

void co_context_switch(struct co_context *from, struct co_context *to, bool last)
{
	asan_leave(from, to, last);
#ifdef AIO_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	machine_switch(from, to);
	asan_arrive(from);
}
