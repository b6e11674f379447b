/* SPDX-License-Identifier: GPL-2.0 */
/* Zero detection: is a buffer all zero bytes, asked as fast as memory can be read. */
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
 * How many of the @len > 0 bytes at @buf, from the start, are alike as to being zero,
 * looked at in units of @unit (a power of two) that begin on its multiples; the first
 * byte's place is @offset.  *@zero tells which.
 */
uint64_t buffer_zero_run(const void *buf, uint64_t offset, uint64_t len, uint64_t unit, bool *zero);

/*
 * One way to scan.  @is_zero keeps the contract of buffer_is_zero() for every
 * length, provided that @supported says that this CPU can run it.  @preferred
 * tells whether it is worth choosing here: some CPUs run an instruction set
 * that makes them slower elsewhere.
 */
struct zero_impl {
	const char *name;
	bool (*is_zero)(const void *buf, size_t len);
	bool (*supported)(void);
	bool (*preferred)(void);
};

/* How many implementations this CPU can run; at least one, the portable one. */
size_t zero_impl_count(void);

/* The @index'th of them, best first; NULL when @index >= zero_impl_count(). */
const struct zero_impl *zero_impl_get(size_t index);

/* The one that buffer_is_zero() hands longer buffers to; never NULL. */
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
 * Scan @len < 64 bytes: too few for the vector loops to set out.  Two loads
 * that overlap cover every length between one load's size and its double.
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
