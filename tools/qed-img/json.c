// SPDX-License-Identifier: GPL-2.0
/* JSON as qemu-img prints it, with file names of any bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qed-img/img.h"
#include "util/json_memory.h"

/* Return the length of the UTF-8 character at @p: 1..4, or 0 if it is invalid. */
static size_t utf8_len(const unsigned char *p)
{
	static const struct {
		unsigned char mask, lead, second_min, second_max;
		size_t len;
	} forms[] = {
		{ 0x80, 0x00, 0x00, 0xff, 1 }, /* ASCII */
		{ 0xff, 0xe0, 0xa0, 0xbf, 3 }, /* no overlong form */
		{ 0xff, 0xed, 0x80, 0x9f, 3 }, /* no surrogate */
		{ 0xff, 0xf0, 0x90, 0xbf, 4 }, /* no overlong form */
		{ 0xff, 0xf4, 0x80, 0x8f, 4 }, /* not past U+10FFFF */
		{ 0xf0, 0xe0, 0x80, 0xbf, 3 }, { 0xfc, 0xf0, 0x80, 0xbf, 4 },
		{ 0xe0, 0xc0, 0x80, 0xbf, 2 },
	};
	size_t i, k;

	if (p[0] == 0xc0 || p[0] == 0xc1)
		return 0;
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if ((p[0] & forms[i].mask) == forms[i].lead)
			break;
	if (i == sizeof(forms) / sizeof(forms[0]))
		return 0;
	if (forms[i].len > 1 && (p[1] < forms[i].second_min || p[1] > forms[i].second_max))
		return 0;
	for (k = 2; k < forms[i].len; k++)
		if ((p[k] & 0xc0) != 0x80)
			return 0;
	return forms[i].len;
}

json_t *img_json_string(const char *bytes)
{
	const unsigned char *p = (const unsigned char *)bytes;
	char *text = malloc(3 * strlen(bytes) + 1);
	char *to = text;
	json_t *value;
	size_t len;

	if (!text) {
		json_memory_fail();
		return NULL;
	}
	while (*p) {
		len = utf8_len(p);
		memcpy(to, len ? (const char *)p : "\xef\xbf\xbd", len ? len : 3);
		to += len ? len : 3;
		p += len ? len : 1;
	}
	*to = '\0';
	value = json_string(text);
	free(text);
	return value;
}

int img_json_print(json_t *value)
{
	/* The program checks at its end for failed writes and incomplete values. */
	if (!json_memory_failures()) {
		json_dumpf(value, stdout, JSON_INDENT(4) | JSON_ENSURE_ASCII);
		putchar('\n');
	}
	json_decref(value);
	return 0;
}
