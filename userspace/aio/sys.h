/* SPDX-License-Identifier: GPL-2.0 */
/*
 * System calls for coroutines: each yields until the kernel is done, through the
 * loop's engine (aio/loop.h), or through a small pool of worker threads for calls that
 * io_uring of the supported kernels does not have.
 *
 * All return what the system call returns, or a negative errno; the caller
 * continues short transfers.  Descriptors must be blocking: with O_NONBLOCK the
 * kernel returns -EAGAIN instead of waiting.
 */
#ifndef QEDBLK_AIO_SYS_H
#define QEDBLK_AIO_SYS_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Offsets and lengths in bytes. */
ssize_t aio_co_preadv(int fd, const struct iovec *iov, int iovcnt, uint64_t offset);
/* @rwf_flags: RWF_DSYNC or 0. */
ssize_t aio_co_pwritev(int fd, const struct iovec *iov, int iovcnt, uint64_t offset, int rwf_flags);
int aio_co_fdatasync(int fd);
int aio_co_fallocate(int fd, int mode, uint64_t offset, uint64_t len);

/*
 * For sockets and pipes (no offset).  Lengths above 1 GiB may be transferred in
 * part.  Return 0 at the end of the stream.  The program must ignore SIGPIPE, as
 * for write(2).  A coroutine that waits in one of these or in aio_co_accept() is
 * woken by shutdown(2) on the socket, not by close(2).
 */
ssize_t aio_co_read(int fd, void *buf, size_t len);
ssize_t aio_co_write(int fd, const void *buf, size_t len);
/* Wait for poll(2) @events on @fd; returns the events that occurred. */
int aio_co_poll(int fd, uint32_t events);
/* Accept a connection (CLOEXEC); returns the new descriptor. */
int aio_co_accept(int fd);

/* Yield for @ns nanoseconds. */
void aio_co_sleep(uint64_t ns);

/*
 * Run @fn(@arg) on a worker thread and yield until it has returned.  Returns @fn's
 * result, or a negative errno if no worker could be started.  @fn may block, and
 * must not use the loop.  At most AIO_MAX_WORKERS run at once in the process;
 * further calls queue.
 */
#define AIO_MAX_WORKERS 8
int aio_co_call(int (*fn)(void *arg), void *arg);

#endif
