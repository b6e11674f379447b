// SPDX-License-Identifier: GPL-2.0
/* JSON on standard output, and safe access to JSON of another program. */
#include <stdio.h>

#include "client/json.h"
#include "util/json_memory.h"

void json_print(const json_t *value)
{
	/* The program checks at its end for failed writes and incomplete values. */
	if (json_memory_failures())
		return;
	json_dumpf(value, stdout, JSON_INDENT(4) | JSON_ENCODE_ANY);
	putchar('\n');
}

const char *json_get_string(const json_t *object, const char *key, const char *none)
{
	const json_t *value = json_object_get(object, key);

	return json_is_string(value) ? json_string_value(value) : none;
}

int64_t json_get_int(const json_t *object, const char *key, int64_t none)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : none;
}

bool json_get_bool(const json_t *object, const char *key, bool none)
{
	const json_t *value = json_object_get(object, key);

	return json_is_boolean(value) ? json_is_true(value) : none;
}
