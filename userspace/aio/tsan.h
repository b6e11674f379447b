/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Annotations for ThreadSanitizer, of orderings that it cannot see since the kernel,
 * or a library that is built without it, creates them.
 */
#ifndef QEDBLK_AIO_TSAN_H
#define QEDBLK_AIO_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define AIO_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define AIO_TSAN 1
#endif
#endif

/* What happened before a release of @addr happens before what follows an acquire of it. */
#ifdef AIO_TSAN
#include <sanitizer/tsan_interface.h>
#define TSAN_RELEASE(addr) __tsan_release(addr)
#define TSAN_ACQUIRE(addr) __tsan_acquire(addr)
#else
#define TSAN_RELEASE(addr) ((void)(addr))
#define TSAN_ACQUIRE(addr) ((void)(addr))
#endif

#endif
