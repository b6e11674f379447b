// SPDX-License-Identifier: GPL-2.0
/* Parsing NAME=VALUE,... of a command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/image_opts.h"
#include "cmdline/report.h"

size_t image_opts_item_len(const char *text)
{
	size_t len = 0;

	while (text[len] && (text[len] != ',' || text[len + 1] == ','))
		len += text[len] == ',' ? 2 : 1;
	return len;
}

bool image_opts_want_help(const char *list)
{
	size_t len;

	for (; list && *list; list += len + (list[len] == ',')) {
		len = image_opts_item_len(list);
		if ((len == 4 && !strncmp(list, "help", 4)) || (len == 1 && *list == '?'))
			return true;
	}
	return false;
}

static int set(struct blk_options *o, const char *name, const char *value, struct error *err)
{
	if (!strcmp(name, "backing") && !*value)
		report_warning("Use of \"backing\": \"\" is deprecated; use \"backing\": "
			       "null instead");
	if (blk_options_set(o, name, value) < 0)
		return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	return 0;
}

/* Terminate the value at @text in place; ",," is a comma in it. Returns the text after it. */
static char *cut_value(char *text)
{
	char *to = text;

	for (; *text; *to++ = *text++) {
		if (*text != ',')
			continue;
		text++;
		if (*text != ',')
			break;
	}
	/* The text after the value is intact: @to is at most @text - 1. */
	*to = '\0';
	return text;
}

/* Set a switch from an item without "=", an old form: "foo", "nofoo". */
static int set_switch(struct blk_options *o, const char *name, bool warn, struct error *err)
{
	bool off = !strncmp(name, "no", 2);
	const char *plain = off ? name + 2 : name;

	if (warn) {
		report_warning("short-form boolean option '%s' deprecated", name);
		fprintf(stderr, "Please use %s=%s instead\n", plain, off ? "off" : "on");
	}
	return set(o, plain, off ? "off" : "on", err);
}

static int parse_items(struct blk_options *o, char *text, const char *implied,
		       enum image_opts_switches switches, struct error *err)
{
	while (*text) {
		size_t len = strcspn(text, "=,");
		char *name = text, *value = text + len + 1;
		int ret;

		if (text[len] == '=') {
			text[len] = '\0';
			text = cut_value(value);
			/* Of an image's options QEMU ignores one without a name. */
			ret = *name || switches != IMAGE_OPTS_WARN ? set(o, name, value, err) : 0;
		} else {
			text = cut_value(name);
			if (implied)
				ret = set(o, implied, name, err);
			else if (switches == IMAGE_OPTS_NO_SWITCHES)
				ret = error_set(err, -EINVAL, "Expected '=' after parameter '%s'",
						name);
			else
				ret = set_switch(o, name, switches == IMAGE_OPTS_WARN, err);
		}
		if (ret)
			return ret;
		implied = NULL;
	}
	return 0;
}

int image_opts_parse(struct blk_options **options, const char *list, const char *implied,
		     enum image_opts_switches switches, struct error *err)
{
	char *copy = strdup(list);
	int ret;

	if (!copy)
		return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	ret = blk_options_new(options, err);
	if (!ret) {
		ret = parse_items(*options, copy, implied, switches, err);
		if (ret) {
			blk_options_free(*options);
			*options = NULL;
		}
	}
	free(copy);
	return ret;
}
