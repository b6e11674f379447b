// SPDX-License-Identifier: GPL-2.0
/*
 * The control socket's clients: lines in fragments and in batches, lines without end, clients that
 * do not read, more clients than the limit, and the server's end during all of it.
 */
#include "test_aio_common.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "server/control.c"

/* ---- A server with known answers: "echo LINE", and "sleep MS" ---- */

static _Atomic unsigned int answers;

char *commands_co_answer(struct server *server, const char *line, size_t len,
			 const struct event_sink *sink)
{
	char *text;

	(void)server;
	/* An event is sent before the answer, as a separate line. */
	if (len == 5 && !memcmp(line, "event", 5) &&
	    sink->co_emit(sink, "NEWS", json_pack("{s:i}", "n", 1)))
		return NULL;
	if (len > 6 && !memcmp(line, "sleep ", 6))
		aio_co_sleep(strtoul(line + 6, NULL, 10) * MSEC);
	answers++;
	if (len > 4 && !memcmp(line, "big ", 4)) {
		size_t size = strtoul(line + 4, NULL, 10);

		text = malloc(size + 1);
		memset(text, 'x', size - 1);
		text[size - 1] = '\n';
		text[size] = '\0';
		return text;
	}
	if (asprintf(&text, "echo %.*s\n", (int)len, line) < 0)
		abort();
	return text;
}

/* ---- Clients, on a thread of their own ---- */

static struct sockaddr_un address = { .sun_family = AF_UNIX };

static int client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = { .tv_sec = 300 };

	CHECK(fd >= 0);
	CHECK(!connect(fd, (struct sockaddr *)&address, sizeof(address)));
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	return fd;
}

static void say(int fd, const char *text)
{
	CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

static void expect(int fd, const char *text)
{
	char buf[256];
	size_t len = strlen(text);

	CHECK(recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len);
	CHECK(!memcmp(buf, text, len));
}

static void expect_end(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	CHECK(n == 0 || (n < 0 && errno == ECONNRESET));
	close(fd);
}

/* ---- One test: a control socket on this thread's loop, clients on another ---- */

struct test {
	void (*clients)(void);
	struct aio_post over;
	struct aio_loop *loop;
	struct co *main;
};

static void on_over(struct aio_post *post)
{
	co_wake(container_of(post, struct test, over)->main);
}

static void *clients_thread(void *arg)
{
	struct test *test = arg;

	test->clients();
	aio_loop_post(test->loop, &test->over);
	return NULL;
}

static void serve(void *arg)
{
	struct test *test = arg;
	struct control control;
	pthread_t thread;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(address.sun_path);
	CHECK(fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address)) && !listen(fd, 8));
	test->main = co_self();
	test->loop = aio_loop_current();
	test->over.fn = on_over;
	CHECK(!control_start(&control, (struct server *)test, fd));
	CHECK(!pthread_create(&thread, NULL, clients_thread, test));
	co_park();
	control_co_stop(&control);
	CHECK(!control.nr_clients && cds_list_empty(&control.clients));
	pthread_join(thread, NULL);
}

static void run(void (*clients)(void))
{
	struct test test = { .clients = clients };

	answers = 0;
	run_co(32, serve, &test);
	unlink(address.sun_path);
}

/* ---- Tests ---- */

static void pieces(void)
{
	int fd = client();

	say(fd, "o");
	usleep(20000);
	say(fd, "ne\ntwo\r\n\n  \nth");
	expect(fd, "echo one\necho two\r\n");
	say(fd, "ree\n");
	expect(fd, "echo three\n");
	say(fd, "without an end");
	shutdown(fd, SHUT_WR);
	expect_end(fd);
}

static void test_lines(void **state)
{
	(void)state;
	run(pieces);
	assert_int_equal(answers, 3);
}

static void event(void)
{
	int fd = client();

	say(fd, "event\nafter\n");
	expect(fd, "{\"event\":\"NEWS\",\"data\":{\"n\":1}}\necho event\necho after\n");
	close(fd);
}

static void test_event(void **state)
{
	(void)state;
	run(event);
	assert_int_equal(answers, 2);
}

static void long_line(void)
{
	char *line = malloc(PROTOCOL_MAX_LINE + 1);
	int fd = client();

	memset(line, 'a', PROTOCOL_MAX_LINE);
	line[PROTOCOL_MAX_LINE - 1] = '\n';
	line[PROTOCOL_MAX_LINE] = '\0';
	say(fd, line);
	CHECK(recv(fd, line, PROTOCOL_MAX_LINE, MSG_WAITALL) == PROTOCOL_MAX_LINE);
	CHECK(!memcmp(line, "echo aaaa", 9));
	expect(fd, "aaaa\n");

	memset(line, 'a', PROTOCOL_MAX_LINE);
	say(fd, line);
	expect(fd, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"the line is too long\"}}\n");
	expect_end(fd);
	free(line);
}

static void test_long_line(void **state)
{
	(void)state;
	run(long_line);
	assert_int_equal(answers, 1);
}

/* A client that does not read its answers, and one whose command takes long. */
static void slow_ones(void)
{
	int deaf = client(), busy = client();

	say(deaf, "big 8000000\n");
	say(busy, "sleep 700\n");
	for (int i = 0; i < 50; i++) {
		int fd = client();

		say(fd, "quick\n");
		expect(fd, "echo quick\n");
		close(fd);
	}
	expect(busy, "echo sleep 700\n");
	close(busy);
	/*
	 * This client is still connected and does not read when the server ends: there is a time
	 * limit.
	 */
}

static void test_slow_clients(void **state)
{
	uint64_t start = aio_now();

	(void)state;
	run(slow_ones);
	assert_int_equal(answers, 52);
	assert_in_range((aio_now() - start) / MSEC, 600, 200000);
}

static void crowd(void)
{
	int fds[MAX_CLIENTS], late;

	for (int i = 0; i < MAX_CLIENTS; i++) {
		fds[i] = client();
		say(fds[i], "hello\n");
		expect(fds[i], "echo hello\n");
	}
	say(fds[0], "again\n");
	expect(fds[0], "echo again\n");
	/* The one that was active first makes room. */
	late = client();
	say(late, "late\n");
	expect(late, "echo late\n");
	expect_end(fds[1]);
	fds[1] = late;
	for (int i = 0; i < MAX_CLIENTS; i++)
		say(fds[i], "sleep 300\n");
	usleep(100000);
	/* All are busy. */
	late = client();
	expect(late, REFUSAL("too many clients have commands running"));
	expect_end(late);
	for (int i = 0; i < MAX_CLIENTS; i++) {
		expect(fds[i], "echo sleep 300\n");
		close(fds[i]);
	}
}

static void test_crowd(void **state)
{
	(void)state;
	run(crowd);
}

static int waiting_fd;

static void ends_amid(void)
{
	waiting_fd = client();
	say(waiting_fd, "sleep 300\nnever\n");
	client();
	usleep(100000);
}

/* A command in progress is answered; the next one is not started. */
static void test_end_amid_commands(void **state)
{
	(void)state;
	run(ends_amid);
	expect(waiting_fd, "echo sleep 300\n");
	expect_end(waiting_fd);
	assert_int_equal(answers, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),	  cmocka_unit_test(test_event),
		cmocka_unit_test(test_long_line), cmocka_unit_test(test_slow_clients),
		cmocka_unit_test(test_crowd),	  cmocka_unit_test(test_end_amid_commands),
	};

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/control-test-%d", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
