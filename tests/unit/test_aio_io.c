// SPDX-License-Identifier: GPL-2.0
/*
 * System calls as coroutines: results and errors are those of the calls.
 *
 * threads: yes
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "test_aio_common.h"

static int temp_file(void)
{
	char name[] = "/tmp/qedblk-test-XXXXXX";
	int fd = mkstemp(name);

	CHECK(fd >= 0);
	CHECK(!unlink(name));
	return fd;
}

static ssize_t co_read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	struct iovec iov = { buf, len };

	return aio_co_preadv(fd, &iov, 1, offset);
}

static ssize_t co_write_at(int fd, const void *buf, size_t len, uint64_t offset)
{
	struct iovec iov = { (void *)buf, len };

	return aio_co_pwritev(fd, &iov, 1, offset, 0);
}

static void use_file(void *arg)
{
	char a[3] = "abc", b[5] = "defgh", back[16];
	struct iovec out[2] = { { a, 3 }, { b, 5 } }, in[2] = { { back, 4 }, { back + 4, 12 } };
	int fd = temp_file();
	struct stat st;

	(void)arg;
	CHECK(co_write_at(fd, "0123456789", 10, 100) == 10);
	memset(back, 'x', sizeof(back));
	CHECK(co_read_at(fd, back, 16, 98) == 12);
	CHECK(!memcmp(back,
		      "\0\0"
		      "0123456789xxxx",
		      16));
	CHECK(co_read_at(fd, back, 16, 110) == 0);

	CHECK(aio_co_pwritev(fd, out, 2, 1 << 20, 0) == 8);
	CHECK(aio_co_pwritev(fd, out, 2, 2 << 20, RWF_DSYNC) == 8);
	CHECK(aio_co_preadv(fd, in, 2, (2 << 20) - 2) == 10);
	CHECK(!memcmp(back, "\0\0abcdefgh", 10));
	CHECK(aio_co_fdatasync(fd) == 0);

	CHECK(aio_co_fallocate(fd, 0, 3 << 20, 4096) == 0);
	CHECK(!fstat(fd, &st) && st.st_size == (3 << 20) + 4096);
	CHECK(aio_co_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
	CHECK(co_read_at(fd, back, 1, 100) == 1 && back[0] == 0);
	close(fd);

	CHECK(co_read_at(fd, back, 1, 0) == -EBADF);
	CHECK(aio_co_fdatasync(-1) == -EBADF);
	CHECK(aio_co_fallocate(fd, 0, 0, 1) == -EBADF);
}

static void test_file(void **state)
{
	(void)state;
	run_co(8, use_file, NULL);
}

/* ---- pipes ---- */

static int ends[2];

static void late_writer(void *arg)
{
	(void)arg;
	aio_co_sleep(5 * MSEC);
	CHECK(aio_co_write(ends[1], "hi", 2) == 2);
	aio_co_sleep(5 * MSEC);
	CHECK(aio_co_write(ends[1], "!", 1) == 1);
	close(ends[1]);
}

static void use_pipe(void *arg)
{
	char back[8];

	(void)arg;
	CHECK(!pipe(ends));
	CHECK(co_start(late_writer, NULL) == 0);
	CHECK(aio_co_poll(ends[0], POLLIN) == POLLIN);
	CHECK(aio_co_read(ends[0], back, 8) == 2 && !memcmp(back, "hi", 2));
	CHECK(aio_co_read(ends[0], back, 8) == 1 && back[0] == '!');
	CHECK(aio_co_poll(ends[0], POLLIN) & POLLHUP);
	CHECK(aio_co_read(ends[0], back, 8) == 0);
	close(ends[0]);
}

static void test_pipe(void **state)
{
	(void)state;
	run_co(8, use_pipe, NULL);
}

/* ---- sockets ---- */

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_len;

/* In the abstract namespace: nothing to clean up. */
static int listen_somewhere(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address_len = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 +
		      (socklen_t)snprintf(address.sun_path + 1, 64, "qedblk-test-%d", getpid());
	CHECK(fd >= 0);
	CHECK(!bind(fd, (struct sockaddr *)&address, address_len));
	CHECK(!listen(fd, 4));
	return fd;
}

static void client(void *arg)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char back[8];

	CHECK(!connect(fd, (struct sockaddr *)&address, address_len));
	CHECK(aio_co_write(fd, "ping", 4) == 4);
	CHECK(aio_co_read(fd, back, 8) == 4 && !memcmp(back, "pong", 4));
	close(fd);
	*(bool *)arg = true;
}

static void server(void *arg)
{
	int listener = listen_somewhere(), fd;
	bool client_done = false;
	char back[8];

	(void)arg;
	CHECK(co_start(client, &client_done) == 0);
	fd = aio_co_accept(listener);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(aio_co_read(fd, back, 8) == 4 && !memcmp(back, "ping", 4));
	CHECK(aio_co_write(fd, "pong", 4) == 4);
	CHECK(aio_co_read(fd, back, 8) == 0);
	CHECK(client_done);
	close(fd);
	close(listener);
	CHECK(aio_co_accept(listener) == -EBADF);
}

static void test_socket(void **state)
{
	(void)state;
	run_co(8, server, NULL);
}

/* ---- waking coroutines when a server stops ---- */

static int shut_fd;

static void accept_until_shut(void *arg)
{
	CHECK(aio_co_accept(shut_fd) == -EINVAL);
	group_done(arg);
}

static void read_until_shut(void *arg)
{
	char byte;

	CHECK(aio_co_read(shut_fd, &byte, 1) == 0);
	group_done(arg);
}

static void shut_down(void *arg)
{
	struct group group = { .left = 2 };
	int listener = listen_somewhere(), pair[2];

	(void)arg;
	shut_fd = listener;
	CHECK(co_start(accept_until_shut, &group) == 0);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	shut_fd = pair[0];
	CHECK(co_start(read_until_shut, &group) == 0);
	aio_co_sleep(5 * MSEC);
	CHECK(group.left == 2);
	shutdown(listener, SHUT_RDWR);
	shutdown(pair[0], SHUT_RDWR);
	group_wait(&group);
	close(listener);
	close(pair[0]);
	CHECK(aio_co_write(pair[1], "x", 1) == -EPIPE);
	close(pair[1]);
}

static void test_shutdown(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	run_co(8, shut_down, NULL);
}

/* ---- many at once, on several loops: each reads back its own ---- */

#define FLOWS	 40
#define FLOW_OPS (SANITIZED ? 30 : 100)

static int shared_fd;

struct flow {
	struct group *group;
	uint64_t rng;
	unsigned int slot;
};

static void one_flow(void *arg)
{
	struct flow *flow = arg;
	uint64_t base = (uint64_t)flow->slot * 64 * KiB, out[64], in[64];
	unsigned int i, j, n, at;

	for (i = 0; i < FLOW_OPS; i++) {
		n = 1 + (unsigned int)(test_random(&flow->rng) % ARRAY_SIZE(out));
		at = (unsigned int)(test_random(&flow->rng) % 8000);
		for (j = 0; j < n; j++)
			out[j] = test_random(&flow->rng);
		CHECK(co_write_at(shared_fd, out, n * 8, base + at) == (ssize_t)n * 8);
		CHECK(co_read_at(shared_fd, in, n * 8, base + at) == (ssize_t)n * 8);
		CHECK(!memcmp(in, out, n * 8));
	}
	group_done(flow->group);
}

static void flows(void *arg)
{
	unsigned int thread = *(unsigned int *)arg, i;
	struct group group = { .left = FLOWS };
	struct flow flows[FLOWS];

	for (i = 0; i < FLOWS; i++) {
		flows[i].group = &group;
		flows[i].slot = thread * FLOWS + i;
		flows[i].rng = flows[i].slot * 7919 + 1;
		CHECK(co_start(one_flow, &flows[i]) == 0);
	}
	group_wait(&group);
}

static void test_many_flows(void **state)
{
	unsigned int ids[3] = { 0, 1, 2 };

	(void)state;
	shared_fd = temp_file();
	run_on_loops(3, flows, ids, sizeof(ids[0]));
	close(shared_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),	   cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_socket),	   cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_many_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
