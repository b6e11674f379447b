// SPDX-License-Identifier: GPL-2.0
/*
 * read: read a range and wait for it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qed-io/request.h"

struct read_letters {
	bool vm_state, has_start, has_length;
};

static int parse_letters(struct io_request *req, struct read_letters *given, int argc, char **argv)
{
	int opt, ret = 0;

	while (ret == 0 && (opt = getopt(argc, argv, "bCl:pP:qs:v")) != -1) {
		switch (opt) {
		case 'b':
			given->vm_state = true;
			break;
		case 'C':
			req->show.machine = true;
			break;
		case 'l':
			given->has_length = true;
			ret = io_parse_bytes(optarg, &req->verify_bytes);
			break;
		case 'p': /* what this once asked for is how it always is */
			break;
		case 'P':
			req->verify = true;
			ret = io_parse_pattern(optarg, &req->pattern);
			break;
		case 'q':
			req->show.quiet = true;
			break;
		case 's':
			given->has_start = true;
			ret = io_parse_bytes(optarg, &req->verify_start);
			break;
		case 'v':
			req->show.dump = true;
			break;
		default:
			return io_usage(&io_read_command);
		}
	}
	return ret;
}

static int parse(struct io_request *req, struct read_letters *given, int argc, char **argv)
{
	int ret = parse_letters(req, given, argc, argv);

	if (ret < 0)
		return ret;
	if (optind != argc - 2 || (!req->verify && (given->has_start || given->has_length)))
		return io_usage(&io_read_command);
	ret = io_parse_bytes(argv[optind], &req->offset);
	if (ret == 0)
		ret = io_parse_bytes(argv[optind + 1], &req->bytes);
	if (ret < 0)
		return ret;
	if (req->bytes > IO_MAX_REQUEST) {
		printf("length cannot exceed %" PRIu64 ", given %s\n", IO_MAX_REQUEST,
		       argv[optind + 1]);
		return -EINVAL;
	}
	if (!given->has_length && req->verify_start <= req->bytes)
		req->verify_bytes = req->bytes - req->verify_start;
	if (req->verify_start > req->bytes || req->verify_bytes > req->bytes - req->verify_start) {
		printf("pattern verification range exceeds end of read data\n");
		return -EINVAL;
	}
	return 0;
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	struct io_request req = { .io = io };
	struct read_letters given = { 0 };
	int ret = parse(&req, &given, argc, argv);

	if (ret < 0)
		return ret;
	req.buf = io_buffer(req.bytes, 0xab);
	if (!req.buf)
		return -ENOMEM;
	ret = given.vm_state ? -ENOTSUP : io_request_co_read(&req);
	if (ret < 0)
		printf("read failed: %s\n", strerror(-ret));
	else
		ret = io_request_show_read(&req);
	free(req.buf);
	return ret;
}

const struct io_command io_read_command = {
	.name = "read",
	.altname = "r",
	.args = "[-abCqv] [-P pattern [-s off] [-l len]] off len",
	.summary = "reads a number of bytes at a specified offset",
	.text = " -C   print figures alone, separated by commas\n"
		" -P   complain if the bytes are not all PATTERN\n"
		" -s   check them from this offset of what was read on (with -P)\n"
		" -l   check this many (with -P)\n"
		" -q   print nothing but complaints\n"
		" -v   print the bytes too\n"
		" -b   read the VM state, which no format here has\n",
	.argmin = 2,
	.argmax = -1,
	.co_run = co_run,
};
