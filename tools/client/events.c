// SPDX-License-Identifier: GPL-2.0
/* Commands with events before the reply. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client/events.h"
#include "client/json.h"

/* The longest line that a server sends. */
#define LINE_MAX_BYTES (1u << 20)

struct line_reader {
	int fd;
	char *buf;
	size_t used, size;
	size_t line; /* bytes of the line returned last */
};

static int fill(struct line_reader *reader)
{
	struct pollfd pfd = { .fd = reader->fd, .events = POLLIN };
	ssize_t n;
	char *more;

	if (reader->used == reader->size) {
		more = reader->size < LINE_MAX_BYTES ? realloc(reader->buf, reader->size + 65536) :
						       NULL;
		if (!more)
			return -EMSGSIZE;
		reader->buf = more;
		reader->size += 65536;
	}
	while (!client_interrupted) {
		/* At most half a second: a signal may arrive just before poll(). */
		if (poll(&pfd, 1, 500) <= 0)
			continue;
		n = recv(reader->fd, reader->buf + reader->used, reader->size - reader->used, 0);
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		reader->used += n;
		return 0;
	}
	return -EINTR;
}

/* Read the next line, without its newline; valid until the next call. */
static int next_line(struct line_reader *reader, const char **line, size_t *len)
{
	char *newline;
	int ret;

	if (reader->line) {
		memmove(reader->buf, reader->buf + reader->line, reader->used - reader->line);
		reader->used -= reader->line;
		reader->line = 0;
	}
	while (!reader->used || !(newline = memchr(reader->buf, '\n', reader->used))) {
		ret = fill(reader);
		if (ret)
			return ret;
	}
	*line = reader->buf;
	*len = newline - reader->buf;
	reader->line = *len + 1;
	return 0;
}

/* Handle the reply, after which there are no more events. */
static int take_answer(const json_t *reply, const char *execute, json_t **answer, struct error *err)
{
	const json_t *error = json_object_get(reply, "error");
	json_t *value = json_object_get(reply, "return");

	if (value && answer)
		*answer = json_incref(value);
	if (value)
		return 0;
	if (!error)
		return error_set(err, -EPROTO, "the server's answer to '%s' makes no sense",
				 execute);
	return error_set(err, -EIO, "%s", json_get_string(error, "desc", "refused by the server"));
}

int client_command_with_events(int fd, const char *execute, json_t *arguments,
			       client_event_fn *on_event, void *arg, json_t **answer,
			       struct error *err)
{
	struct line_reader reader = { .fd = fd };
	int ret = client_send(fd, execute, arguments);
	bool more = true;

	while (!ret && more) {
		json_t *reply;
		const char *line;
		size_t len;

		ret = next_line(&reader, &line, &len);
		if (ret)
			break;
		reply = json_loadb(line, len, 0, NULL);
		more = json_object_get(reply, "event");
		if (more)
			on_event(arg, json_get_string(reply, "event", ""),
				 json_object_get(reply, "data"));
		else
			ret = take_answer(reply, execute, answer, err);
		json_decref(reply);
	}
	free(reader.buf);
	return ret ? error_set_errno(err, ret, "the server did not answer '%s'", execute) : 0;
}
