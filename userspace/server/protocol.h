/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control socket's language: one JSON object a line, in QMP's shape.
 *
 *	{"execute": NAME, "arguments": {...}, "id": ANY}
 *	{"return": {...}, "id": ANY} or {"error": {"class": CLASS, "desc": LINE}, "id": ANY}
 */
#ifndef QEDBLK_SERVER_PROTOCOL_H
#define QEDBLK_SERVER_PROTOCOL_H

#include <jansson.h>
#include <stddef.h>

#include "util/error.h"

/* Longest request, bytes with its newline. */
#define PROTOCOL_MAX_LINE 65536

struct protocol_request {
	const char *execute; /* owned by @whole */
	json_t *arguments; /* an object or NULL; owned by @whole */
	json_t *id; /* or NULL; owned by @whole */
	json_t *whole;
};

/*
 * Parse a line (its newline left off).  Returns 0, or a negative errno with a
 * line for the client; @request is to be freed in both cases, and has the id
 * if there was one.
 */
int protocol_parse(struct protocol_request *request, const char *line, size_t len,
		   struct error *err);
void protocol_request_free(struct protocol_request *request);

/*
 * Is @arguments (may be NULL) what a command takes?  @known: "NAME:KIND NAME:KIND..." with kinds
 * s(tring), i(nteger) and b(oolean); all may be left out.  Returns 0, or -EINVAL with a line.
 */
int protocol_check_arguments(json_t *arguments, const char *known, struct error *err);

/* File names are bytes, JSON is UTF-8: what is not is shown as replacement characters. */
json_t *protocol_text(const char *text);

/*
 * An answer with its newline, on the heap; NULL when memory is short.  @result
 * is taken over (NULL: an empty object).  @id may be NULL.
 */
char *protocol_return(json_t *result, json_t *id);

/* Class by @err's code: -EBUSY DeviceBusy, -ENOSYS CommandNotFound, else GenericError. */
char *protocol_error(const struct error *err, json_t *id);

#endif
