// SPDX-License-Identifier: GPL-2.0
/*
 * System calls for coroutines, through the loop's engine.
 */
#include "aio/sys.h"

#include <sys/socket.h>

#include "aio/loop.h"
#include "aio/timer.h"
#include "util/units.h"

/* Bytes: fits the 32-bit length of an SQE and the 32-bit result safely. */
#define MAX_TRANSFER GiB

struct co_op {
	struct aio_op op;
	struct co *co;
	int res;
};

static void on_done(struct aio_op *op, int res, uint32_t cqe_flags)
{
	struct co_op *co_op = container_of(op, struct co_op, op);

	(void)cqe_flags;
	co_op->res = res;
	co_wake(co_op->co);
}

/* Submit @sqe, which completes once, and yield until then; returns its result. */
static int co_submit(struct io_uring_sqe *sqe)
{
	struct co_op co_op = { .op = { .done = on_done }, .co = co_self() };

	aio_sqe_set_op(sqe, &co_op.op);
	co_park();
	return co_op.res;
}

static struct io_uring_sqe *get_sqe(void)
{
	return aio_get_sqe(aio_loop_current());
}

ssize_t aio_co_preadv(int fd, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_readv(sqe, fd, iov, (unsigned int)iovcnt, offset);
	return co_submit(sqe);
}

ssize_t aio_co_pwritev(int fd, const struct iovec *iov, int iovcnt, uint64_t offset, int rwf_flags)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_writev2(sqe, fd, iov, (unsigned int)iovcnt, offset, rwf_flags);
	return co_submit(sqe);
}

int aio_co_fdatasync(int fd)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	return co_submit(sqe);
}

int aio_co_fallocate(int fd, int mode, uint64_t offset, uint64_t len)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_fallocate(sqe, fd, mode, (off_t)offset, (off_t)len);
	return co_submit(sqe);
}

/* Offset -1 means the file's own position, or none. */
ssize_t aio_co_read(int fd, void *buf, size_t len)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_read(sqe, fd, buf, (unsigned int)min_u64(len, MAX_TRANSFER), -1);
	return co_submit(sqe);
}

ssize_t aio_co_write(int fd, const void *buf, size_t len)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_write(sqe, fd, buf, (unsigned int)min_u64(len, MAX_TRANSFER), -1);
	return co_submit(sqe);
}

int aio_co_poll(int fd, uint32_t events)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_poll_add(sqe, fd, events);
	return co_submit(sqe);
}

int aio_co_accept(int fd)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	return co_submit(sqe);
}

struct sleeper {
	struct aio_timer timer;
	struct co *co;
};

static void on_sleep_over(struct aio_timer *timer)
{
	co_wake(container_of(timer, struct sleeper, timer)->co);
}

void aio_co_sleep(uint64_t ns)
{
	struct sleeper sleeper = { .co = co_self() };

	aio_timer_init(&sleeper.timer, on_sleep_over);
	aio_timer_arm(&sleeper.timer, ns);
	co_park();
}
