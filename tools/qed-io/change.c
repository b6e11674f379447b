// SPDX-License-Identifier: GPL-2.0
/* discard, truncate, flush, aio_flush: changes of an image other than writes, and flushes. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "aio/timer.h"
#include "block/io.h"
#include "qed-io/command.h"
#include "qed-io/text.h"

static int parse_discard(const struct io_call *call, struct io_show *show, uint64_t *offset,
			 uint64_t *bytes)
{
	int opt, ret;

	while ((opt = getopt(call->argc, call->argv, "Cq")) != -1)
		if (!io_show_letter(show, opt))
			return io_usage(call);
	if (optind != call->argc - 2)
		return io_usage(call);
	ret = io_parse_bytes(call->argv[optind], offset);
	return ret ? ret : io_parse_length(call->argv[optind + 1], "", bytes);
}

static int co_discard(const struct io_call *call)
{
	struct io_show show = { 0 };
	uint64_t offset, bytes, started;
	int ret = parse_discard(call, &show, &offset, &bytes);

	if (ret < 0)
		return ret;
	started = aio_now();
	ret = blk_co_pdiscard(call->io->node, offset, bytes);
	call->io->written = true;
	if (ret < 0)
		printf("discard failed: %s\n", strerror(-ret));
	else if (!show.quiet)
		io_print_report("discard", aio_now() - started, offset, bytes, &show);
	return ret;
}

const struct io_command io_discard_command = {
	.name = "discard",
	.altname = "d",
	.args = "[-Cq] off len",
	.summary = "discards a number of bytes at a specified offset",
	.text = " -C   print figures alone, separated by commas\n"
		" -q   print nothing but errors\n",
	.example = "discard 64k 128k",
	.argmin = 2,
	.argmax = -1,
	.flags = IO_WRITE,
	.co_run = co_discard,
};

static int parse_truncate(const struct io_call *call, enum blk_prealloc *mode, uint64_t *size)
{
	int opt;

	while ((opt = getopt(call->argc, call->argv, "m:")) != -1) {
		if (opt != 'm')
			return io_usage(call);
		*mode = blk_prealloc_named(optarg);
		if (*mode == BLK_PREALLOC_COUNT) {
			io_error("Invalid preallocation mode '%s'", optarg);
			return -EINVAL;
		}
	}
	if (optind >= call->argc)
		return io_usage(call);
	return io_parse_bytes_as(call->argv[optind], call->argv[1], size);
}

static int co_truncate(const struct io_call *call)
{
	struct blk_node *node = call->io->node;
	struct error err = ERROR_INIT;
	enum blk_prealloc mode = BLK_PREALLOC_OFF;
	uint64_t size;
	int ret = parse_truncate(call, &mode, &size);

	if (ret < 0)
		return ret;
	if (mode == BLK_PREALLOC_OFF)
		ret = image_check_size(node, size, &err);
	if (!ret)
		ret = blk_co_resize(node, size, mode, &err);
	call->io->written = true;
	if (ret < 0) {
		error_set(&err, ret, "%s", strerror(-ret));
		image_unname(node->filename, &err);
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
	.co_run = co_truncate,
};

static int co_flush(const struct io_call *call)
{
	struct io_session *io = call->io;
	int ret;

	/* With nothing to flush qemu-io does no I/O. */
	io_session_tell(io, !io->written);
	ret = io->open.cache.no_flush ? 0 : blk_co_flush(io->node);
	if (ret == 0)
		io->written = false;
	else
		printf("flush failed: %s\n", strerror(-ret));
	return ret;
}

const struct io_command io_flush_command = {
	.name = "flush",
	.altname = "f",
	.summary = "flush all in-core file state to disk",
	.flags = IO_HOLDS,
	.co_run = co_flush,
};

static int co_aio_flush(const struct io_call *call)
{
	io_session_co_drain(call->io);
	return 0;
}

const struct io_command io_aio_flush_command = {
	.name = "aio_flush",
	.summary = "completes all outstanding aio requests",
	.co_run = co_aio_flush,
};
