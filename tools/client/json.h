/* SPDX-License-Identifier: GPL-2.0 */
/* JSON on standard output, and safe access to JSON of another program. */
#ifndef QEDBLK_CLIENT_JSON_H
#define QEDBLK_CLIENT_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Print @value, indented by four spaces, keys in insertion order, and a newline. */
void json_print(const json_t *value);

/*
 * Return a member's string, number or boolean, or @none if @object has none of that
 * type. @object owns the string.
 */
const char *json_get_string(const json_t *object, const char *key, const char *none);
int64_t json_get_int(const json_t *object, const char *key, int64_t none);
bool json_get_bool(const json_t *object, const char *key, bool none);

#endif
