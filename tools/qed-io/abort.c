// SPDX-License-Identifier: GPL-2.0
/* abort, sigraise: end as by a crash, or by a signal. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "qed-io/io.h"

static int co_abort(struct io_session *io, int argc, char **argv)
{
	(void)io;
	(void)argc;
	(void)argv;
	abort();
}

static int co_sigraise(struct io_session *io, int argc, char **argv)
{
	uint64_t number;
	int ret = io_parse_bytes(argv[1], &number);

	(void)io;
	(void)argc;
	if (ret < 0)
		return ret;
	if (number > NSIG) {
		printf("signal argument '%s' is too large to be a valid signal\n", argv[1]);
		return -EINVAL;
	}
	/* The signal may end the program: do not lose its output. */
	fflush(stdout);
	io_signals_raise((int)number);
	return 0;
}

const struct io_command io_abort_command = {
	.name = "abort",
	.summary = "simulate a program crash using abort(3)",
	.text = " What was written and not flushed may be lost, as in any crash.\n",
	.example = "abort",
	.flags = IO_NO_FILE,
	.co_run = co_abort,
};

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
