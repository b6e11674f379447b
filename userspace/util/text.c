// SPDX-License-Identifier: GPL-2.0
/*
 * Making text safe to print.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* Return the length in bytes of the control character at @text; 0: there is none, or it is kept. */
static unsigned int control_bytes(const unsigned char *text, const char *keep)
{
	if (text[0] < 0x20 || text[0] == 0x7f)
		return text[0] && !strchr(keep, text[0]);
	/* U+0080 to U+009F */
	return text[0] == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0 ? 2 : 0;
}

size_t text_printable(char *to, size_t size, const char *from, const char *keep)
{
	const unsigned char *at = (const unsigned char *)from;
	size_t len = 0;

	while (*at) {
		unsigned int n = control_bytes(at, keep);

		if (len + (n ? 4 * n : 1) >= size)
			break;
		if (!n)
			to[len++] = (char)*at++;
		for (; n; n--)
			len += (size_t)sprintf(to + len, "\\x%02x", *at++);
	}
	to[len] = '\0';
	return len;
}

/* Replace the control characters of @text (heap), and take ownership. NULL: out of memory. */
static char *make_printable(char *text, const char *keep)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t size;
	char *copy;

	while (*at && !control_bytes(at, keep))
		at++;
	if (!*at)
		return text;
	size = 4 * strlen(text) + 1;
	copy = malloc(size);
	if (copy)
		text_printable(copy, size, text, keep);
	free(text);
	return copy;
}

char *text_format(const char *keep, const char *fmt, va_list ap)
{
	char *line;

	return vasprintf(&line, fmt, ap) < 0 ? NULL : make_printable(line, keep);
}
