// SPDX-License-Identifier: GPL-2.0
/* Text of any bytes in JSON: jansson tells which bytes are characters. */
#include <stdlib.h>
#include <string.h>

#include "util/json_memory.h"
#include "util/json_text.h"

/* Return the bytes of the character that @text begins with: 1..4, or 0 if it begins with none. */
static size_t character_len(const char *text)
{
	for (size_t len = 1; len <= strnlen(text, 4); len++) {
		json_t *character = json_stringn(text, len);

		json_decref(character);
		if (character)
			return len;
	}
	return 0;
}

json_t *json_text(const char *text)
{
	json_t *json = json_string(text);
	char *copy, *to;

	if (json)
		return json;
	to = copy = malloc(3 * strlen(text) + 1);
	if (!copy) {
		json_memory_fail();
		return NULL;
	}
	while (*text) {
		size_t len = character_len(text);

		to = mempcpy(to, len ? text : "\xef\xbf\xbd", len ? len : 3);
		text += len ? len : 1;
	}
	*to = '\0';
	json = json_string(copy);
	free(copy);
	return json;
}
