// SPDX-License-Identifier: GPL-2.0
/* The client of a server's control socket: one JSON object per line each way. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "device/run_files.h"
#include "client/json.h"
#include "util/json_memory.h"

/*
 * The longest line of a server, in bytes. A longer one means a broken server, and must not use
 * unlimited memory.
 */
#define ANSWER_MAX (16u << 20)
/* How long a server may take to accept a connection, or to read a command. */
#define CONNECT_TIMEOUT_S 5

volatile sig_atomic_t client_interrupted;

const char *client_run_dir(void)
{
	const char *dir = getenv(RUN_DIR_VARIABLE);

	return dir && dir[0] ? dir : RUN_DIR;
}

/*
 * Connect @fd within CONNECT_TIMEOUT_S: a server that hangs does not accept, and its
 * backlog may be full.
 */
static int connect_in_time(int fd, const struct sockaddr_un *addr)
{
	const struct timeval limit = { .tv_sec = CONNECT_TIMEOUT_S };

	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		return 0;
	return errno == EAGAIN ? -ETIMEDOUT : -errno;
}

int client_connect(const char *name, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char path[512];
	int path_fd, fd, ret;

	if (snprintf(path, sizeof(path), "%s/%s" RUN_SOCKET, client_run_dir(), name) >=
	    (int)sizeof(path))
		return error_set_errno(err, -ENAMETOOLONG, "%s", client_run_dir());
	/* The path may be longer than a socket address allows: use /proc/self/fd. */
	path_fd = open(path, O_PATH | O_CLOEXEC);
	if (path_fd < 0)
		return error_set_errno(err, -errno, "%s", path);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", path_fd);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ret = fd < 0 ? -errno : connect_in_time(fd, &addr);
	if (ret)
		error_set_errno(err, ret, "%s", path);
	close(path_fd);
	if (ret && fd >= 0)
		close(fd);
	return ret ? ret : fd;
}

static int send_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = send(fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= n;
	}
	return 0;
}

int64_t client_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* The lines that a server sends. */
struct line_reader {
	int fd;
	int64_t deadline; /* client_now_ms(); negative: no limit */
	char *buf;
	size_t used, size;
	size_t line; /* bytes of the line returned last */
};

/* Wait until the socket is readable, or until the deadline. */
static int wait_readable(const struct line_reader *reader)
{
	struct pollfd pfd = { .fd = reader->fd, .events = POLLIN };
	int64_t left = -1;
	int n;

	do {
		if (client_interrupted)
			return -EINTR;
		if (reader->deadline >= 0) {
			left = reader->deadline - client_now_ms();
			if (left <= 0)
				return -ETIMEDOUT;
		}
		/* At most half a second: a signal may arrive just before poll(). */
		n = poll(&pfd, 1, left < 0 || left > 500 ? 500 : (int)left);
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

static int fill(struct line_reader *reader)
{
	ssize_t n;
	int ret;

	if (reader->used == reader->size) {
		size_t size = reader->size ? reader->size * 2 : 4096;
		char *more = size > ANSWER_MAX ? NULL : realloc(reader->buf, size);

		if (!more)
			return size > ANSWER_MAX ? -EMSGSIZE : -ENOMEM;
		reader->buf = more;
		reader->size = size;
	}
	ret = wait_readable(reader);
	if (ret)
		return ret;
	n = recv(reader->fd, reader->buf + reader->used, reader->size - reader->used, 0);
	if (n <= 0)
		return n ? -errno : -ECONNRESET;
	reader->used += n;
	return 0;
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

/* Turn the server's refusal into an error. */
static int refusal(const json_t *error, struct error *err)
{
	const char *class = json_get_string(error, "class", "");
	int code = -EIO;

	if (!strcmp(class, "DeviceBusy"))
		code = -EBUSY;
	else if (!strcmp(class, "CommandNotFound"))
		code = -ENOTSUP;
	return error_set(err, code, "%s", json_get_string(error, "desc", "refused by the server"));
}

/* Send a command; takes the reference to @arguments. */
static int send_command(int fd, const char *execute, json_t *arguments)
{
	json_t *request = json_pack("{s:s}", "execute", execute);
	char *text = NULL;
	int ret = -ENOMEM;

	if (arguments && request)
		json_object_set(request, "arguments", arguments);
	json_decref(arguments);
	/* Do not send a command that lacks an argument for want of memory. */
	if (request && !json_memory_failures())
		text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (text)
		ret = send_all(fd, text, strlen(text));
	if (text && !ret)
		ret = send_all(fd, "\n", 1);
	free(text);
	return ret;
}

/* Handle the reply, after which there are no more events. */
static int take_answer(const json_t *reply, const char *execute, json_t **answer, struct error *err)
{
	json_t *value = json_object_get(reply, "return");

	if (value) {
		if (answer)
			*answer = json_incref(value);
		return 0;
	}
	if (json_object_get(reply, "error"))
		return refusal(json_object_get(reply, "error"), err);
	return error_set(err, -EPROTO, "the server's answer to '%s' makes no sense", execute);
}

static int converse(int fd, const char *execute, json_t *arguments, int timeout_ms,
		    client_event_fn *on_event, void *arg, json_t **answer, struct error *err)
{
	struct line_reader reader = { .fd = fd };
	int ret = send_command(fd, execute, arguments);
	bool more = true;

	while (!ret && more) {
		const char *line;
		json_t *reply;
		size_t len;

		reader.deadline = timeout_ms < 0 ? -1 : client_now_ms() + timeout_ms;
		ret = next_line(&reader, &line, &len);
		if (ret)
			break;
		reply = json_loadb(line, len, 0, NULL);
		more = on_event && json_object_get(reply, "event");
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

int client_command(int fd, const char *execute, json_t *arguments, int timeout_ms, json_t **answer,
		   struct error *err)
{
	return converse(fd, execute, arguments, timeout_ms, NULL, NULL, answer, err);
}

int client_command_with_events(int fd, const char *execute, json_t *arguments, int timeout_ms,
			       client_event_fn *on_event, void *arg, json_t **answer,
			       struct error *err)
{
	return converse(fd, execute, arguments, timeout_ms, on_event, arg, answer, err);
}
