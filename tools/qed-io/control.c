// SPDX-License-Identifier: GPL-2.0
/* quit, sleep, abort, sigraise: ending and delaying the program. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "aio/sys.h"
#include "qed-io/command.h"
#include "qed-io/signals.h"
#include "qed-io/text.h"

static int co_quit(const struct io_call *call)
{
	call->io->quit = true;
	return 0;
}

const struct io_command io_quit_command = {
	.name = "quit",
	.altname = "q",
	.summary = "exit the program",
	.argmax = -1,
	.flags = IO_NO_FILE,
	.co_run = co_quit,
};

static int co_sleep(const struct io_call *call)
{
	const char *text = call->argv[1];
	long ms;
	char *end;

	errno = 0;
	ms = strtol(text, &end, 0);
	if (errno || end == text || *end || ms < 0) {
		printf("%s is not a valid number\n", text);
		return -EINVAL;
	}
	aio_co_sleep((uint64_t)ms * 1000000);
	return 0;
}

const struct io_command io_sleep_command = {
	.name = "sleep",
	.summary = "waits for the given value in milliseconds",
	.argmin = 1,
	.argmax = 1,
	.flags = IO_NO_FILE,
	.co_run = co_sleep,
};

static int co_abort(const struct io_call *call)
{
	(void)call;
	abort();
}

const struct io_command io_abort_command = {
	.name = "abort",
	.summary = "simulate a program crash using abort(3)",
	.text = " What was written and not flushed may be lost, as in any crash.\n",
	.example = "abort",
	.flags = IO_NO_FILE,
	.co_run = co_abort,
};

static int co_sigraise(const struct io_call *call)
{
	uint64_t number;
	int ret = io_parse_bytes(call->argv[1], &number);

	if (ret < 0)
		return ret;
	if (number > NSIG) {
		printf("signal argument '%s' is too large to be a valid signal\n", call->argv[1]);
		return -EINVAL;
	}
	/* The signal may end the program: do not lose its output. */
	fflush(stdout);
	io_signals_raise((int)number);
	return 0;
}

const struct io_command io_sigraise_command = {
	.name = "sigraise",
	.args = "signal",
	.summary = "raises a signal",
	.text = " SIGNAL is a number.  What was written and not flushed may be lost.\n",
	.example = "sigraise 9",
	.argmin = 1,
	.argmax = 1,
	.flags = IO_NO_FILE,
	.co_run = co_sigraise,
};
