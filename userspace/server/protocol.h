/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The protocol of the control socket: one JSON object a line, as in QMP, without a greeting.
 *
 *   client                                                        server
 *     |                                                             |
 *     |  {"execute": NAME, "arguments": {...}, "id": ID}            |
 *     |------------------------------------------------------------>|
 *     |                                                             |
 *     |                {"event": "STREAM_PROGRESS", "data": {...}}  |  none, or several
 *     |<- - - - - - - - - - - - - - - - - - - - - - - - - - - - - - |
 *     |                                                             |
 *     |                                {"return": {...}, "id": ID}  |
 *     |        or {"error": {"class": CLASS, "desc": LINE}, "id"..} |
 *     |<------------------------------------------------------------|
 *
 * NAME   a command: a row of the table in commands.c
 * {...}  what the command takes, returns or reports; "arguments" may be missing
 * ID     a string, number, true, false or null that the reply repeats; may be missing
 * CLASS  DeviceBusy: the device is in use; CommandNotFound; GenericError: any other error
 * LINE   the error line for the user
 *
 * The commands of a client run one after another, and are answered in that order. Only `stream`
 * with "wait" sends events. A request with another member, or with an argument that its command
 * does not have, is refused, so that a newer client notices an older server.
 */
#ifndef QEDBLK_SERVER_PROTOCOL_H
#define QEDBLK_SERVER_PROTOCOL_H

#include <jansson.h>
#include <stddef.h>

#include "util/error.h"

/* The longest request with its newline, bytes: a longer one ends the connection. */
#define PROTOCOL_MAX_LINE 65536

struct protocol_request {
	const char *execute; /* owned by @whole */
	json_t *arguments; /* an object or NULL; owned by @whole */
	json_t *id; /* or NULL; owned by @whole */
	json_t *whole;
};

/*
 * Parse a line (without its newline). Returns 0, or a negative errno with an error
 * line for the client. The caller frees @request in both cases; it has the id if there
 * was one.
 */
int protocol_parse(struct protocol_request *request, const char *line, size_t len,
		   struct error *err);
void protocol_request_free(struct protocol_request *request);

/*
 * Check @arguments (may be NULL) against @known: "NAME:KIND NAME:KIND..." with the
 * kinds s(tring), i(nteger) and b(oolean); all are optional. Returns 0, or -EINVAL
 * with an error line.
 */
int protocol_check_arguments(json_t *arguments, const char *known, struct error *err);

/*
 * Return a reply with its newline, for the caller to free(); NULL when memory is
 * short. Takes the reference to @result (NULL: an empty object). @id may be NULL.
 */
char *protocol_return(json_t *result, json_t *id);

/*
 * The same for an error. The class follows from @err's code: -EBUSY DeviceBusy,
 * -ENOSYS CommandNotFound, else GenericError.
 */
char *protocol_error(const struct error *err, json_t *id);

#endif
