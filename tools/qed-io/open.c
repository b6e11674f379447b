// SPDX-License-Identifier: GPL-2.0
/*
 * open: open an image.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "qed-io/io.h"

static int parse_letter(struct io_open *how, int opt, struct blk_options **options)
{
	switch (opt) {
	case 'r':
		how->read_only = true;
		return 0;
	case 's':
		how->snapshot = true;
		return 0;
	case 'C':
		how->copy_on_read = true;
		return 0;
	case 'n':
		how->cache = (struct image_cache){ .direct = true };
		return 0;
	case 'k':
		how->native_aio = true;
		return 0;
	case 'i':
		return io_parse_aio(optarg, &how->native_aio);
	case 'U':
		how->force_share = true;
		return 0;
	case 't':
		return io_parse_cache(optarg, &how->cache);
	case 'd':
		return io_parse_discard(optarg, &how->discard_ignore);
	case 'o':
		return io_parse_options(optarg, options);
	default:
		return io_usage(&io_open_command);
	}
}

/* Parse the operand: a path, or with --image-opts options. */
static int parse_operand(const struct io_session *io, struct io_open *how, char *operand,
			 struct blk_options **options)
{
	if (!io->image_opts) {
		how->filename = operand; /* or NULL */
		return 0;
	}
	if (*options) {
		printf("--image-opts and 'open -o' are mutually exclusive\n");
		return -EINVAL;
	}
	return operand ? io_parse_options(operand, options) : 0;
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	struct io_open how = { 0 };
	struct blk_options *options = NULL;
	int opt, ret = 0;

	while (ret == 0 && (opt = getopt(argc, argv, "Cd:i:kno:rst:U")) != -1)
		ret = parse_letter(&how, opt, &options);
	if (ret == 0)
		ret = parse_operand(io, &how, optind < argc ? argv[optind] : NULL, &options);
	if (ret == 0 && optind < argc - 1)
		ret = io_usage(&io_open_command);
	if (ret == 0) {
		how.options = options;
		ret = io_session_co_open(io, &how);
	}
	blk_options_free(options);
	return ret;
}

const struct io_command io_open_command = {
	.name = "open",
	.altname = "o",
	.args = "[-rsCnkU] [-t cache] [-d discard] [-o options] [path]",
	.summary = "open the file specified by path",
	.text = " -r   for reading\n"
		" -s   with a temporary image on top, which takes the writes\n"
		" -C   keep what is read from the backing file\n"
		" -n   as -t none\n"
		" -k   as -i native\n"
		" -i   threads, native or io_uring: taken, of no effect\n"
		" -t   cache mode: none, writeback, writethrough, directsync or unsafe\n"
		" -d   discards: ignore or unmap\n"
		" -U   even if somebody else is writing to it (with -r)\n"
		" -o   options of the format, NAME=VALUE,..., as in --image-opts\n",
	.example = "open -r -o driver=qed vm1.qed",
	.argmin = 1,
	.argmax = -1,
	.flags = IO_NO_FILE,
	.co_run = co_run,
};
