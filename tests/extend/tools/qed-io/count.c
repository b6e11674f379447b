// SPDX-License-Identifier: GPL-2.0
/* count, the example of a command of qed-io: how many bytes of a range have a value? */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/io.h"
#include "qed-io/command.h"
#include "qed-io/text.h"

static int parse(const struct io_call *call, int *pattern, uint64_t *offset, uint64_t *bytes)
{
	int opt, ret = 0;

	while (!ret && (opt = getopt(call->argc, call->argv, "P:")) != -1)
		ret = opt == 'P' ? io_parse_pattern(optarg, pattern) : io_usage(call);
	if (!ret && optind != call->argc - 2)
		ret = io_usage(call);
	if (!ret)
		ret = io_parse_bytes(call->argv[optind], offset);
	return ret ? ret : io_parse_length(call->argv[optind + 1], "", bytes);
}

static int co_count(const struct io_call *call)
{
	uint64_t offset, bytes, count = 0;
	int pattern = 0;
	int ret = parse(call, &pattern, &offset, &bytes);
	uint8_t *buf;

	if (ret)
		return ret;
	buf = malloc(bytes);
	ret = buf ? blk_co_pread(call->io->node, offset, bytes, buf, 0) : -ENOMEM;
	for (uint64_t i = 0; !ret && i < bytes; i++)
		count += buf[i] == pattern;
	free(buf);
	if (ret)
		printf("count failed: %s\n", strerror(-ret));
	else
		printf("%" PRIu64 "/%" PRIu64 " bytes are %d\n", count, bytes, pattern);
	return ret;
}

const struct io_command io_count_command = {
	.name = "count",
	.args = "[-P pattern] off len",
	.summary = "counts the bytes of a range that have a value",
	.text = " -P   count these instead of zeroes\n",
	.example = "count -P 7 0 64k",
	.argmin = 2,
	.argmax = 4,
	.co_run = co_count,
};
