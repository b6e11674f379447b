// SPDX-License-Identifier: GPL-2.0
/*
 * Writing back before a device is stopped.
 *
 * A process of its own waits for that, not a thread of ours.  Should we be
 * killed meanwhile, a thread in the middle of such a wait could not end: it
 * waits for requests that only a successor can serve, and the successor for our end.
 */
#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ublk/ctrl.h"
#include "ublk/write_back.h"
#include "util/log.h"

#define TIMEOUT_MS (600 * 1000)

extern char **environ;

/* blockdev(8) asks by BLKFLSBUF, which writes back a mounted file system, too. */
static pid_t spawn(char *path)
{
	static char *const programs[] = { "/sbin/blockdev", "/usr/sbin/blockdev" };
	pid_t pid;

	for (unsigned int i = 0; i < 2; i++) {
		char *const argv[] = { "blockdev", "--flushbufs", path, NULL };

		if (!access(programs[i], X_OK) &&
		    !posix_spawn(&pid, programs[i], NULL, NULL, argv, environ))
			return pid;
	}
	return -1;
}

int ublk_write_back(uint32_t dev_id, struct error *err)
{
	struct pollfd pfd = { .events = POLLIN };
	char path[UBLK_PATH_LEN];
	pid_t pid;
	int n;

	ublk_block_path(path, dev_id);
	/* Never started, or stopped by somebody else. */
	if (access(path, F_OK))
		return 0;
	pid = spawn(path);
	if (pid < 0) {
		log_warning("%s: cannot run blockdev: what is not written back is lost", path);
		return 0;
	}
	pfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pfd.fd < 0)
		return error_set_errno(err, -errno, "%s: writing back", path);
	do
		n = poll(&pfd, 1, TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	close(pfd.fd);
	if (n <= 0)
		return error_set_errno(err, n ? -errno : -ETIMEDOUT, "%s: writing back", path);
	waitpid(pid, NULL, 0);
	return 0;
}
