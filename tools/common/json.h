/* SPDX-License-Identifier: GPL-2.0 */
/*
 * JSON on standard output, and safe reading of JSON that another program wrote.
 */
#ifndef QEDBLK_TOOLS_JSON_H
#define QEDBLK_TOOLS_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Print @value, four spaces an indent, keys in the order they were set, and a newline. */
void json_print(const json_t *value);

/* The member's string, number or truth; the default where @object has none of that type. */
const char *json_get_string(const json_t *object, const char *key, const char *none);
int64_t json_get_int(const json_t *object, const char *key, int64_t none);
bool json_get_bool(const json_t *object, const char *key, bool none);

#endif
