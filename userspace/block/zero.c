// SPDX-License-Identifier: GPL-2.0
/* Zero detection: the portable version, and the choice of a version at run time. */
#include "block/zero.h"

#include <stdatomic.h>

/* Bytes: below this the inline scan is faster than an indirect call. */
#define SHORT_LIMIT 64

static bool always(void)
{
	return true;
}

static bool is_zero_portable(const void *buf, size_t len)
{
	const unsigned char *p = buf;

	for (; len >= 64; p += 64, len -= 64) {
		uint64_t a = zero_load64(p) | zero_load64(p + 8);
		uint64_t b = zero_load64(p + 16) | zero_load64(p + 24);
		uint64_t c = zero_load64(p + 32) | zero_load64(p + 40);
		uint64_t d = zero_load64(p + 48) | zero_load64(p + 56);

		if ((a | b) | (c | d))
			return false;
	}
	return zero_is_zero_short(p, len);
}

static const struct zero_impl portable_impl = {
	.name = "portable",
	.is_zero = is_zero_portable,
	.supported = always,
	.preferred = always,
};

#ifdef ZERO_HAVE_ARCH_IMPLS
static const struct zero_impl *const arch_impls = zero_arch_impls;
#else
static const struct zero_impl no_impls[] = { { .name = NULL } };
static const struct zero_impl *const arch_impls = no_impls;
#endif

const struct zero_impl *zero_impl_get(size_t index)
{
	for (const struct zero_impl *impl = arch_impls; impl->name; impl++)
		if (impl->supported() && index-- == 0)
			return impl;
	return index == 0 ? &portable_impl : NULL;
}

const struct zero_impl *zero_impl_chosen(void)
{
	for (const struct zero_impl *impl = arch_impls; impl->name; impl++)
		if (impl->supported() && impl->preferred())
			return impl;
	return &portable_impl;
}

static bool choose_and_scan(const void *buf, size_t len);

/*
 * Holds choose_and_scan() until the first long buffer, then the best version.
 * Threads that race here all store the same value, and the pointer publishes
 * nothing but itself: relaxed order is enough.
 */
static _Atomic(bool (*)(const void *, size_t)) scan = choose_and_scan;

static bool choose_and_scan(const void *buf, size_t len)
{
	bool (*best)(const void *, size_t) = zero_impl_chosen()->is_zero;

	atomic_store_explicit(&scan, best, memory_order_relaxed);
	return best(buf, len);
}

bool buffer_is_zero(const void *buf, size_t len)
{
	const unsigned char *p = buf;

	if (len < SHORT_LIMIT)
		return zero_is_zero_short(p, len);

	/* Data is seldom zero in all of these: most calls end here. */
	if (zero_load64(p) | zero_load64(p + len / 2) | zero_load64(p + len - 8))
		return false;

	return atomic_load_explicit(&scan, memory_order_relaxed)(buf, len);
}

uint64_t buffer_zero_run(const void *buf, uint64_t offset, uint64_t len, uint64_t unit, bool *zero)
{
	const unsigned char *p = buf;
	uint64_t run = 0, in_unit = unit - offset % unit;

	for (; run < len; in_unit = unit) {
		uint64_t step = in_unit < len - run ? in_unit : len - run;
		bool step_zero = buffer_is_zero(p + run, step);

		if (run && step_zero != *zero)
			break;
		*zero = step_zero;
		run += step;
	}
	return run;
}
