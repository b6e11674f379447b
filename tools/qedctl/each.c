// SPDX-License-Identifier: GPL-2.0
/* One verb on many devices at once: most of its time is waiting for the kernel. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmdline/report.h"
#include "qedctl/each.h"
#include "qedctl/signals.h"

#define AT_ONCE 32

/* Return the child's process, or -1 after an error line. */
static pid_t start(const char *name, int (*one)(const char *name, const void *arg), const void *arg)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		report_error("%s: fork: %s", name, strerror(errno));
	if (pid)
		return pid;
	signals_release();
	status = one(name, arg) ? report_last_status() : 0;
	if (fflush(stdout) && !status)
		status = EXIT_FAILED;
	_exit(status);
}

/* Return the exit status of the child @pid. */
static int wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return EXIT_FAILED;
	return WEXITSTATUS(status);
}

int each_name(const char *const *names, size_t count, int (*one)(const char *name, const void *arg),
	      const void *arg)
{
	size_t begun = 0, done = 0;
	pid_t pids[AT_ONCE];
	int failed = 0;

	if (count == 1)
		return one(names[0], arg);
	signals_hold();
	while (done < begun || (done < count && !signals_pending())) {
		int status;

		if (begun < count && begun - done < AT_ONCE && !signals_pending()) {
			pids[begun % AT_ONCE] = start(names[begun], one, arg);
			begun++;
			continue;
		}
		status = wait_for(pids[done % AT_ONCE]);
		if (status)
			report_take_status(status);
		failed |= status;
		done++;
	}
	signals_release();
	return failed != 0;
}

int each_device(const struct device *devs, size_t count, bool (*want)(const struct device *dev),
		int (*one)(const char *name, const void *arg), const void *arg)
{
	const char **names = calloc(count + 1, sizeof(*names));
	size_t wanted = 0;
	int status;

	if (!names)
		return report_error("%s", strerror(ENOMEM));
	for (size_t i = 0; i < count; i++)
		if (!want || want(&devs[i]))
			names[wanted++] = devs[i].name;
	status = each_name(names, wanted, one, arg);
	free(names);
	return status;
}
