// SPDX-License-Identifier: GPL-2.0
/*
 * aio_flush: wait for the asynchronous requests.
 */

#include "qed-io/io.h"

static int co_run(struct io_session *io, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	io_session_co_drain(io);
	return 0;
}

const struct io_command io_aio_flush_command = {
	.name = "aio_flush",
	.summary = "completes all outstanding aio requests",
	.co_run = co_run,
};
