// SPDX-License-Identifier: GPL-2.0
/* Accepting clients, splitting their input into lines, writing replies. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aio/co.h"
#include "aio/sys.h"
#include "server/commands.h"
#include "server/control.h"
#include "server/protocol.h"
#include "util/log.h"
#include "util/units.h"

/* For one more, the client that has waited longest with no command running is disconnected. */
#define MAX_CLIENTS 64
/* How long a client may take to read its last reply when the server stops. */
#define PATIENCE_NS (2 * 1000000000ULL)
/* Delay before accept() is retried after running out of descriptors or memory. */
#define RETRY_NS (100 * 1000000ULL)

struct control_client {
	struct control *control;
	struct cds_list_head link; /* in control->clients */
	int fd;
	bool idle; /* no command runs */
	struct event_sink sink;
	size_t len; /* bytes in @buf */
	char buf[PROTOCOL_MAX_LINE];
};

/* ---- One client ---- */

static int co_write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = aio_co_write(fd, text, len);

		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			return n ? (int)n : -EPIPE;
		text += n;
		len -= n;
	}
	return 0;
}

/* The commands of a client run one after another, so no other coroutine writes to its socket. */
static int co_emit(const struct event_sink *sink, const char *event, json_t *data)
{
	struct control_client *client = container_of(sink, struct control_client, sink);
	json_t *line = json_pack("{s:s, s:o}", "event", event, "data", data);
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	int ret = text ? co_write_all(client->fd, text, strlen(text)) : -ENOMEM;

	json_decref(line);
	free(text);
	return ret ? ret : co_write_all(client->fd, "\n", 1);
}

static int co_answer(struct control_client *client, const char *line, size_t len)
{
	char *answer = commands_co_answer(client->control->server, line, len, &client->sink);
	int ret;

	if (!answer)
		return -ENOMEM;
	ret = co_write_all(client->fd, answer, strlen(answer));
	free(answer);
	return ret;
}

#define REFUSAL(text) "{\"error\":{\"class\":\"GenericError\",\"desc\":\"" text "\"}}\n"

static int co_refuse_long_line(struct control_client *client)
{
	static const char answer[] = REFUSAL("the line is too long");
	int ret = co_write_all(client->fd, answer, sizeof(answer) - 1);

	return ret < 0 ? ret : -EMSGSIZE;
}

static bool is_blank(const char *line, size_t len)
{
	while (len && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
		len--;
	return !len;
}

/* Execute all complete lines in the buffer. */
static int co_handle_lines(struct control_client *client)
{
	char *line = client->buf, *newline;
	int ret = 0;

	while (!ret && !client->control->closing &&
	       (newline = memchr(line, '\n', client->buf + client->len - line))) {
		if (!is_blank(line, newline - line))
			ret = co_answer(client, line, newline - line);
		line = newline + 1;
	}
	client->len -= line - client->buf;
	memmove(client->buf, line, client->len);
	if (!ret && client->len == sizeof(client->buf))
		ret = co_refuse_long_line(client);
	return ret;
}

static void client_free(struct control_client *client)
{
	struct control *control = client->control;

	close(client->fd);
	cds_list_del(&client->link);
	control->nr_clients--;
	pthread_mutex_lock(&control->mutex);
	co_queue_wake_all(&control->changed);
	pthread_mutex_unlock(&control->mutex);
	free(client);
}

static void client_fn(void *arg)
{
	struct control_client *client = arg;
	int ret = 0;

	while (!ret && !client->control->closing) {
		ssize_t n;

		client->idle = true;
		n = aio_co_read(client->fd, client->buf + client->len,
				sizeof(client->buf) - client->len);
		client->idle = false;
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break;
		client->len += n;
		ret = co_handle_lines(client);
		cds_list_move(&client->link, &client->control->clients);
	}
	client_free(client);
}

/* ---- Accepting ---- */

static void add_client(struct control *control, int fd)
{
	struct control_client *client = calloc(1, sizeof(*client));

	if (!client) {
		close(fd);
		return;
	}
	client->control = control;
	client->fd = fd;
	client->sink.co_emit = co_emit;
	cds_list_add(&client->link, &control->clients);
	control->nr_clients++;
	if (co_start(client_fn, client))
		client_free(client);
}

static void co_wait_change(struct control *control)
{
	pthread_mutex_lock(&control->mutex);
	co_queue_wait(&control->changed, &control->mutex);
	pthread_mutex_unlock(&control->mutex);
}

/*
 * Disconnect the client that was active first, of those with no command running; false: none.
 * Only for reading: a command that was on its way still gets its reply.
 */
static bool disconnect_idle(struct control *control)
{
	struct control_client *client;

	cds_list_for_each_entry_reverse(client, &control->clients, link) {
		if (client->idle)
			return !shutdown(client->fd, SHUT_RD);
	}
	return false;
}

/* A line fits in the socket's buffer: send() does not block. */
static void refuse(int fd)
{
	static const char answer[] = REFUSAL("too many clients have commands running");

	(void)send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

/* Make room for a client; false: there is none, since all clients have commands running. */
static bool co_make_room(struct control *control)
{
	if (control->nr_clients < MAX_CLIENTS)
		return true;
	if (!disconnect_idle(control))
		return false;
	while (control->nr_clients >= MAX_CLIENTS)
		co_wait_change(control);
	return true;
}

static void accept_fn(void *arg)
{
	struct control *control = arg;

	while (!control->closing) {
		int fd;

		fd = aio_co_accept(control->listen_fd);
		if (fd >= 0 && co_make_room(control))
			add_client(control, fd);
		else if (fd >= 0)
			refuse(fd);
		else if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS)
			aio_co_sleep(RETRY_NS);
		else if (fd != -EINTR && fd != -EAGAIN && fd != -ECONNABORTED)
			break;
	}
	control->accepting = false;
	pthread_mutex_lock(&control->mutex);
	co_queue_wake_all(&control->changed);
	pthread_mutex_unlock(&control->mutex);
}

static void shut_down_clients(struct control *control, int how)
{
	struct control_client *client;

	cds_list_for_each_entry(client, &control->clients, link)
		shutdown(client->fd, how);
}

static void on_patience_over(struct aio_timer *timer)
{
	shut_down_clients(container_of(timer, struct control, patience), SHUT_RDWR);
}

int control_start(struct control *control, struct server *server, int listen_fd)
{
	int ret;

	*control = (struct control){ .server = server, .listen_fd = listen_fd, .accepting = true };
	CDS_INIT_LIST_HEAD(&control->clients);
	pthread_mutex_init(&control->mutex, NULL);
	co_queue_init(&control->changed);
	aio_timer_init(&control->patience, on_patience_over);
	ret = co_start(accept_fn, control);
	if (ret < 0) {
		close(listen_fd);
		pthread_mutex_destroy(&control->mutex);
		control->server = NULL;
	}
	return ret;
}

void control_co_stop(struct control *control)
{
	if (!control->server)
		return;
	control->closing = true;
	/* Wakes the coroutines that wait in accept() or read(); replies can still be written. */
	shutdown(control->listen_fd, SHUT_RDWR);
	shut_down_clients(control, SHUT_RD);
	pthread_mutex_lock(&control->mutex);
	co_queue_wake_all(&control->changed);
	pthread_mutex_unlock(&control->mutex);

	aio_timer_arm(&control->patience, PATIENCE_NS);
	while (control->accepting || control->nr_clients)
		co_wait_change(control);
	aio_timer_cancel(&control->patience);
	close(control->listen_fd);
	pthread_mutex_destroy(&control->mutex);
	control->server = NULL;
}
