// SPDX-License-Identifier: GPL-2.0
/*
 * truncate: change the size of the image.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/io.h"
#include "qed-io/io.h"

static int parse(int argc, char **argv, uint64_t *size)
{
	const char *mode = "off";
	int opt;

	while ((opt = getopt(argc, argv, "m:")) != -1) {
		if (opt != 'm')
			return io_usage(&io_truncate_command);
		mode = optarg;
	}
	if (optind != argc - 1)
		return io_usage(&io_truncate_command);
	if (strcmp(mode, "off")) {
		bool known = !strcmp(mode, "falloc") || !strcmp(mode, "full") ||
			     !strcmp(mode, "metadata");

		io_error("%s preallocation mode '%s'", known ? "Unsupported" : "Invalid", mode);
		return -EINVAL;
	}
	return io_parse_bytes(argv[optind], size);
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	struct error err = ERROR_INIT;
	uint64_t size;
	int ret = parse(argc, argv, &size);

	if (ret < 0)
		return ret;
	ret = blk_co_truncate(io->node, size, &err);
	if (ret < 0) {
		error_set(&err, ret, "%s", strerror(-ret));
		image_unname(io->node->filename, &err);
		io_error_free(&err);
	}
	return ret;
}

const struct io_command io_truncate_command = {
	.name = "truncate",
	.altname = "t",
	.args = "[-m prealloc_mode] off",
	.summary = "truncates the current file at the given offset",
	.argmin = 1,
	.argmax = 3,
	.flags = IO_WRITE,
	.co_run = co_run,
};
