// SPDX-License-Identifier: GPL-2.0
/*
 * Writing back before a device is stopped.
 *
 * A child process waits for that, not a thread of the server. If the server were
 * killed meanwhile, a thread in such a wait could not exit: it waits for requests that
 * only a successor can serve, and the successor waits for the server to exit.
 */
#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ublk/ctrl.h"
#include "ublk/write_back.h"
#include "util/units.h"

#define TIMEOUT_MS (600 * 1000)

extern char **environ;

/* blockdev(8) uses BLKFLSBUF, which also writes back a mounted file system. */
static const char *const programs[] = { "/sbin/blockdev", "/usr/sbin/blockdev" };

static const char *find_program(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (!access(programs[i], X_OK))
			return programs[i];
	return NULL;
}

bool ublk_can_write_back(void)
{
	return find_program();
}

/* Wait for the child, at most TIMEOUT_MS. Returns 0 or -errno; -EIO when it failed. */
static int wait_for(pid_t pid)
{
	struct pollfd pfd = { .events = POLLIN };
	int n, status;

	pfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pfd.fd < 0)
		return -errno;
	do
		n = poll(&pfd, 1, TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	n = n < 0 ? -errno : n ? 0 : -ETIMEDOUT;
	close(pfd.fd);
	if (n)
		return n;
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

int ublk_write_back(uint32_t dev_id, struct error *err)
{
	const char *program = find_program();
	char path[UBLK_PATH_LEN];
	char *const argv[] = { "blockdev", "--flushbufs", path, NULL };
	pid_t pid;
	int ret;

	ublk_block_path(path, dev_id);
	/* Never started, or stopped by another process. */
	if (access(path, F_OK))
		return 0;
	ret = program ? -posix_spawn(&pid, program, NULL, NULL, argv, environ) : -ENOENT;
	if (!ret)
		ret = wait_for(pid);
	if (!ret || access(path, F_OK))
		return 0;
	return error_set_errno(err, ret, "%s: writing back, by blockdev", path);
}
