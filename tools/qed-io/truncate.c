// SPDX-License-Identifier: GPL-2.0
/*
 * truncate: change the size of the image.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/image.h"
#include "image/resize.h"
#include "qed-io/io.h"

static int parse(int argc, char **argv, enum prealloc *mode, uint64_t *size)
{
	int opt;

	while ((opt = getopt(argc, argv, "m:")) != -1) {
		if (opt != 'm')
			return io_usage(&io_truncate_command);
		*mode = prealloc_named(optarg);
		if (*mode == PREALLOC_COUNT) {
			io_error("Invalid preallocation mode '%s'", optarg);
			return -EINVAL;
		}
	}
	if (optind >= argc)
		return io_usage(&io_truncate_command);
	return io_parse_bytes_as(argv[optind], argv[1], size);
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	struct error err = ERROR_INIT;
	enum prealloc mode = PREALLOC_OFF;
	uint64_t size;
	int ret = parse(argc, argv, &mode, &size);

	if (ret < 0)
		return ret;
	ret = image_co_resize(io->node, mode, size, &err);
	io->written = true;
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
	.text = " -m   off, or of a raw image: falloc, full\n",
	.example = "truncate 4M",
	.argmin = 1,
	.argmax = 3,
	.flags = IO_WRITE,
	.co_run = co_run,
};
