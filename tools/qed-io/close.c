// SPDX-License-Identifier: GPL-2.0
/*
 * close: close the image.
 */
#include "qed-io/io.h"

static int co_run(struct io_session *io, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return io_session_co_close(io);
}

const struct io_command io_close_command = {
	.name = "close",
	.altname = "c",
	.summary = "close the current open file",
	.co_run = co_run,
};
