// SPDX-License-Identifier: GPL-2.0
/*
 * info: print what the image is.
 */
#include <stdio.h>
#include <string.h>

#include "qed-io/io.h"

static int co_run(struct io_session *io, int argc, char **argv)
{
	struct blk_info info;
	char text[64];
	int ret = blk_co_info(io->node, &info);

	(void)argc;
	(void)argv;
	if (ret < 0) {
		io_error("%s: %s", io->filename, strerror(-ret));
		return ret;
	}
	printf("format name: %s\n", io->node->driver->name);
	printf("cluster size: %s\n",
	       io_format_bytes(text, sizeof(text), (double)info.cluster_size));
	printf("vm state offset: %s\n",
	       io_format_bytes(text, sizeof(text), (double)info.vm_state_offset));
	image_print_specific(&info);
	return 0;
}

const struct io_command io_info_command = {
	.name = "info",
	.altname = "i",
	.summary = "prints information about the current file",
	.flags = IO_LOOKS,
	.co_run = co_run,
};
