// SPDX-License-Identifier: GPL-2.0
/* The control device's ring: one command at a time, each with a timeout. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "aio/loop.h"
#include "ublk/ctrl_cmd.h"

extern char **environ;

struct ublk_ctrl {
	int fd;
	struct io_uring ring;
	bool ring_open;
	/*
	 * The buffer that the kernel reads and writes. Not the caller's memory, since the kernel
	 * may still complete a command after its timeout.
	 */
	void *buf;
};

static int ring_open(struct ublk_ctrl *ctrl)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 };
	int ret;

	ctrl->buf = aligned_alloc(UBLK_CTRL_BUF_SIZE, UBLK_CTRL_BUF_SIZE);
	if (!ctrl->buf)
		return -ENOMEM;
	ret = io_uring_queue_init_params(2, &ctrl->ring, &params);
	if (ret < 0) {
		free(ctrl->buf);
		ctrl->buf = NULL;
		return ret;
	}
	ctrl->ring_open = true;
	return 0;
}

/* Opening a device node that does not exist yet does not load the module. */
static void load_module(void)
{
	static char *const paths[] = { "/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe" };
	char *const argv[] = { "modprobe", "-q", "ublk_drv", NULL };
	pid_t pid;
	int status;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (access(paths[i], X_OK))
			continue;
		if (!posix_spawn(&pid, paths[i], NULL, NULL, argv, environ)) {
			while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
				;
		}
		return;
	}
}

static int open_control(void)
{
	int fd = open(UBLK_CONTROL_PATH, O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		load_module();
		fd = open(UBLK_CONTROL_PATH, O_RDWR | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

int ublk_ctrl_open(struct ublk_ctrl **ctrl, struct error *err)
{
	struct ublk_ctrl *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return error_set_errno(err, -ENOMEM, "%s", UBLK_CONTROL_PATH);
	c->fd = open_control();
	if (c->fd < 0) {
		ret = c->fd;
		free(c);
		if (ret == -ENOENT)
			return error_set(err, -EOPNOTSUPP,
					 "%s: not there: this kernel has no ublk "
					 "(module ublk_drv, Linux 6.4 or later)",
					 UBLK_CONTROL_PATH);
		return error_set_errno(err, ret, "%s", UBLK_CONTROL_PATH);
	}
	ret = ring_open(c);
	if (ret < 0) {
		close(c->fd);
		free(c);
		aio_explain_uring(ret, err);
		error_prefix(err, "%s", UBLK_CONTROL_PATH);
		return ret;
	}
	*ctrl = c;
	return 0;
}

void ublk_ctrl_close(struct ublk_ctrl *ctrl)
{
	if (!ctrl)
		return;
	if (ctrl->ring_open)
		io_uring_queue_exit(&ctrl->ring);
	free(ctrl->buf);
	close(ctrl->fd);
	free(ctrl);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int wait_answer(struct ublk_ctrl *ctrl, unsigned int timeout, int *res)
{
	int64_t end = now_ns() + timeout * 1000000000LL;

	for (;;) {
		int64_t left = end - now_ns();
		struct __kernel_timespec ts;
		struct io_uring_cqe *cqe;
		int ret;

		if (left <= 0)
			return -ETIMEDOUT;
		ts.tv_sec = left / 1000000000LL;
		ts.tv_nsec = left % 1000000000LL;
		ret = io_uring_wait_cqe_timeout(&ctrl->ring, &cqe, &ts);
		if (ret == -ETIME || ret == -EINTR || ret == -EAGAIN)
			continue;
		if (ret < 0)
			return ret;
		/* On kernels without timed waits liburing's own timeout completes here, too. */
		if (io_uring_cqe_get_data(cqe) != ctrl) {
			io_uring_cqe_seen(&ctrl->ring, cqe);
			continue;
		}
		*res = cqe->res;
		io_uring_cqe_seen(&ctrl->ring, cqe);
		return 0;
	}
}

/*
 * Leak the buffer of a command that timed out, since the kernel may still write to it.
 * The next command opens a new ring.
 */
static void abandon(struct ublk_ctrl *ctrl)
{
	io_uring_queue_exit(&ctrl->ring);
	ctrl->ring_open = false;
	ctrl->buf = NULL;
}

/* The command lies across both halves of a 128-byte SQE. */
static void put_command(struct io_uring_sqe *sqe, const struct ublk_ctrl_cmd_v2 *cmd)
{
	const size_t first = sizeof(*sqe) - offsetof(struct io_uring_sqe, cmd);

	memcpy((char *)sqe + offsetof(struct io_uring_sqe, cmd), cmd, first);
	memcpy(sqe + 1, (const char *)cmd + first, sizeof(*cmd) - first);
}

int ublk_ctrl_call(struct ublk_ctrl *ctrl, const struct ublk_ctrl_call *call)
{
	struct ublk_ctrl_cmd_v2 cmd = {
		.dev_id = call->dev_id,
		.queue_id = 0xffff,
		.len = call->len,
		.data = call->data,
	};
	struct io_uring_sqe *sqe;
	int ret, res = 0;

	if (call->len > UBLK_CTRL_BUF_SIZE)
		return -EINVAL;
	if (!ctrl->ring_open) {
		ret = ring_open(ctrl);
		if (ret < 0)
			return ret;
	}
	sqe = io_uring_get_sqe(&ctrl->ring);
	if (!sqe)
		return -EBUSY;
	if (call->len) {
		memcpy(ctrl->buf, call->buf, call->len);
		cmd.addr = (uintptr_t)ctrl->buf;
	}
	memset(sqe, 0, 2 * sizeof(*sqe));
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, ctrl->fd, NULL, 0, 0);
	sqe->cmd_op = call->op;
	put_command(sqe, &cmd);
	io_uring_sqe_set_data(sqe, ctrl);

	ret = io_uring_submit(&ctrl->ring);
	if (ret < 0)
		return ret;
	ret = wait_answer(ctrl, call->timeout, &res);
	if (ret < 0) {
		abandon(ctrl);
		return ret;
	}
	if (call->len)
		memcpy(call->buf, ctrl->buf, call->len);
	return res;
}
