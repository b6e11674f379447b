/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Making text safe to print: text from images, servers and file names may contain
 * control characters, which a terminal obeys, or line breaks.
 */
#ifndef QEDBLK_UTIL_TEXT_H
#define QEDBLK_UTIL_TEXT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Copy @from to @to (@size bytes, at least one), with control characters except those in @keep as
 * \xNN, and cut it where there is no more room.  Returns the length without the NUL byte.
 */
size_t text_printable(char *to, size_t size, const char *from, const char *keep);

/*
 * Format (printf style) to heap, with control characters except those in @keep as \xNN; NULL: out
 * of memory.  The caller owns the result.
 */
char *text_format(const char *keep, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

#endif
