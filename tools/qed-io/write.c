// SPDX-License-Identifier: GPL-2.0
/*
 * write: write a pattern, a file's bytes or zeroes, and wait for it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/io.h"
#include "qed-io/request.h"
#include "util/units.h"

#define DEFAULT_PATTERN 0xcd

struct write_letters {
	bool vm_state, compressed, no_fallback, has_pattern;
	const char *source; /* file of the pattern, or NULL */
};

static int parse_letters(struct io_request *req, struct write_letters *given, int argc, char **argv)
{
	int opt, ret = 0;

	while (ret == 0 && (opt = getopt(argc, argv, "bcCfnpP:qs:uz")) != -1) {
		switch (opt) {
		case 'b':
			given->vm_state = true;
			break;
		case 'c':
			given->compressed = true;
			break;
		case 'C':
			req->show.machine = true;
			break;
		case 'f':
			req->flags |= BLK_REQ_FUA;
			break;
		case 'n':
			given->no_fallback = true;
			break;
		case 'p': /* what this once asked for is how it always is */
			break;
		case 'P':
			given->has_pattern = true;
			ret = io_parse_pattern(optarg, &req->pattern);
			break;
		case 'q':
			req->show.quiet = true;
			break;
		case 's':
			given->source = optarg;
			break;
		case 'u':
			req->flags |= BLK_REQ_MAY_UNMAP;
			break;
		case 'z':
			req->zeroes = true;
			break;
		default:
			return io_usage(&io_write_command);
		}
	}
	return ret;
}

/* What must not, or must, be said together; NULL: all is well. */
static const char *contradiction(const struct io_request *req, const struct write_letters *given)
{
	if (given->vm_state && req->zeroes)
		return "-b and -z cannot be specified at the same time";
	if (given->no_fallback && !req->zeroes)
		return "-n requires -z to be specified";
	if ((req->flags & BLK_REQ_MAY_UNMAP) && !req->zeroes)
		return "-u requires -z to be specified";
	if (req->zeroes + given->has_pattern + !!given->source > 1)
		return "Only one of -z, -P, and -s can be specified at the same time";
	return NULL;
}

static int parse(struct io_request *req, struct write_letters *given, int argc, char **argv)
{
	const char *wrong;
	int ret = parse_letters(req, given, argc, argv);

	if (ret < 0)
		return ret;
	if (optind != argc - 2)
		return io_usage(&io_write_command);
	wrong = contradiction(req, given);
	if (wrong) {
		printf("%s\n", wrong);
		return -EINVAL;
	}
	ret = io_parse_bytes(argv[optind], &req->offset);
	if (ret == 0)
		ret = io_parse_bytes(argv[optind + 1], &req->bytes);
	if (ret < 0)
		return ret;
	if (req->bytes > IO_MAX_REQUEST && !given->no_fallback) {
		printf("length cannot exceed %" PRIu64 " without -n, given %s\n", IO_MAX_REQUEST,
		       argv[optind + 1]);
		return -EINVAL;
	}
	return 0;
}

/* Fill @buf with the file's bytes, again and again. */
static int fill_from(const char *name, uint8_t *buf, uint64_t bytes)
{
	FILE *file = fopen(name, "r");
	uint64_t pos;
	size_t len;

	if (!file) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return -EINVAL;
	}
	len = fread(buf, 1, bytes, file);
	if (ferror(file))
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
	else if (!len && bytes)
		fprintf(stderr, "%s: file is empty\n", name);
	if (ferror(file) || (!len && bytes)) {
		fclose(file);
		return -EINVAL;
	}
	fclose(file);
	for (pos = len; pos < bytes; pos += len)
		memcpy(buf + pos, buf, min_u64(len, bytes - pos));
	return 0;
}

static int make_buffer(struct io_request *req, const struct write_letters *given)
{
	int ret = 0;

	if (req->zeroes)
		return 0;
	req->buf = io_buffer(req->bytes, given->has_pattern ? req->pattern : DEFAULT_PATTERN);
	if (!req->buf)
		return -ENOMEM;
	if (given->source)
		ret = fill_from(given->source, req->buf, req->bytes);
	return ret;
}

static int co_write(struct io_request *req, const struct write_letters *given)
{
	/* No format here keeps VM state, or compresses. */
	if (given->vm_state || (given->compressed && !req->zeroes))
		return -ENOTSUP;
	if (given->no_fallback && !req->io->node->driver->co_pwrite_zeroes)
		return -ENOTSUP;
	return io_request_co_write(req);
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	struct io_request req = { .io = io };
	struct write_letters given = { 0 };
	int ret = parse(&req, &given, argc, argv);

	if (ret == 0)
		ret = make_buffer(&req, &given);
	if (ret == 0) {
		ret = co_write(&req, &given);
		if (ret < 0)
			printf("write failed: %s\n", strerror(-ret));
		else
			io_request_show_write(&req);
	}
	free(req.buf);
	return ret;
}

const struct io_command io_write_command = {
	.name = "write",
	.altname = "w",
	.args = "[-bcCfnquz] [-P pattern | -s source_file] off len",
	.summary = "writes a number of bytes at a specified offset",
	.text = " -P   of this value; 0xcd without it\n"
		" -s   of this file's bytes, again and again\n"
		" -z   zeroes, as a write-zeroes request\n"
		" -u   which may free space (with -z)\n"
		" -n   which may not be carried out as a write (with -z)\n"
		" -f   durable when it is done\n"
		" -C   print figures alone, separated by commas\n"
		" -q   print nothing but complaints\n"
		" -b   to the VM state, which no format here has\n"
		" -c   compressed, which no format here can write\n",
	.argmin = 2,
	.argmax = -1,
	.flags = IO_WRITE,
	.co_run = co_run,
};
