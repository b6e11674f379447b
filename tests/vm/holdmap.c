// SPDX-License-Identifier: GPL-2.0
/*
 * holdmap COMMAND...: run it, and hold it just before it creates a device-mapper device.
 *
 * There, holdmap stops itself (SIGSTOP), which its caller can see; when it is continued, COMMAND
 * goes on. The exit status is that of COMMAND. It ends when holdmap is killed.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/dm-ioctl.h>
#include <linux/ptrace.h>

static int failed(const char *what)
{
	fprintf(stderr, "holdmap: %s: %s\n", what, strerror(errno));
	return 126;
}

/* @pid has stopped at the start or the end of a system call. */
static bool creates_mapping(pid_t pid)
{
	struct __ptrace_syscall_info info = { 0 };

	return ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0 &&
	       info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_ioctl &&
	       (unsigned int)info.entry.args[1] == (unsigned int)DM_DEV_CREATE;
}

static int follow(pid_t pid)
{
	const int at_call = SIGTRAP | 0x80; /* PTRACE_O_TRACESYSGOOD */
	int status, sig = 0;

	if (waitpid(pid, &status, 0) != pid ||
	    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		return failed("ptrace");
	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, sig) || waitpid(pid, &status, 0) != pid)
			return failed("ptrace");
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (WIFSIGNALED(status))
			return 128 + WTERMSIG(status);
		sig = WSTOPSIG(status);
		if (sig == at_call && creates_mapping(pid))
			raise(SIGSTOP);
		/* SIGTRAP is what execve() sends to a traced process. */
		if (sig == at_call || sig == SIGTRAP)
			sig = 0;
	}
}

int main(int argc, char **argv)
{
	pid_t pid;

	if (argc < 2) {
		fputs("usage: holdmap COMMAND...\n", stderr);
		return 2;
	}
	pid = fork();
	if (pid < 0)
		return failed("fork");
	if (pid)
		return follow(pid);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0))
		return failed("ptrace");
	execvp(argv[1], argv + 1);
	return failed(argv[1]);
}
