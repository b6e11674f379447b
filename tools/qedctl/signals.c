// SPDX-License-Identifier: GPL-2.0
/* SIGINT, SIGTERM and SIGHUP while a device changes its state. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

#include "client/client.h"
#include "qedctl/signals.h"

static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

static sigset_t before;

static void note(int number)
{
	(void)number;
	client_interrupted = 1;
}

void signals_note(void)
{
	/* Without SA_RESTART, so that system calls that wait return. */
	struct sigaction action = { .sa_handler = note };
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
}

bool signals_noted(void)
{
	return client_interrupted;
}

static void fill(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(set, numbers[i]);
}

void signals_hold(void)
{
	sigset_t set;

	fill(&set);
	sigprocmask(SIG_BLOCK, &set, &before);
}

int signals_hold_with_fd(void)
{
	sigset_t set;
	int fd;

	fill(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

bool signals_pending(void)
{
	sigset_t set;
	bool pending = false;
	size_t i;

	sigpending(&set);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		pending |= sigismember(&set, numbers[i]) && !sigismember(&before, numbers[i]);
	return pending;
}

void signals_release(void)
{
	sigprocmask(SIG_SETMASK, &before, NULL);
}
