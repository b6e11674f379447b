// SPDX-License-Identifier: GPL-2.0
/*
 * quit: end the program.
 */
#include "qed-io/io.h"

static int co_run(struct io_session *io, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	io->quit = true;
	return 0;
}

const struct io_command io_quit_command = {
	.name = "quit",
	.altname = "q",
	.summary = "exit the program",
	.argmax = -1,
	.flags = IO_NO_FILE,
	.co_run = co_run,
};
