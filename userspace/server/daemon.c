// SPDX-License-Identifier: GPL-2.0
/*
 * Going into the background, standard streams, the report to the starter, memory and
 * OOM settings.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/daemon.h"
#include "util/detach.h"
#include "util/error.h"
#include "util/log.h"
#include "util/units.h"

/* The longest report that is printed whole. */
#define LINE_MAX_BYTES 16384

/* Read the server's report, until it closes its end of the pipe; "": it died without one. */
static void read_report(int fd, char line[LINE_MAX_BYTES])
{
	size_t len = 0;
	ssize_t n;

	while (len < LINE_MAX_BYTES - 1 && (n = read(fd, line + len, LINE_MAX_BYTES - 1 - len)) > 0)
		len += n;
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

/* ---- The parent, which waits for its child, the server, to start ---- */

/* Add the signals that end a start to @set: those that the caller neither ignores nor blocks. */
static void add_signals(sigset_t *set, const sigset_t *blocked)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!sigaction(numbers[i], NULL, &action) && action.sa_handler != SIG_IGN &&
		    !sigismember(blocked, numbers[i]))
			sigaddset(set, numbers[i]);
}

/*
 * Wait until the pipe @fd has the server's report. Returns true when a signal came first. On entry
 * all signals are blocked, on return those in @old and those that end a start.
 */
static bool is_interrupted(int fd, const sigset_t *old)
{
	struct pollfd pfd[2] = { { .fd = fd, .events = POLLIN }, { .events = POLLIN } };
	sigset_t set, mask;

	sigemptyset(&set);
	add_signals(&set, old);
	sigorset(&mask, &set, old);
	pfd[1].fd = signalfd(-1, &set, SFD_CLOEXEC);
	sigprocmask(SIG_SETMASK, pfd[1].fd < 0 ? old : &mask, NULL);
	while (poll(pfd, 2, -1) < 0 && errno == EINTR)
		;
	if (pfd[1].revents) {
		struct signalfd_siginfo info;

		/* What is read is not delivered; a second signal ends this process. */
		(void)!read(pfd[1].fd, &info, sizeof(info));
	}
	close(pfd[1].fd);
	return pfd[1].revents;
}

/*
 * End the server and wait until it has ended. It refuses a first signal that comes when its device
 * is live and udev has it open.
 */
static void end_server(pid_t pid)
{
	const struct timespec nap = { .tv_nsec = 20 * 1000000L };

	for (int i = 1; !waitpid(pid, NULL, WNOHANG); i++) {
		if (i % 50 == 0)
			kill(pid, SIGTERM);
		nanosleep(&nap, NULL);
	}
}

/*
 * Wait, at most 5 s, until a server that could not start has released its name and its image.
 * Return its exit status; EXIT_FAILED if it has none that tells of a failure.
 */
static int wait_ended(pid_t pid)
{
	const struct timespec nap = { .tv_nsec = 10 * 1000000L };
	pid_t ended = 0;
	int status;

	for (int i = 0; i < 500 && !(ended = waitpid(pid, &status, WNOHANG)); i++)
		nanosleep(&nap, NULL);
	if (ended != pid || !WIFEXITED(status) || !WEXITSTATUS(status))
		return EXIT_FAILED;
	return WEXITSTATUS(status);
}

static int wait_for_server(pid_t pid, int fd, const char *name, const sigset_t *old)
{
	bool interrupted = is_interrupted(fd, old);
	char line[LINE_MAX_BYTES];
	int status = EXIT_FAILED;

	/* The server, in a session of its own, did not get the terminal's signal. */
	if (interrupted)
		kill(pid, SIGTERM);
	/* Only now, since a second signal may be pending. */
	sigprocmask(SIG_SETMASK, old, NULL);
	if (interrupted) {
		end_server(pid);
		fprintf(stderr, "qedd: %s: interrupted\n", name);
		return EXIT_FAILED;
	}
	read_report(fd, line);
	if (!strncmp(line, "ready ", 6)) {
		line[6 + strcspn(line + 6, " ")] = '\0';
		status = puts(line + 6) < 0 || fflush(stdout);
		if (status)
			fprintf(stderr, "qedd: %s: %s is live, but standard output: %s\n", name,
				line + 6, strerror(errno));
	} else if (!strncmp(line, "error ", 6)) {
		fprintf(stderr, "qedd: %s: %s\n", name, line + 6);
	} else {
		fprintf(stderr, "qedd: %s: the server died while starting\n", name);
	}
	if (strncmp(line, "ready ", 6))
		status = wait_ended(pid);
	return status;
}

/* ---- The server's process ---- */

/* Return an exit status, or -1 in the server's process. */
static int fork_server(const struct device_options *options, struct starter *starter)
{
	sigset_t all, old;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC)) {
		fprintf(stderr, "qedd: %s: pipe: %s\n", options->name, strerror(errno));
		return EXIT_FAILED;
	}
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	pid = fork();
	if (pid < 0) {
		fprintf(stderr, "qedd: %s: fork: %s\n", options->name, strerror(errno));
		return EXIT_FAILED;
	}
	if (pid) {
		close(fds[1]);
		return wait_for_server(pid, fds[0], options->name, &old);
	}
	detach_from_session();
	detach_from_files(fds[1]);
	starter->fd = fds[1];
	return -1;
}

int daemon_start(const struct device_options *options, struct starter *starter)
{
	int ret = -1;

	starter->fd = options->given[DEVICE_OPTION_ready_fd] ? (int)options->ready_fd : -1;
	starter->detach = !options->foreground;
	if (starter->fd >= 0 && fcntl(starter->fd, F_SETFD, FD_CLOEXEC)) {
		fprintf(stderr, "qedd: %s: --ready-fd %d: %s\n", options->name, starter->fd,
			strerror(errno));
		return EXIT_USAGE;
	}
	if (starter->fd < 0 && !options->foreground)
		ret = fork_server(options, starter);
	if (ret < 0 && starter->detach)
		(void)detach_stream(STDIN_FILENO);
	return ret;
}

/* Write "@word @text" as one line and close @fd. @text may contain newlines, from a file name. */
static void tell(int fd, const char *word, const char *text)
{
	char *line;
	int len = asprintf(&line, "%s %s", word, text);

	if (len < 0)
		return;
	for (char *c = line; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	line[len] = '\n';
	/* A starter that is gone is no error. */
	if (write(fd, line, len + 1) < 0)
		log_debug("nobody waits for: %s", text);
	free(line);
	close(fd);
}

void starter_ready(struct starter *starter, const char *device, bool created)
{
	if (starter->fd >= 0) {
		char text[64];

		snprintf(text, sizeof(text), "%s%s", device, created ? " created" : "");
		tell(starter->fd, "ready", text);
		starter->fd = -1;
	} else {
		puts(device);
		fflush(stdout);
	}
	if (starter->detach) {
		(void)detach_stream(STDOUT_FILENO);
		(void)detach_stream(STDERR_FILENO);
	}
}

void starter_error(struct starter *starter, const char *name, const char *text)
{
	if (starter->detach)
		log_error("%s: %s", name, text);
	if (starter->fd >= 0) {
		tell(starter->fd, "error", text);
		starter->fd = -1;
	} else {
		fprintf(stderr, "qedd: %s: %s\n", name, text);
	}
}

static void protect_from_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "-1000", 5) < 0 && errno != EACCES && errno != EPERM)
		log_warning("oom_score_adj: %s", strerror(errno));
	close(fd);
}

/* Lock pages as they are touched, so that buffers take memory only when they are used. */
static void keep_memory(void)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	/*
	 * A request of 4 KiB in a buffer of 512 KiB should take one page, not a huge page that
	 * spans four buffers.
	 */
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		log_warning("PR_SET_THP_DISABLE: %s", strerror(errno));
	/* Without the right to lift the limit do not lock: later allocations would fail. */
	if (setrlimit(RLIMIT_MEMLOCK, &none))
		return;
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) && errno != EPERM)
		log_warning("mlockall: %s", strerror(errno));
}

void daemon_harden(void)
{
	protect_from_oom();
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) && errno != EPERM && errno != EINVAL)
		log_warning("PR_SET_IO_FLUSHER: %s", strerror(errno));
	keep_memory();
}
