// SPDX-License-Identifier: GPL-2.0
/* discard: discard a range. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aio/timer.h"
#include "block/io.h"
#include "qed-io/io.h"

static int parse(struct io_show *show, uint64_t *offset, uint64_t *bytes, int argc, char **argv)
{
	int opt, ret;

	while ((opt = getopt(argc, argv, "Cq")) != -1) {
		if (opt == 'C')
			show->machine = true;
		else if (opt == 'q')
			show->quiet = true;
		else
			return io_usage(&io_discard_command);
	}
	if (optind != argc - 2)
		return io_usage(&io_discard_command);
	ret = io_parse_bytes(argv[optind], offset);
	if (ret == 0)
		ret = io_parse_bytes(argv[optind + 1], bytes);
	if (ret == 0 && *bytes > IO_MAX_REQUEST) {
		printf("length cannot exceed %" PRIu64 ", given %s\n", IO_MAX_REQUEST,
		       argv[optind + 1]);
		ret = -EINVAL;
	}
	return ret;
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	struct io_show show = { 0 };
	uint64_t offset, bytes, started;
	int ret = parse(&show, &offset, &bytes, argc, argv);

	if (ret < 0)
		return ret;
	started = aio_now();
	ret = blk_co_pdiscard(io->node, offset, bytes);
	io->written = true;
	if (ret < 0)
		printf("discard failed: %s\n", strerror(-ret));
	else if (!show.quiet)
		io_print_report("discard", aio_now() - started, offset, bytes, bytes, &show);
	return ret;
}

const struct io_command io_discard_command = {
	.name = "discard",
	.altname = "d",
	.args = "[-Cq] off len",
	.summary = "discards a number of bytes at a specified offset",
	.text = " -C   print figures alone, separated by commas\n"
		" -q   print nothing but complaints\n",
	.example = "discard 64k 128k",
	.argmin = 2,
	.argmax = -1,
	.flags = IO_WRITE,
	.co_run = co_run,
};
