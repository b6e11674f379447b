/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Telling ThreadSanitizer of orderings that it cannot see, since they are made
 * by the kernel or by a library that is not built with it.
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
