// SPDX-License-Identifier: GPL-2.0
/*
 * Parsing and checking the options and operands of reads and writes. The checks are in
 * qemu-io's order, so that the same error is reported if there are several.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "block/io.h"
#include "qed-io/read_write.h"
#include "util/units.h"

#define DEFAULT_PATTERN 0xcd

static int take_start_or_source(struct io_request *req)
{
	if (req->kind->write) {
		req->source = optarg;
		return 0;
	}
	req->has_start = true;
	return io_parse_bytes(optarg, &req->verify_start);
}

/* Returns 0, -EINVAL after an error message, or 1: there is no such option. */
static int take_letter(struct io_request *req, int letter)
{
	switch (letter) {
	case 'b':
		req->vm_state = true;
		return 0;
	case 'c':
		req->compressed = true;
		return 0;
	case 'f':
		req->flags |= BLK_REQ_FUA;
		return 0;
	case 'i':
		req->invalid = true;
		return 0;
	case 'l':
		req->has_length = true;
		return io_parse_bytes(optarg, &req->verify_bytes);
	case 'n':
		req->no_fallback = true;
		return 0;
	case 'p': /* obsolete: always the case */
		return 0;
	case 'P':
		req->has_pattern = true;
		return io_parse_pattern(optarg, &req->pattern);
	case 's':
		return take_start_or_source(req);
	case 'u':
		req->flags |= BLK_REQ_MAY_UNMAP;
		return 0;
	case 'z':
		req->zeroes = true;
		return 0;
	default:
		return !io_show_letter(&req->show, letter);
	}
}

/* Return an error message for options that exclude or need each other; NULL: consistent. */
static const char *contradiction(const struct io_request *req, int lengths)
{
	bool unmap = req->flags & BLK_REQ_MAY_UNMAP;

	if (req->vm_state && req->zeroes)
		return "-b and -z cannot be specified at the same time";
	if ((req->flags & BLK_REQ_FUA) && (req->vm_state || req->compressed))
		return "-f and -b or -c cannot be specified at the same time";
	if (req->no_fallback && !req->zeroes)
		return "-n requires -z to be specified";
	if (req->kind->async && req->zeroes && lengths != 1)
		return "-z supports only a single length parameter";
	if (unmap && !req->zeroes)
		return "-u requires -z to be specified";
	if (!req->kind->async && req->zeroes + req->has_pattern + !!req->source > 1)
		return "Only one of -z, -P, and -s can be specified at the same time";
	return NULL;
}

/* Parse and add up the lengths: the sum must be a valid request. */
static int parse_lengths(struct io_request *req, int count, char **texts)
{
	uint64_t len;
	int i, ret;

	for (i = 0; i < count; i++) {
		ret = io_parse_bytes(texts[i], &len);
		if (ret < 0)
			return ret;
		if (len > IO_MAX_REQUEST) {
			printf("Argument '%s' exceeds maximum size %" PRIu64 "\n", texts[i],
			       IO_MAX_REQUEST);
			return -EINVAL;
		}
		req->bytes += len;
		if (req->bytes > IO_MAX_REQUEST) {
			printf("The total number of bytes exceed the maximum size %" PRIu64 "\n",
			       IO_MAX_REQUEST);
			return -EINVAL;
		}
	}
	return 0;
}

static int parse_range(struct io_request *req, int lengths, char **texts)
{
	int ret = io_parse_bytes(texts[0], &req->offset);

	if (ret < 0)
		return ret;
	if (req->no_fallback || (req->kind->async && req->zeroes))
		return io_parse_bytes(texts[1], &req->bytes);
	if (req->kind->many_lengths)
		return parse_lengths(req, lengths, texts + 1);
	return io_parse_length(texts[1], req->kind->write ? " without -n" : "", &req->bytes);
}

/* Check the range that is verified. */
static int check_verified(struct io_request *req, const struct io_call *call)
{
	if (!req->has_pattern && (req->has_start || req->has_length))
		return io_usage(call);
	if (!req->has_length && req->verify_start <= req->bytes)
		req->verify_bytes = req->bytes - req->verify_start;
	if (req->verify_start > req->bytes || req->verify_bytes > req->bytes - req->verify_start) {
		printf("pattern verification range exceeds end of read data\n");
		return -EINVAL;
	}
	return 0;
}

/* VM state and compressed clusters need whole sectors. */
static int check_alignment(const struct io_request *req)
{
	if (!req->vm_state && !req->compressed)
		return 0;
	if (req->offset % SECTOR_SIZE) {
		printf("%" PRIu64 " is not a sector-aligned value for 'offset'\n", req->offset);
		return -EINVAL;
	}
	if (req->bytes % SECTOR_SIZE) {
		printf("%" PRIu64 " is not a sector-aligned value for 'count'\n", req->bytes);
		return -EINVAL;
	}
	return 0;
}

int io_request_parse(struct io_request *req, const struct io_call *call)
{
	const struct io_request_kind *kind = req->kind;
	const char *wrong;
	int opt, lengths, ret = 0;

	if (kind->write)
		req->pattern = DEFAULT_PATTERN;
	while (ret == 0 && !req->invalid &&
	       (opt = getopt(call->argc, call->argv, kind->letters)) != -1)
		ret = take_letter(req, opt);
	if (ret < 0 || req->invalid)
		return ret;
	lengths = call->argc - optind - 1;
	if (ret > 0 || lengths < 1 || (lengths > 1 && !kind->many_lengths))
		return io_usage(call);
	wrong = contradiction(req, lengths);
	if (wrong) {
		printf("%s\n", wrong);
		return -EINVAL;
	}
	ret = parse_range(req, lengths, call->argv + optind);
	if (ret == 0 && !kind->write)
		ret = check_verified(req, call);
	if (ret == 0)
		ret = check_alignment(req);
	return ret;
}
