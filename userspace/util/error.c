// SPDX-License-Identifier: GPL-2.0
/*
 * One line of error context for the user, passed up beside a negative errno.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "util/text.h"

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	if (err->code)
		return err->code;
	err->code = code;
	va_start(ap, fmt);
	/* If there is no memory for the line, error_text() falls back to the code. */
	/* Line breaks are kept if they are ours: in the format, or in another error's text. */
	err->text = text_format(strchr(fmt, '\n') || !strcmp(fmt, "%s") ? "\n" : "", fmt, ap);
	va_end(ap);
	return code;
}

int error_set_errno(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;
	char *line;

	if (!err)
		return code;
	if (err->code)
		return err->code;
	err->code = code;
	va_start(ap, fmt);
	line = text_format("", fmt, ap);
	va_end(ap);
	if (!line || asprintf(&err->text, "%s: %s", line, strerror(-code)) < 0)
		err->text = NULL;
	free(line);
	return code;
}

int error_set_detail(struct error *err, int code, const char *line, const char *fmt, ...)
{
	char *detail;
	va_list ap;

	if (!err || err->code)
		return err ? err->code : code;
	va_start(ap, fmt);
	detail = text_format("", fmt, ap);
	va_end(ap);
	error_set(err, code, "%s%s%s", line, detail ? ": " : "", detail ? detail : "");
	/* Without memory for the line there is nothing to cut off. */
	err->detail = detail && err->text ? (unsigned int)strlen(detail) + 2 : 0;
	free(detail);
	return code;
}

void error_drop_detail(struct error *err)
{
	size_t len = err->text ? strlen(err->text) : 0;

	/* A caller may have replaced the text, by one without the detail. */
	if (err->detail && len > err->detail && !strncmp(err->text + len - err->detail, ": ", 2))
		err->text[len - err->detail] = '\0';
	err->detail = 0;
}

void error_prefix(struct error *err, const char *fmt, ...)
{
	char *prefix, *text;
	va_list ap;

	if (!err || !err->code)
		return;
	va_start(ap, fmt);
	prefix = text_format("", fmt, ap);
	va_end(ap);
	if (prefix && asprintf(&text, "%s: %s", prefix, error_text(err)) >= 0) {
		free(err->text);
		err->text = text;
	}
	free(prefix);
}

const char *error_text(const struct error *err)
{
	return err->text ? err->text : strerror(-err->code);
}

const char *error_after_name(const struct error *err, const char *name)
{
	const char *text = error_text(err);
	/* A byte of the name has up to four in the line. */
	size_t size = 4 * strlen(name) + 1, len;
	char *shown = malloc(size);

	if (!shown)
		return NULL;
	len = text_printable(shown, size, name, "");
	text = strncmp(text, shown, len) || strncmp(text + len, ": ", 2) ? NULL : text + len + 2;
	free(shown);
	return text;
}

enum exit_status error_status(const struct error *err)
{
	switch (err->code) {
	case -ENOENT:
	case -ENODEV:
		return EXIT_NOT_THERE;
	case -EBUSY:
	case -EEXIST:
		return EXIT_BUSY;
	default:
		return EXIT_FAILED;
	}
}

void error_free(struct error *err)
{
	free(err->text);
	*err = ERROR_INIT;
}
