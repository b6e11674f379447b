// SPDX-License-Identifier: GPL-2.0
/*
 * Why io_uring cannot be used here: the sysctl, the filter of system calls, the limit or
 * the kernel that is in the way.  The errno alone does not say which.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "aio/loop.h"
#include "util/units.h"

#define SYSCTL "kernel.io_uring_disabled"
#define FILTER                                                                  \
	"a filter of system calls (seccomp), as containers and services have, " \
	"does not let io_uring_setup() through"

/* Read the beginning of a small file of /proc; empty if it cannot be read. */
static void read_proc(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n < 0 ? 0 : n] = '\0';
	if (fd >= 0)
		close(fd);
}

static int disabled(void)
{
	char text[16];

	read_proc("/proc/sys/kernel/io_uring_disabled", text, sizeof(text));
	return atoi(text);
}

static bool is_filtered(void)
{
	const char *line;
	char text[4096];

	read_proc("/proc/self/status", text, sizeof(text));
	line = strstr(text, "\nSeccomp:");
	return line && atoi(line + strlen("\nSeccomp:")) == 2;
}

static int explain_limit(int ret, struct error *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return error_set_errno(err, ret, "io_uring");
	return error_set_errno(err, ret,
			       "io_uring: no more than %llu KiB of memory may be locked "
			       "(ulimit -l, LimitMEMLOCK=)",
			       (unsigned long long)(limit.rlim_cur / KiB));
}

int aio_explain_uring(int ret, struct error *err)
{
	switch (ret) {
	case -EPERM:
		if (disabled() == 2)
			return error_set(err, ret, "io_uring is denied: sysctl " SYSCTL " is 2");
		if (disabled() == 1)
			return error_set(err, ret,
					 "io_uring is denied: sysctl " SYSCTL " is 1, which allows "
					 "it with CAP_SYS_ADMIN or in kernel.io_uring_group");
		return error_set(err, ret, "io_uring is denied: " FILTER);
	case -ENOSYS:
		if (is_filtered())
			return error_set(err, ret, "io_uring is denied: " FILTER);
		return error_set(err, ret, "this kernel has no io_uring (5.11 is needed)");
	case -EINVAL:
	case -EOPNOTSUPP:
		return error_set(err, ret, "this kernel's io_uring is too old (5.11 is needed)");
	case -ENOMEM:
		return explain_limit(ret, err);
	default:
		return error_set_errno(err, ret, "io_uring");
	}
}
