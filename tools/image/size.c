// SPDX-License-Identifier: GPL-2.0
/* Parsing sizes for the image tools. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmdline/report.h"
#include "image/size.h"
#include "util/units.h"

/* Is it like 0x10k? The rest of the text may still be invalid. */
static bool is_hex_with_unit(const char *text)
{
	char *end;

	text = skip_blanks(text);
	text += *text == '+';
	if (strncasecmp(text, "0x", 2) || !strspn(text + 2, "0123456789abcdefABCDEF"))
		return false;
	errno = 0;
	strtoull(text, &end, 16);
	return !errno && *end && strchr("kKmMgGtTpP", *end);
}

/* Does the text begin with a number below 0 whose digits fit in 64 bits? */
static bool is_negative(const char *text)
{
	errno = 0;
	return *skip_blanks(text) == '-' && (strtoull(text, NULL, 10), !errno);
}

int image_parse_size(const char *text, uint64_t *bytes)
{
	int ret;

	if (is_hex_with_unit(text))
		report_warning("Using a multiplier suffix on hex numbers is deprecated: %s", text);
	ret = parse_size(skip_blanks(text), bytes);
	return ret == -ERANGE && is_negative(text) ? -EINVAL : ret;
}
