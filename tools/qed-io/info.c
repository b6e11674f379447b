// SPDX-License-Identifier: GPL-2.0
/* info: describe the image. */
#include <stdio.h>
#include <string.h>

#include "qed-io/io.h"

/* Return the scheme of an export's name: "nbd+unix" of "nbd+unix:///". */
static const char *scheme_of(const struct blk_node *node, int *len)
{
	const char *end = strstr(node->filename, "://");

	if (!node->file->protocol || !end || strcmp(node->protocol, "nbd"))
		end = NULL;
	*len = end ? (int)(end - node->filename) : (int)strlen(node->protocol);
	return end ? node->filename : node->protocol;
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	struct blk_node *node = io->node;
	struct blk_info info;
	const char *scheme;
	char text[64];
	int len, ret;

	(void)argc;
	(void)argv;
	printf("format name: %s\n", blk_node_format(node));
	/* QEMU's protocol drivers have two names. */
	if (node->protocol) {
		scheme = scheme_of(node, &len);
		printf("format name: %.*s\n", len, scheme);
	}
	/* QEMU has no further information on a raw export. */
	if (node->file->protocol && !node->cluster_size)
		return -ENOTSUP;
	ret = blk_co_info(node, &info);
	if (ret < 0) {
		io_error("%s: %s", node->filename, strerror(-ret));
		return ret;
	}
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
	.flags = IO_LOOKS | IO_HOLDS,
	.co_run = co_run,
};
