// SPDX-License-Identifier: GPL-2.0
/*
 * length: print the size of the image.
 */
#include <stdio.h>

#include "qed-io/io.h"

static int co_run(struct io_session *io, int argc, char **argv)
{
	char text[64];

	(void)argc;
	(void)argv;
	printf("%s\n", io_format_bytes(text, sizeof(text), (double)io->node->size));
	return 0;
}

const struct io_command io_length_command = {
	.name = "length",
	.altname = "l",
	.summary = "gets the length of the current file",
	.flags = IO_HOLDS,
	.co_run = co_run,
};
