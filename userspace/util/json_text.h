/* SPDX-License-Identifier: GPL-2.0 */
/* Text of any bytes, such as a file name, in JSON, which is UTF-8. */
#ifndef QEDBLK_UTIL_JSON_TEXT_H
#define QEDBLK_UTIL_JSON_TEXT_H

#include <jansson.h>

/*
 * Return @text as a JSON string, with U+FFFD for each byte that belongs to no character. NULL
 * when out of memory, which json_memory_failures() then counts.
 */
json_t *json_text(const char *text);

#endif
