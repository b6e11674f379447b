// SPDX-License-Identifier: GPL-2.0
/* The server process of a device: starting it and waiting until it is ready. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmdline/report.h"
#include "qedctl/server.h"
#include "ublk/name.h"
#include "util/detach.h"
#include "util/systemd.h"

/* How long a server may take to undo its start and exit after SIGTERM, before it is killed. */
#define ABANDON_TIMEOUT_MS 10000

/* Find qedd: beside this program, in its libexec, or in $PATH. */
static void server_program(char *buf, size_t len)
{
	static const char *const places[] = { "qedd", "../libexec/qedd", "../libexec/qedblk/qedd" };
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t i;

	if (n > 0) {
		self[n] = '\0';
		*strrchr(self, '/') = '\0';
		for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			if (snprintf(buf, len, "%s/%s", self, places[i]) < (int)len &&
			    !access(buf, X_OK))
				return;
		}
	}
	snprintf(buf, len, "qedd");
}

struct child_setup {
	const char *name, *program;
	char **argv;
	const char *dir;
	int ready_fd, stderr_fd;
	bool attached;
	pid_t parent;
};

void server_leave_caller(const char *name)
{
	char description[DEVICE_NAME_MAX + 32];
	struct error err = ERROR_INIT;

	if (!systemd_runs())
		return;
	snprintf(description, sizeof(description), "qedblk device %s", name);
	if (systemd_leave_caller(description, &err))
		report_warning("%s: the server ends with this service or session: %s", name,
			       error_text(&err));
	error_free(&err);
}

/* In the child: detach from the caller and exec the server. */
static void become_server(const struct child_setup *setup)
{
	detach_from_session();
	if (setup->attached) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != setup->parent)
			_exit(1);
	}
	if (!detach_stream(STDIN_FILENO) || !detach_stream(STDOUT_FILENO) ||
	    (setup->stderr_fd >= 0 && dup2(setup->stderr_fd, STDERR_FILENO) < 0) ||
	    fcntl(setup->ready_fd, F_SETFD, 0) < 0)
		_exit(1);
	if (!setup->attached)
		server_leave_caller(setup->name);
	detach_from_files(setup->ready_fd);
	/*
	 * The directory may be gone. The image's name is absolute, so it is the one that the dead
	 * server had; a server that does not find a --backing-dir refuses to start.
	 */
	if (setup->dir && chdir(setup->dir) < 0 && chdir("/") < 0) {
		dprintf(setup->ready_fd, "error %s: %s\n", setup->dir, strerror(errno));
		_exit(1);
	}
	execvp(setup->program, setup->argv);
	dprintf(setup->ready_fd, "error %s: %s\n", setup->program, strerror(errno));
	_exit(1);
}

/* Return @options preceded by the program and followed by --ready-fd (heap), or NULL. */
static char **server_argv(char *program, char *const options[], char *ready_fd)
{
	size_t count = 0;
	char **argv;

	while (options[count])
		count++;
	argv = calloc(count + 4, sizeof(*argv));
	if (!argv)
		return NULL;
	argv[0] = program;
	memcpy(argv + 1, options, count * sizeof(*argv));
	argv[count + 1] = "--ready-fd";
	argv[count + 2] = ready_fd;
	return argv;
}

static int fork_server(char *const options[], const char *dir, bool attached, int ready_fd,
		       struct server_process *server)
{
	struct child_setup setup = { .ready_fd = ready_fd, .dir = dir, .attached = attached };
	char program[4096], number[16];
	int ret = 0;

	server_program(program, sizeof(program));
	snprintf(number, sizeof(number), "%d", ready_fd);
	setup.name = server->name;
	setup.program = program;
	setup.parent = getpid();
	setup.stderr_fd = server->log_fd;
	setup.argv = server_argv(program, options, number);
	if (!setup.argv)
		return -ENOMEM;
	server->pid = fork();
	if (server->pid == 0)
		become_server(&setup);
	if (server->pid < 0)
		ret = -errno;
	free(setup.argv);
	return ret;
}

int server_start(const char *name, char *const options[], const char *dir, bool attached,
		 struct server_process *server, struct error *err)
{
	int fds[2], ret;

	*server = (struct server_process){ .pid = -1, .ready_fd = -1, .log_fd = -1, .name = name };
	/*
	 * Keep the server's standard error in memory: it may explain why a server died before its
	 * report.
	 */
	if (!attached)
		server->log_fd = memfd_create("qedd-stderr", MFD_CLOEXEC);
	if (pipe2(fds, O_CLOEXEC) < 0) {
		ret = -errno;
	} else {
		server->ready_fd = fds[0];
		ret = fork_server(options, dir, attached, fds[1], server);
		close(fds[1]);
	}
	if (!ret)
		return 0;
	server_let_go(server);
	return error_set_errno(err, ret, "cannot start the server");
}

void server_let_go(struct server_process *server)
{
	if (server->ready_fd >= 0)
		close(server->ready_fd);
	if (server->log_fd >= 0)
		close(server->log_fd);
	server->ready_fd = -1;
	server->log_fd = -1;
}

/* Copy the last line of the server's standard error to @buf; "" if there is none. */
static void last_words(const struct server_process *server, char *buf, size_t len)
{
	off_t end = server->log_fd < 0 ? 0 : lseek(server->log_fd, 0, SEEK_END);
	off_t start = end > (off_t)len - 1 ? end - (off_t)len + 1 : 0;
	ssize_t n;
	char *line;

	n = end > 0 ? pread(server->log_fd, buf, len - 1, start) : 0;
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n > 0 ? n : 0] = '\0';
	line = strrchr(buf, '\n');
	if (line)
		memmove(buf, line + 1, strlen(line));
}

void server_relay_warnings(const struct server_process *server)
{
	char buf[4096];
	off_t at = 0;
	ssize_t n;

	while (server->log_fd >= 0 && (n = pread(server->log_fd, buf, sizeof(buf), at)) > 0) {
		fwrite(buf, 1, n, stderr);
		at += n;
	}
}

/* The server closed its pipe without a report: return an error that says how it died. */
static int died_early(struct server_process *server, struct error *err)
{
	char words[256];
	int status = 0;

	last_words(server, words, sizeof(words));
	if (waitpid(server->pid, &status, 0) == server->pid)
		server->pid = -1;
	server->died = true;
	if (WIFSIGNALED(status))
		return error_set(err, -EIO, "the server died before it was ready: %s",
				 strsignal(WTERMSIG(status)));
	return error_set(err, -EIO, "the server ended before it was ready%s%s",
			 words[0] ? ": " : "", words);
}

/*
 * End the server, and wait at most ABANDON_TIMEOUT_MS. It refuses the first SIGTERM when its
 * device is live and udev has it open. Sets *@status as waitpid() does. Returns false if it still
 * lives.
 */
static bool end_in_time(pid_t pid, int *status)
{
	const struct timespec pause = { 0, 20 * 1000 * 1000 };

	*status = 0;
	for (int ms = 0; ms < ABANDON_TIMEOUT_MS; ms += 20) {
		if (ms % 1000 == 0)
			kill(pid, SIGTERM);
		if (waitpid(pid, status, WNOHANG) != 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* Return an error with the server's line, whose code is by the exit status that it ends with. */
static int refused(struct server_process *server, const char *line, struct error *err)
{
	int status, code = -EIO;

	if (end_in_time(server->pid, &status)) {
		server->pid = -1;
		if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOT_THERE)
			code = -ENOENT;
		else if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_BUSY)
			code = -EBUSY;
	}
	return error_set(err, code, "%s", line);
}

/* Parse a line "ready DEVICE [created]". Returns DEVICE, terminated in place, or NULL. */
static char *ready_device(struct server_process *server, char *line)
{
	char *end;

	if (strncmp(line, "ready /", 7))
		return NULL;
	line += strlen("ready ");
	end = line + strcspn(line, " ");
	server->made_image = !strcmp(end, " created");
	*end = '\0';
	return line;
}

static int parse_ready(struct server_process *server, char *line, char *path, size_t len,
		       struct error *err)
{
	size_t name_len = strlen(server->name);
	const char *device;

	line[strcspn(line, "\n")] = '\0';
	device = ready_device(server, line);
	if (device) {
		snprintf(path, len, "%s", device);
		return 0;
	}
	if (!strncmp(line, "error ", 6)) {
		/* The error line already begins with the device's name. */
		line += 6;
		if (!strncmp(line, server->name, name_len) && !strncmp(line + name_len, ": ", 2))
			line += name_len + 2;
		return refused(server, line, err);
	}
	if (!line[0])
		return died_early(server, err);
	return error_set(err, -EPROTO, "the server said '%s'", line);
}

int server_wait_ready(struct server_process *server, int signal_fd, char *path, size_t len,
		      struct error *err)
{
	struct pollfd pfd[2] = { { .fd = server->ready_fd, .events = POLLIN },
				 { .fd = signal_fd, .events = POLLIN } };
	char line[4096];
	size_t used = 0;
	ssize_t n;

	for (;;) {
		if (poll(pfd, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return error_set_errno(err, -errno, "poll");
		}
		if (pfd[1].revents)
			return error_set(err, -EINTR, "interrupted");
		n = read(server->ready_fd, line + used, sizeof(line) - 1 - used);
		if (n < 0)
			return error_set_errno(err, -errno, "the server's line");
		used += n;
		line[used] = '\0';
		if (n == 0 || memchr(line, '\n', used) || used == sizeof(line) - 1)
			return parse_ready(server, line, path, len, err);
	}
}

/* Read the report if it was not read before. Only after the server has ended. */
static void read_last_line(struct server_process *server)
{
	struct pollfd pfd = { .fd = server->ready_fd, .events = POLLIN };
	char line[256];
	ssize_t n;

	n = poll(&pfd, 1, 0) > 0 ? read(server->ready_fd, line, sizeof(line) - 1) : 0;
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	ready_device(server, line);
}

void server_abandon(struct server_process *server)
{
	int status;

	if (server->pid > 0) {
		if (!end_in_time(server->pid, &status)) {
			kill(server->pid, SIGKILL);
			waitpid(server->pid, NULL, 0);
			server->died = true;
		}
		server->pid = -1;
	}
	read_last_line(server);
	server_let_go(server);
}
