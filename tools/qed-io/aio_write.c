// SPDX-License-Identifier: GPL-2.0
/*
 * aio_write: write a pattern or zeroes while other commands run.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/io.h"
#include "qed-io/request.h"

static void co_write(void *arg)
{
	struct io_request *req = arg;
	int ret = io_request_co_write(req);

	if (ret < 0)
		printf("aio_write failed: %s\n", strerror(-ret));
	else
		io_request_show_write(req);
	io_request_free(req);
}

static int parse_letters(struct io_request *req, bool *invalid, int argc, char **argv)
{
	int opt, ret = 0;

	while (ret == 0 && (opt = getopt(argc, argv, "CfiqP:uz")) != -1) {
		switch (opt) {
		case 'C':
			req->show.machine = true;
			break;
		case 'f':
			req->flags |= BLK_REQ_FUA;
			break;
		case 'i':
			*invalid = true;
			break;
		case 'q':
			req->show.quiet = true;
			break;
		case 'P':
			ret = io_parse_pattern(optarg, &req->pattern);
			break;
		case 'u':
			req->flags |= BLK_REQ_MAY_UNMAP;
			break;
		case 'z':
			req->zeroes = true;
			break;
		default:
			return io_usage(&io_aio_write_command);
		}
	}
	return ret;
}

static int parse_range(struct io_request *req, int argc, char **argv)
{
	int ret;

	if (optind > argc - 2)
		return io_usage(&io_aio_write_command);
	if (req->zeroes && optind != argc - 2) {
		printf("-z supports only a single length parameter\n");
		return -EINVAL;
	}
	if ((req->flags & BLK_REQ_MAY_UNMAP) && !req->zeroes) {
		printf("-u requires -z to be specified\n");
		return -EINVAL;
	}
	ret = io_parse_bytes(argv[optind], &req->offset);
	if (ret == 0)
		ret = io_parse_lengths(argc - optind - 1, argv + optind + 1, &req->bytes);
	return ret;
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	struct io_request req = { .io = io, .pattern = 0xcd };
	bool invalid = false;
	int ret = parse_letters(&req, &invalid, argc, argv);

	if (ret < 0)
		return ret;
	if (invalid) {
		printf("injecting invalid write request\n");
		return 0;
	}
	ret = parse_range(&req, argc, argv);
	if (ret < 0)
		return ret;
	if (!req.zeroes) {
		req.buf = io_buffer(req.bytes, req.pattern);
		if (!req.buf)
			return -ENOMEM;
	}
	return io_request_start(&req, co_write);
}

const struct io_command io_aio_write_command = {
	.name = "aio_write",
	.args = "[-Cfiquz] [-P pattern] off len [len..]",
	.summary = "asynchronously writes a number of bytes",
	.text = " Several lengths are added up.  aio_flush waits for the result; a failure\n"
		" is printed, but is no failure of this command.\n"
		" -P   of this value; 0xcd without it\n"
		" -z   zeroes, as a write-zeroes request\n"
		" -u   which may free space (with -z)\n"
		" -f   durable when it is done\n"
		" -C   print figures alone, separated by commas\n"
		" -i   an invalid request: nothing is written\n"
		" -q   print nothing but complaints\n",
	.argmin = 2,
	.argmax = -1,
	.flags = IO_WRITE,
	.co_run = co_run,
};
