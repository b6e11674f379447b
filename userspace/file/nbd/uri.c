// SPDX-License-Identifier: GPL-2.0
/*
 * Names of NBD exports; no I/O.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/nbd/uri.h"
#include "util/units.h"

#define MAX_SECONDS 86400

static const char *const schemes[] = { "nbd://", "nbds://", "nbd+unix://", "nbds+unix://" };

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

bool nbd_uri_matches(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (starts_with(name, schemes[i]))
			return true;
	return starts_with(name, "nbd:");
}

/* Parse @len characters as a decimal number of seconds; 0 is valid. */
static int parse_seconds(const char *text, size_t len, uint32_t *seconds)
{
	uint32_t n = 0;

	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return -EINVAL;
		n = n * 10 + (uint32_t)(text[i] - '0');
		if (n > MAX_SECONDS)
			return -EINVAL;
	}
	*seconds = n;
	return 0;
}

/* Take the parameter [@param, @param + @len).  Returns 1 if it is ours, else 0, or -EINVAL. */
static int take_param(struct nbd_uri *uri, const char *param, size_t len, struct error *err)
{
	const struct {
		const char *name;
		uint32_t *seconds;
	} ours[] = {
		{ "reconnect-delay=", &uri->reconnect_delay },
		{ "reply-timeout=", &uri->reply_timeout },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		size_t skip = strlen(ours[i].name);

		if (len < skip || strncmp(param, ours[i].name, skip))
			continue;
		if (parse_seconds(param + skip, len - skip, ours[i].seconds) ||
		    (!*ours[i].seconds && ours[i].seconds == &uri->reply_timeout))
			return error_set(err, -EINVAL, "%.*s: not a number of seconds", (int)len,
					 param);
		return 1;
	}
	return 0;
}

/* Copy @name without the parameters that are ours. */
static int parse_uri(struct nbd_uri *uri, const char *name, struct error *err)
{
	const char *param = strchr(name, '?'), *end;
	char *to, separator = '?';

	uri->text = strdup(name);
	if (!uri->text)
		return error_set_errno(err, -ENOMEM, "its name");
	if (!param)
		return 0;
	to = uri->text + (param - name);
	for (param++;; param = end + 1) {
		size_t len = strcspn(param, "&");
		int ret = take_param(uri, param, len, err);

		end = param + len;
		if (ret < 0)
			return ret;
		if (!ret && len) {
			*to++ = separator;
			separator = '&';
			memcpy(to, param, len);
			to += len;
		}
		if (!*end)
			break;
	}
	*to = '\0';
	return 0;
}

/* Append @len bytes of @text to @to, percent-encoded; @to has room for three times as many. */
static char *append_quoted(char *to, const char *text, size_t len)
{
	static const char plain[] = "-._~/";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (isalnum(c) || strchr(plain, c))
			*to++ = (char)c;
		else
			to += sprintf(to, "%%%02X", c);
	}
	*to = '\0';
	return to;
}

/* Parse QEMU's older names: @rest follows "nbd:". */
static int parse_old(struct nbd_uri *uri, const char *rest, struct error *err)
{
	const char *export = strstr(rest, ":exportname=");
	size_t where = export ? (size_t)(export - rest) : strlen(rest);
	bool is_unix = starts_with(rest, "unix:");
	const char *colon;
	char *to;

	export = export ? export + strlen(":exportname=") : "";
	to = uri->text = malloc(3 * strlen(rest) + sizeof("nbd+unix:///?socket="));
	if (!to)
		return error_set_errno(err, -ENOMEM, "its name");
	if (is_unix) {
		to = append_quoted(stpcpy(to, "nbd+unix:///"), export, strlen(export));
		rest += strlen("unix:");
		if (where <= strlen("unix:"))
			return error_set(err, -EINVAL, "the path of a socket is missing");
		append_quoted(stpcpy(to, "?socket="), rest, where - strlen("unix:"));
		return 0;
	}
	colon = memchr(rest, ':', where);
	if (!colon || colon == rest || colon + 1 == rest + where)
		return error_set(err, -EINVAL, "not HOST:PORT or unix:PATH");
	to += sprintf(to, "nbd://%.*s/", (int)where, rest);
	append_quoted(to, export, strlen(export));
	return 0;
}

int nbd_uri_parse(struct nbd_uri *uri, const char *name, struct error *err)
{
	int ret;

	*uri = (struct nbd_uri){
		.reconnect_delay = NBD_RECONNECT_DELAY,
		.reply_timeout = NBD_REPLY_TIMEOUT,
	};
	if (starts_with(name, "nbd:") && !starts_with(name, "nbd://"))
		ret = parse_old(uri, name + strlen("nbd:"), err);
	else
		ret = parse_uri(uri, name, err);
	if (ret)
		nbd_uri_free(uri);
	return ret;
}

void nbd_uri_free(struct nbd_uri *uri)
{
	free(uri->text);
	uri->text = NULL;
}
