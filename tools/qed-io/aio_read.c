// SPDX-License-Identifier: GPL-2.0
/*
 * aio_read: read a range while other commands run.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "qed-io/request.h"

static void co_read(void *arg)
{
	struct io_request *req = arg;
	int ret = io_request_co_read(req);

	if (ret < 0)
		printf("readv failed: %s\n", strerror(-ret));
	else
		io_request_show_read(req);
	io_request_free(req);
}

static int parse_letters(struct io_request *req, bool *invalid, int argc, char **argv)
{
	int opt, ret = 0;

	while (ret == 0 && (opt = getopt(argc, argv, "CP:iqv")) != -1) {
		switch (opt) {
		case 'C':
			req->show.machine = true;
			break;
		case 'P':
			req->verify = true;
			ret = io_parse_pattern(optarg, &req->pattern);
			break;
		case 'i':
			*invalid = true;
			break;
		case 'q':
			req->show.quiet = true;
			break;
		case 'v':
			req->show.dump = true;
			break;
		default:
			return io_usage(&io_aio_read_command);
		}
	}
	return ret;
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	struct io_request req = { .io = io };
	bool invalid = false;
	int ret = parse_letters(&req, &invalid, argc, argv);

	if (ret < 0)
		return ret;
	if (invalid) {
		printf("injecting invalid read request\n");
		return 0;
	}
	if (optind > argc - 2)
		return io_usage(&io_aio_read_command);
	ret = io_parse_bytes(argv[optind], &req.offset);
	if (ret == 0)
		ret = io_parse_lengths(argc - optind - 1, argv + optind + 1, &req.bytes);
	if (ret < 0)
		return ret;
	req.verify_bytes = req.bytes;
	req.buf = io_buffer(req.bytes, 0xab);
	return req.buf ? io_request_start(&req, co_read) : -ENOMEM;
}

const struct io_command io_aio_read_command = {
	.name = "aio_read",
	.args = "[-Ciqv] [-P pattern] off len [len..]",
	.summary = "asynchronously reads a number of bytes",
	.text = " Several lengths are added up.  aio_flush waits for the result; a failure\n"
		" is printed, but is no failure of this command.\n"
		" -C   print figures alone, separated by commas\n"
		" -P   complain if the bytes are not all PATTERN\n"
		" -i   an invalid request: nothing is read\n"
		" -q   print nothing but complaints\n"
		" -v   print the bytes too\n",
	.argmin = 2,
	.argmax = -1,
	.co_run = co_run,
};
