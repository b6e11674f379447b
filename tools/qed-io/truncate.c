// SPDX-License-Identifier: GPL-2.0
/*
 * truncate: change the size of the image.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "block/io.h"
#include "common/image.h"
#include "qed-io/io.h"
#include "util/units.h"

/* The modes, in the order of @modes. */
enum prealloc { PREALLOC_OFF, PREALLOC_METADATA, PREALLOC_FALLOC, PREALLOC_FULL, PREALLOC_COUNT };

static const char *const modes[] = { "off", "metadata", "falloc", "full" };

/* Zeroes that are written at once. */
#define PIECE_BYTES (1 << 20)

static int parse(int argc, char **argv, enum prealloc *mode, uint64_t *size)
{
	const char *name = modes[PREALLOC_OFF];
	int opt;

	while ((opt = getopt(argc, argv, "m:")) != -1) {
		if (opt != 'm')
			return io_usage(&io_truncate_command);
		name = optarg;
		for (*mode = 0; *mode < PREALLOC_COUNT && strcmp(name, modes[*mode]);)
			++*mode;
		if (*mode == PREALLOC_COUNT) {
			io_error("Invalid preallocation mode '%s'", name);
			return -EINVAL;
		}
	}
	if (optind >= argc)
		return io_usage(&io_truncate_command);
	return io_parse_bytes_as(argv[optind], argv[1], size);
}

/* Only a file of plain bytes has space of its own that can be asked for ahead. */
static int check_mode(const struct io_session *io, enum prealloc mode, uint64_t size,
		      struct error *err)
{
	bool raw = !strcmp(io->node->driver->name, "raw");

	if (mode == PREALLOC_OFF)
		return 0;
	if (!raw)
		return error_set(err, -ENOTSUP, "Unsupported preallocation mode '%s'", modes[mode]);
	if (mode == PREALLOC_METADATA)
		return error_set(err, -ENOTSUP, "Unsupported preallocation mode: %s", modes[mode]);
	if (size < io->node->size)
		return error_set(err, -EINVAL, "Cannot use preallocation for shrinking files");
	return 0;
}

static int co_write_zeroes(struct io_session *io, uint64_t start, uint64_t end)
{
	void *zeroes = io_buffer(io, PIECE_BYTES, 0);
	uint64_t pos, len;
	int ret = zeroes ? 0 : -ENOMEM;

	for (pos = start; ret == 0 && pos < end; pos += len) {
		len = min_u64(end - pos, PIECE_BYTES);
		ret = blk_co_pwrite(io->node, pos, len, zeroes, 0);
	}
	io_buffer_free(io, zeroes);
	return ret;
}

/* Set the size, with space for what the image gains; if there is none it keeps its size. */
static int co_resize(struct io_session *io, enum prealloc mode, uint64_t size, struct error *err)
{
	struct blk_file *file = io->node->file;
	uint64_t old = io->node->size, end, gain;
	const char *failure = NULL;
	int ret = 0;

	if (mode == PREALLOC_FALLOC && size > old) {
		/* The image ends where its file does, but need not begin there. */
		end = atomic_load(&file->size);
		gain = round_up(end, SECTOR_SIZE) - end + size - old;
		ret = file->ops->co_fallocate(file, 0, end, gain);
		failure = "preallocate";
	}
	if (ret == 0) {
		ret = blk_co_truncate(io->node, size, err);
		if (ret < 0)
			return ret;
	}
	if (ret == 0 && mode == PREALLOC_FULL && size > old) {
		ret = co_write_zeroes(io, old, size);
		failure = "write zeros to";
	}
	if (ret == 0)
		return 0;
	(void)blk_co_truncate(io->node, old, NULL);
	return error_set(err, ret, "Could not %s new data: %s", failure, strerror(-ret));
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	struct error err = ERROR_INIT;
	enum prealloc mode = PREALLOC_OFF;
	uint64_t size;
	int ret = parse(argc, argv, &mode, &size);

	if (ret < 0)
		return ret;
	ret = check_mode(io, mode, size, &err);
	if (ret == 0)
		ret = co_resize(io, mode, size, &err);
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
