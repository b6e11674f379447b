// SPDX-License-Identifier: GPL-2.0
/* Parsing requests, printing replies. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/protocol.h"
#include "util/json_text.h"

/* Set the members of @request from @request->whole, which is an object. */
static int take_members(struct protocol_request *request, struct error *err)
{
	json_t *execute = json_object_get(request->whole, "execute");
	json_t *arguments = json_object_get(request->whole, "arguments");
	json_t *id = json_object_get(request->whole, "id");
	const char *key;
	json_t *value;

	/* The id is printed in the reply, and printing nested values takes stack. */
	if (json_is_array(id) || json_is_object(id))
		return error_set(err, -EINVAL, "member 'id' is an array or an object");
	request->id = id;
	json_object_foreach(request->whole, key, value) {
		if (strcmp(key, "execute") && strcmp(key, "arguments") && strcmp(key, "id"))
			return error_set(err, -EINVAL, "member '%s' is not known", key);
	}
	if (!json_is_string(execute))
		return error_set(err, -EINVAL, "member 'execute', a string, is needed");
	if (arguments && !json_is_object(arguments))
		return error_set(err, -EINVAL, "member 'arguments' is not an object");
	request->execute = json_string_value(execute);
	request->arguments = arguments;
	return 0;
}

int protocol_parse(struct protocol_request *request, const char *line, size_t len,
		   struct error *err)
{
	json_error_t why;

	*request = (struct protocol_request){ 0 };
	request->whole = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	if (!request->whole)
		return error_set(err, -EINVAL, "not JSON: %s", why.text);
	if (!json_is_object(request->whole))
		return error_set(err, -EINVAL, "not a JSON object");
	return take_members(request, err);
}

void protocol_request_free(struct protocol_request *request)
{
	json_decref(request->whole);
	*request = (struct protocol_request){ 0 };
}

/* The kind of @name in @known, or 0. */
static char kind_of(const char *known, const char *name)
{
	size_t len = strlen(name);

	for (; *known; known += strcspn(known, " "), known += strspn(known, " "))
		if (!strncmp(known, name, len) && known[len] == ':' && !strchr(name, ':'))
			return known[len + 1];
	return 0;
}

int protocol_check_arguments(json_t *arguments, const char *known, struct error *err)
{
	const char *name;
	json_t *value;

	json_object_foreach(arguments, name, value) {
		char kind = kind_of(known, name);

		if (!kind)
			return error_set(err, -EINVAL, "argument '%s' is not known", name);
		if (kind == 's' && !json_is_string(value))
			return error_set(err, -EINVAL, "argument '%s' is not a string", name);
		if (kind == 'i' && !json_is_integer(value))
			return error_set(err, -EINVAL, "argument '%s' is not an integer", name);
		if (kind == 'b' && !json_is_boolean(value))
			return error_set(err, -EINVAL, "argument '%s' is not true or false", name);
	}
	return 0;
}

/* Print @answer as a line; drops the reference. */
static char *to_line(json_t *answer, json_t *id)
{
	char *text, *line = NULL;
	size_t len;

	if (!answer)
		return NULL;
	text = id && json_object_set(answer, "id", id) ? NULL : json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	if (!text)
		return NULL;
	len = strlen(text);
	line = realloc(text, len + 2);
	if (!line) {
		free(text);
		return NULL;
	}
	line[len] = '\n';
	line[len + 1] = '\0';
	return line;
}

char *protocol_return(json_t *result, json_t *id)
{
	return to_line(json_pack("{s:o}", "return", result ? result : json_object()), id);
}

static const char *error_class(int code)
{
	switch (code) {
	case -EBUSY:
		return "DeviceBusy";
	case -ENOSYS:
		return "CommandNotFound";
	default:
		return "GenericError";
	}
}

char *protocol_error(const struct error *err, json_t *id)
{
	return to_line(json_pack("{s:{s:s,s:o}}", "error", "class", error_class(err->code), "desc",
				 json_text(error_text(err))),
		       id);
}
