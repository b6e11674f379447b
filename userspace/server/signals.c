// SPDX-License-Identifier: GPL-2.0
/* SIGTERM and SIGINT ask the server to stop in order; SIGHUP is ignored. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "aio/co.h"
#include "aio/sys.h"
#include "server/server.h"

int signals_block(void)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	/* The parent may have ignored them, and a signalfd does not get an ignored signal. */
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	/* With SIGCHLD ignored, waitpid() would not return the status of blockdev(8). */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static void co_handle_pending(struct server *server)
{
	struct signalfd_siginfo info;

	while (read(server->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM)
			server_co_take_signal(server, "SIGTERM", info.ssi_pid);
		else if (info.ssi_signo == SIGINT)
			server_co_take_signal(server, "SIGINT", info.ssi_pid);
	}
}

static void signals_fn(void *arg)
{
	struct server *server = arg;

	while (!server->signals_over) {
		int ret = aio_co_poll(server->signal_fd, POLLIN);

		if (ret < 0 && ret != -EINTR && ret != -EAGAIN)
			break;
		co_handle_pending(server);
	}
	server->signals_running = false;
	server_changed(server);
}

int signals_start(struct server *server)
{
	int ret;

	server->signals_running = true;
	ret = co_start(signals_fn, server);
	if (ret < 0)
		server->signals_running = false;
	return ret;
}

void signals_co_stop(struct server *server)
{
	server->signals_over = true;
	/* Wake the reader; SIGHUP has no other effect. */
	kill(getpid(), SIGHUP);
	while (server->signals_running)
		server_co_wait_change(server);
}
