/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Text for people: what comes from images, servers and file names may have characters
 * that a terminal obeys rather than shows, or that make two lines of one.
 */
#ifndef QEDBLK_UTIL_TEXT_H
#define QEDBLK_UTIL_TEXT_H

#include <stddef.h>

/*
 * Copy @from to @to (@size bytes, at least one), with control characters, but for those in @keep,
 * as \xNN, cut where there is no more room.  Returns the length without the NUL byte.
 */
size_t text_printable(char *to, size_t size, const char *from, const char *keep);

/*
 * @text, which is taken over, or a copy (heap) with control characters as \xNN, but for those in
 * @keep; NULL: no memory.
 */
char *text_make_printable(char *text, const char *keep);

#endif
