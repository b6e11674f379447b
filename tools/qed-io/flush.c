// SPDX-License-Identifier: GPL-2.0
/* flush: make completed writes durable. */
#include <stdio.h>
#include <string.h>

#include "qed-io/io.h"

static int co_run(struct io_session *io, int argc, char **argv)
{
	int ret;

	(void)argc;
	(void)argv;
	/* With nothing to flush qemu-io does no I/O. */
	io_session_tell(io, !io->written);
	ret = io_session_co_flush(io);
	if (ret == 0)
		io->written = false;
	if (ret < 0)
		printf("flush failed: %s\n", strerror(-ret));
	return ret;
}

const struct io_command io_flush_command = {
	.name = "flush",
	.altname = "f",
	.summary = "flush all in-core file state to disk",
	.flags = IO_HOLDS,
	.co_run = co_run,
};
