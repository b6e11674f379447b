/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel interfaces used by its pure files (kernel/pure.h), for user-space programs. */
#ifndef QEDBLK_TEST_PURE_USER_H
#define QEDBLK_TEST_PURE_USER_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint32_t u32;
/* As in the kernel, where every architecture prints it with %llu. */
typedef unsigned long long u64;
typedef long long s64;

#define GFP_KERNEL 0
#define __percpu

#define min_t(type, a, b) ((type)(a) < (type)(b) ? (type)(a) : (type)(b))
#define min(a, b)	  ((a) < (b) ? (a) : (b))

/* @to is a power of two. */
#define round_down(n, to)    ((n) & ~((to)-1))
#define round_up(n, to)	     ((((n)-1) | ((to)-1)) + 1)
#define GENMASK_ULL(hi, low) ((~0ULL << (low)) & (~0ULL >> (63 - (hi))))
#define hweight64(n)	     __builtin_popcountll(n)

#define READ_ONCE(x)	     __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, value) __atomic_store_n(&(x), value, __ATOMIC_RELAXED)

typedef struct {
	s64 counter;
} atomic64_t;

#define atomic64_set(a, n)     __atomic_store_n(&(a)->counter, n, __ATOMIC_RELAXED)
#define atomic64_read(a)       __atomic_load_n(&(a)->counter, __ATOMIC_RELAXED)
#define atomic64_add(n, a)     ((void)__atomic_add_fetch(&(a)->counter, n, __ATOMIC_RELAXED))
#define atomic64_inc_return(a) __atomic_add_fetch(&(a)->counter, 1, __ATOMIC_SEQ_CST)

typedef pthread_mutex_t spinlock_t;

#define spin_lock_init(lock) pthread_mutex_init(lock, NULL)
#define spin_lock_irqsave(lock, flags)    \
	do {                              \
		(flags) = 0;              \
		pthread_mutex_lock(lock); \
	} while (0)
#define spin_unlock_irqrestore(lock, flags) \
	do {                                \
		(void)(flags);              \
		pthread_mutex_unlock(lock); \
	} while (0)

static inline void *kvcalloc(size_t n, size_t size, int flags)
{
	(void)flags;
	return calloc(n, size);
}

static inline void *kmalloc(size_t size, int flags)
{
	(void)flags;
	return malloc(size);
}

#define kvfree(p) free(p)
#define kfree(p)  free(p)

/* Return the first byte that is not @c, or NULL. */
static inline void *memchr_inv(const void *start, int c, size_t bytes)
{
	const unsigned char *p = start;

	for (; bytes; p++, bytes--)
		if (*p != (unsigned char)c)
			return (void *)p;
	return NULL;
}

#endif
