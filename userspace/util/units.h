/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sizes in bytes: parsing a user's input, printing for users, and rounding.
 */
#ifndef QEDBLK_UTIL_UNITS_H
#define QEDBLK_UTIL_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KiB (1ULL << 10)
#define MiB (1ULL << 20)
#define GiB (1ULL << 30)
#define TiB (1ULL << 40)

#define SECTOR_SIZE 512u

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member)                              \
	({                                                           \
		char *__member = (char *)(ptr);                      \
		(type *)(void *)(__member - offsetof(type, member)); \
	})

static inline bool is_power_of_2(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* @align is a power of two. */
static inline uint64_t round_down(uint64_t n, uint64_t align)
{
	return n & ~(align - 1);
}

/* @align is a power of two, and @n + @align must not overflow. */
static inline uint64_t round_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static inline uint64_t div_round_up(uint64_t n, uint64_t d)
{
	return n / d + (n % d != 0);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * Parse a size: a decimal number or fraction ("1.5", "1."), or a hexadecimal number (0x...),
 * with an optional suffix b, k, K, M, G, T, P or E (base 1024; `b` is bytes).
 * Returns 0, -EINVAL (not a size) or -ERANGE (over 2^63 - 1 bytes, or negative).
 */
int parse_size(const char *text, uint64_t *bytes);

/*
 * The same, and sizes as format_size() prints them: a blank may stand before the unit, and K, M
 * and so on may be KiB, MiB and so on.
 */
int parse_printed_size(const char *text, uint64_t *bytes);

/* Return where the blanks, tabs and ends of lines before a number end, as strtol() skips them. */
static inline const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t\n\v\f\r");
}

/*
 * Print @bytes in QEMU's format: "64 KiB", "1.5 GiB", "0 B" (three significant
 * digits, base 1024).  Returns @buf.
 */
char *format_size(char *buf, size_t len, uint64_t bytes);

#endif
