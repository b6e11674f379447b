/* SPDX-License-Identifier: GPL-2.0 */
/* Zero detection: check whether a buffer is all zero bytes, at the speed of memory reads. */
#ifndef QEDBLK_BLOCK_ZERO_H
#define QEDBLK_BLOCK_ZERO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Return true when all @len bytes at @buf are zero; a length of 0 is all zero.
 * @buf may have any alignment, and nothing outside of [@buf, @buf + @len) is
 * read.  Does not sleep; any thread may call it at any time, the first call
 * included.
 */
bool buffer_is_zero(const void *buf, size_t len);

/*
 * Return the length, in bytes, of the first run of the @len > 0 bytes at @buf: units that
 * are all zero (*@zero set) or units that are not.  A unit has @unit bytes and begins on
 * a multiple of that; the first byte is at @offset.
 */
uint64_t buffer_zero_run(const void *buf, uint64_t offset, uint64_t len, uint64_t unit, bool *zero);

/*
 * One implementation.  @is_zero keeps the contract of buffer_is_zero() for every
 * length, provided that @supported returns true: this CPU can run it.  @preferred
 * tells whether it is worth choosing here: on some CPUs an instruction set makes
 * other code slower.
 */
struct zero_impl {
	const char *name;
	bool (*is_zero)(const void *buf, size_t len);
	bool (*supported)(void);
	bool (*preferred)(void);
};

/*
 * For tests and benchmarks: the @index'th of the implementations that this CPU can run, best
 * first, the last one the portable one; NULL when there are no more.
 */
const struct zero_impl *zero_impl_get(size_t index);

/* The implementation that buffer_is_zero() uses for longer buffers; never NULL. */
const struct zero_impl *zero_impl_chosen(void);

/*
 * The rest is for the implementations' files only.
 */

/* Tables of one architecture, best first; an entry without a name ends them. */
#if defined(__x86_64__)
#define ZERO_HAVE_ARCH_IMPLS 1
#elif defined(__aarch64__)
#define ZERO_HAVE_ARCH_IMPLS 1
#endif

#ifdef ZERO_HAVE_ARCH_IMPLS
extern const struct zero_impl zero_arch_impls[];
#endif

/* Loads that may be unaligned and alias anything. */
static inline uint64_t zero_load64(const unsigned char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static inline uint32_t zero_load32(const unsigned char *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/*
 * Scan @len < 64 bytes: too few for the vector loops to pay off.  Two loads
 * that overlap cover every length from one load's size to twice that.
 */
static inline bool zero_is_zero_short(const unsigned char *p, size_t len)
{
	uint64_t bits = 0;

	if (len >= 8) {
		const unsigned char *last = p + len - 8;

		for (; p < last; p += 8)
			bits |= zero_load64(p);
		return !(bits | zero_load64(last));
	}
	if (len >= 4)
		return !(zero_load32(p) | zero_load32(p + len - 4));
	if (len)
		return !(p[0] | p[len / 2] | p[len - 1]);
	return true;
}

#endif
