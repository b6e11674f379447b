// SPDX-License-Identifier: GPL-2.0
/*
 * Failure injection, see inject.h.  The linker (--wrap) replaces a call of NAME() by one of
 * __wrap_NAME(), defined here; __real_NAME() is the original.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "faults/inject.h"

const char *const inject_names[INJECT_KINDS] = {
	"alloc", "read", "write", "flush", "fallocate", "truncate", "call",
};

static _Atomic bool armed;
static _Atomic uint64_t counts[INJECT_KINDS];
static enum inject_kind failing_kind;
static uint64_t failing_nth;
static int failing_error;
static bool failing_on, abort_there;

void inject_arm(enum inject_kind kind, uint64_t nth, int error, bool on)
{
	atomic_store(&armed, false);
	failing_kind = kind;
	failing_nth = nth;
	failing_error = error;
	failing_on = on;
	for (unsigned int i = 0; i < INJECT_KINDS; i++)
		atomic_store(&counts[i], 0);
	atomic_store(&armed, true);
}

void inject_disarm(void)
{
	atomic_store(&armed, false);
}

uint64_t inject_count(enum inject_kind kind)
{
	return atomic_load(&counts[kind]);
}

/* Count a call. Return 0, or the error that it must fail with. */
static int injected(enum inject_kind kind)
{
	uint64_t n;

	if (!atomic_load(&armed))
		return 0;
	n = atomic_fetch_add(&counts[kind], 1) + 1;
	if (kind != failing_kind || !failing_nth || n < failing_nth ||
	    (n > failing_nth && !failing_on))
		return 0;
	/* Stop in a debugger at the failing call. */
	if (abort_there)
		abort();
	return failing_error;
}

/* ---- memory ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
int __real_posix_memalign(void **memory, size_t align, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
int __real_vasprintf(char **text, const char *fmt, va_list args);
FILE *__real_open_memstream(char **text, size_t *len);
void *__real_mmap64(void *address, size_t len, int prot, int flags, int fd, off_t offset);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __real_io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
				      struct io_uring_params *params);
int __real_eventfd(unsigned int value, int flags);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
int __wrap_posix_memalign(void **memory, size_t align, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
int __wrap_vasprintf(char **text, const char *fmt, va_list args);
int __wrap_asprintf(char **text, const char *fmt, ...);
int __wrap___vasprintf_chk(char **text, int flag, const char *fmt, va_list args);
int __wrap___asprintf_chk(char **text, int flag, const char *fmt, ...);
FILE *__wrap_open_memstream(char **text, size_t *len);
void *__wrap_mmap64(void *address, size_t len, int prot, int flags, int fd, off_t offset);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
				      struct io_uring_params *params);
int __wrap_eventfd(unsigned int value, int flags);

/* Return whether this allocation must fail; set errno if so. */
static bool no_memory(void)
{
	int error = injected(INJECT_ALLOC);

	if (error)
		errno = error;
	return error;
}

void *__wrap_malloc(size_t size)
{
	return no_memory() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return no_memory() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return no_memory() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
	return no_memory() ? NULL : __real_reallocarray(old, n, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return no_memory() ? NULL : __real_aligned_alloc(align, size);
}

int __wrap_posix_memalign(void **memory, size_t align, size_t size)
{
	return no_memory() ? ENOMEM : __real_posix_memalign(memory, align, size);
}

char *__wrap_strdup(const char *text)
{
	return no_memory() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
	return no_memory() ? NULL : __real_strndup(text, n);
}

int __wrap_vasprintf(char **text, const char *fmt, va_list args)
{
	/* *text is undefined then. */
	*text = (char *)-1;
	return no_memory() ? -1 : __real_vasprintf(text, fmt, args);
}

int __wrap_asprintf(char **text, const char *fmt, ...)
{
	va_list args;
	int ret;

	va_start(args, fmt);
	ret = __wrap_vasprintf(text, fmt, args);
	va_end(args);
	return ret;
}

int __wrap___vasprintf_chk(char **text, int flag, const char *fmt, va_list args)
{
	(void)flag;
	return __wrap_vasprintf(text, fmt, args);
}

int __wrap___asprintf_chk(char **text, int flag, const char *fmt, ...)
{
	va_list args;
	int ret;

	(void)flag;
	va_start(args, fmt);
	ret = __wrap_vasprintf(text, fmt, args);
	va_end(args);
	return ret;
}

FILE *__wrap_open_memstream(char **text, size_t *len)
{
	return no_memory() ? NULL : __real_open_memstream(text, len);
}

void *__wrap_mmap64(void *address, size_t len, int prot, int flags, int fd, off_t offset)
{
	return no_memory() ? MAP_FAILED : __real_mmap64(address, len, prot, flags, fd, offset);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	return no_memory() ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

int __wrap_io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
				      struct io_uring_params *params)
{
	return no_memory() ? -ENOMEM : __real_io_uring_queue_init_params(entries, ring, params);
}

int __wrap_eventfd(unsigned int value, int flags)
{
	return no_memory() ? -1 : __real_eventfd(value, flags);
}

/* ---- I/O through the loop ---- */

ssize_t __real_aio_co_preadv(int fd, const struct iovec *iov, int iovcnt, uint64_t offset);
ssize_t __real_aio_co_pwritev(int fd, const struct iovec *iov, int iovcnt, uint64_t offset,
			      int rwf_flags);
int __real_aio_co_fdatasync(int fd);
int __real_aio_co_fallocate(int fd, int mode, uint64_t offset, uint64_t len);
ssize_t __wrap_aio_co_preadv(int fd, const struct iovec *iov, int iovcnt, uint64_t offset);
ssize_t __wrap_aio_co_pwritev(int fd, const struct iovec *iov, int iovcnt, uint64_t offset,
			      int rwf_flags);
int __wrap_aio_co_fdatasync(int fd);
int __wrap_aio_co_fallocate(int fd, int mode, uint64_t offset, uint64_t len);

/* Shorten to half of the first vector, in blocks of 512 bytes, the minimum with O_DIRECT. */
static bool halve(const struct iovec *iov, struct iovec *half)
{
	*half = *iov;
	half->iov_len = iov->iov_len / 2 & ~(size_t)511;
	return half->iov_len;
}

ssize_t __wrap_aio_co_preadv(int fd, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	int error = injected(INJECT_READ);
	struct iovec half;

	if (error == INJECT_SHORT && halve(iov, &half))
		return __real_aio_co_preadv(fd, &half, 1, offset);
	if (error && error != INJECT_SHORT)
		return -error;
	return __real_aio_co_preadv(fd, iov, iovcnt, offset);
}

ssize_t __wrap_aio_co_pwritev(int fd, const struct iovec *iov, int iovcnt, uint64_t offset,
			      int rwf_flags)
{
	int error = injected(INJECT_WRITE);
	struct iovec half;

	if (error && halve(iov, &half)) {
		/* A failed write may have written a part. */
		ssize_t n = __real_aio_co_pwritev(fd, &half, 1, offset, rwf_flags);

		return error == INJECT_SHORT ? n : -error;
	}
	if (error && error != INJECT_SHORT)
		return -error;
	return __real_aio_co_pwritev(fd, iov, iovcnt, offset, rwf_flags);
}

int __wrap_aio_co_fdatasync(int fd)
{
	int error = injected(INJECT_FLUSH);

	return error ? -error : __real_aio_co_fdatasync(fd);
}

int __wrap_aio_co_fallocate(int fd, int mode, uint64_t offset, uint64_t len)
{
	int error = injected(INJECT_FALLOCATE);

	return error ? -error : __real_aio_co_fallocate(fd, mode, offset, len);
}

/* ---- file calls ---- */

/* Wrap a call that returns -1 and sets errno. */
#define WRAP(kind, type, name, parameters, ...)                      \
	type __real_##name parameters;                               \
	type __wrap_##name parameters;                               \
	type __wrap_##name parameters                                \
	{                                                            \
		int error = injected(kind);                          \
                                                                     \
		if (error) {                                         \
			errno = error == INJECT_SHORT ? EIO : error; \
			return -1;                                   \
		}                                                    \
		return __real_##name(__VA_ARGS__);                   \
	}

WRAP(INJECT_READ, ssize_t, pread64, (int fd, void *buf, size_t len, off_t at), fd, buf, len, at)
WRAP(INJECT_WRITE, ssize_t, pwrite64, (int fd, const void *buf, size_t len, off_t at), fd, buf, len,
     at)
WRAP(INJECT_FLUSH, int, fdatasync, (int fd), fd)
WRAP(INJECT_FLUSH, int, fsync, (int fd), fd)
WRAP(INJECT_TRUNCATE, int, ftruncate64, (int fd, off_t size), fd, size)
WRAP(INJECT_CALL, int, fstat64, (int fd, struct stat *st), fd, st)
WRAP(INJECT_CALL, int, stat64, (const char *name, struct stat *st), name, st)
WRAP(INJECT_CALL, off_t, lseek64, (int fd, off_t at, int whence), fd, at, whence)

int __real_open64(const char *name, int flags, ...);
int __wrap_open64(const char *name, int flags, ...);

int __wrap_open64(const char *name, int flags, ...)
{
	int error = injected(INJECT_CALL);
	mode_t mode = 0;
	va_list args;

	if (error) {
		errno = error;
		return -1;
	}
	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return __real_open64(name, flags, mode);
}

int __wrap___open64_2(const char *name, int flags);

int __wrap___open64_2(const char *name, int flags)
{
	return __wrap_open64(name, flags);
}

/* ---- Programs controlled by the environment ---- */

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("QEDBLK_FAULT");
	char name[32] = "", on[8] = "";
	unsigned long long nth = 0;
	unsigned int kind = 0;
	int error = 0;

	abort_there = getenv("QEDBLK_FAULT_ABORT");
	if (text && sscanf(text, "%31[^:]:%llu:%d:%7s", name, &nth, &error, on) < 3) {
		fprintf(stderr, "QEDBLK_FAULT is KIND:N:ERROR[:on]\n");
		_exit(99);
	}
	for (kind = 0; text && kind < INJECT_KINDS && strcmp(name, inject_names[kind]);)
		kind++;
	if (text || getenv("QEDBLK_FAULT_COUNT"))
		inject_arm(kind, nth, error, *on);
}

__attribute__((destructor)) static void end(void)
{
	const char *name = getenv("QEDBLK_FAULT_COUNT");
	FILE *file;

	inject_disarm();
	file = name ? fopen(name, "w") : NULL;
	if (!file)
		return;
	for (unsigned int i = 0; i < INJECT_KINDS; i++)
		fprintf(file, "%s %llu\n", inject_names[i], (unsigned long long)inject_count(i));
	fclose(file);
}
