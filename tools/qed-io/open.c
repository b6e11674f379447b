// SPDX-License-Identifier: GPL-2.0
/*
 * open: open an image.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "qed-io/io.h"

/* "driver=qed", or "driver=qed,discard=..."; only the format can be said here. */
static int parse_driver(char *text, const char *filename, const char **format)
{
	char *save, *item;

	for (item = strtok_r(text, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		if (strncmp(item, "driver=", 7)) {
			item[strcspn(item, "=")] = '\0';
			io_error("can't open device %s: Block format '%s' does not support "
				 "the option '%s'",
				 filename, *format ? *format : "raw", item);
			return -EINVAL;
		}
		*format = item + 7;
	}
	return 0;
}

static int parse_letter(struct io_open *how, int opt, char **options)
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
		*options = optarg;
		return 0;
	default:
		return io_usage(&io_open_command);
	}
}

static int co_run(struct io_session *io, int argc, char **argv)
{
	struct io_open how = { 0 };
	char *options = NULL;
	int opt, ret = 0;

	while (ret == 0 && (opt = getopt(argc, argv, "Cd:i:kno:rst:U")) != -1)
		ret = parse_letter(&how, opt, &options);
	if (ret < 0)
		return ret;
	if (optind != argc - 1)
		return io_usage(&io_open_command);
	if (options)
		ret = parse_driver(options, argv[optind], &how.format);
	return ret < 0 ? ret : io_session_co_open(io, argv[optind], &how);
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
		" -t   cache mode: none, writeback, writethrough, directsync or unsafe\n"
		" -d   discards: ignore or unmap\n"
		" -U   even if somebody else is writing to it (with -r)\n"
		" -o   driver=FORMAT\n",
	.argmin = 1,
	.argmax = -1,
	.flags = IO_NO_FILE,
	.co_run = co_run,
};
