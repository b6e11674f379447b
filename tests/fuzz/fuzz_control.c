// SPDX-License-Identifier: GPL-2.0
/*
 * The control socket: requests as the server receives them, and the answers and events of an
 * arbitrary server as the tools receive them.  The first byte selects one of these.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/client.h"
#include "client/json.h"
#include "cmdline/report.h"
#include "fuzz.h"
#include "server/protocol.h"
#include "util/units.h"

/* ---- Server ---- */

static void answer(struct protocol_request *request, struct error *err)
{
	char *line = err->code ? protocol_error(err, request->id) :
				 protocol_return(NULL, request->id);
	size_t len;

	if (!line)
		return;
	len = strlen(line);
	fuzz_require(len && strchr(line, '\n') == line + len - 1,
		     "an answer of other than one line");
	free(line);
}

static void serve(const char *text, size_t size)
{
	while (size) {
		const char *newline = memchr(text, '\n', size);
		size_t len = newline ? (size_t)(newline - text) : size;
		struct protocol_request request;
		struct error err = ERROR_INIT;

		if (!protocol_parse(&request, text, len, &err))
			(void)protocol_check_arguments(request.arguments,
						       "file:s speed:i wait:b mode:s", &err);
		answer(&request, &err);
		error_free(&err);
		protocol_request_free(&request);
		text += len + (newline != NULL);
		size -= len + (newline != NULL);
	}
}

/* ---- Tools ---- */

static void on_event(void *arg, const char *event, const json_t *data)
{
	(void)arg;
	(void)event;
	(void)json_number_value(json_object_get(data, "percent"));
}

/* All uses that verbs make of an answer. */
static void use_answer(const json_t *value)
{
	(void)json_get_string(value, "note", NULL);
	(void)json_get_int(value, "lost", 0);
	(void)json_get_bool(value, "available", false);
	json_print(value);
}

static void ask(const uint8_t *data, size_t size, bool events)
{
	struct error err = ERROR_INIT;
	json_t *value = NULL;
	int fds[2], ret;

	fuzz_require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), "no sockets");
	/* All that the server sends; what does not fit is cut off. */
	(void)!send(fds[1], data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fds[1], SHUT_WR);
	if (events)
		ret = client_command_with_events(fds[0], "stream", NULL, 1000, on_event, NULL,
						 &value, &err);
	else
		ret = client_command(fds[0], "status", NULL, 1000, &value, &err);
	fuzz_require((ret < 0) == (err.code < 0) && (ret < 0 || value), "neither error nor answer");
	if (value)
		use_answer(value);
	else
		report_error("%s", error_text(&err));
	json_decref(value);
	error_free(&err);
	close(fds[0]);
	close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	fuzz_quiet(true);
	if (data[0] % 3 == 0)
		serve((const char *)data + 1, size - 1);
	else
		ask(data + 1, size - 1, data[0] % 3 == 1);
	fuzz_quiet(false);
	return 0;
}

size_t fuzz_seed(unsigned int n, uint8_t *buf)
{
	static const char *const seeds[] = {
		/* '0' is 48, which is 0 modulo 3. */
		"0{\"execute\":\"stream\",\"arguments\":{\"speed\":1,\"wait\":true},\"id\":7}\n"
		"{\"execute\":\"quit\"}\n",
		"0{\"execute\":\"trace-start\",\"arguments\":{\"file\":\"/a\xc3\xa9\"},\"id\":"
		"null}\n",
		"1{\"event\":\"STREAM\",\"data\":{\"percent\":1.5}}\n{\"return\":{\"note\":\"n\"}}"
		"\n",
		"1{\"event\":1}\n{\"error\":{\"class\":\"DeviceBusy\",\"desc\":\"d\"}}\n",
		"2{\"return\":{\"device\":\"/dev/ublkb0\",\"lost\":3,\"a\":[1,{\"b\":null}]}}\n",
		"2{\"error\":{\"class\":\"GenericError\",\"desc\":\"no\\nline\"}}\n",
	};

	return fuzz_seed_text(seeds, ARRAY_SIZE(seeds), n, buf);
}
