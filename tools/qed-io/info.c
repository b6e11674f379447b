// SPDX-License-Identifier: GPL-2.0
/*
 * info: print what the image is.
 */
#include <stdio.h>

#include "qed-io/io.h"

static int co_run(struct io_session *io, int argc, char **argv)
{
	char text[64];

	(void)argc;
	(void)argv;
	printf("format name: %s\n", io->node->driver->name);
	printf("cluster size: %s\n",
	       io_format_bytes(text, sizeof(text), (double)io->node->cluster_size));
	/* No format here keeps VM state. */
	printf("vm state offset: 0 bytes\n");
	return 0;
}

const struct io_command io_info_command = {
	.name = "info",
	.altname = "i",
	.summary = "prints information about the current file",
	.co_run = co_run,
};
