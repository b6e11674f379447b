// SPDX-License-Identifier: GPL-2.0
/*
 * reopen: open the image again, in another way.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qed-io/io.h"

struct reopen_letters {
	bool has_mode;
	char *options; /* or NULL */
};

static int parse_mode(struct io_open *how, struct reopen_letters *given, bool read_only)
{
	if (given->has_mode) {
		io_error("Only one -r/-w option may be given");
		return -EINVAL;
	}
	given->has_mode = true;
	how->read_only = read_only;
	return 0;
}

static int parse(struct io_open *how, const char *filename, int argc, char **argv)
{
	struct reopen_letters given = { 0 };
	int opt, ret = 0;

	while (ret == 0 && (opt = getopt(argc, argv, "c:o:rw")) != -1) {
		if (opt == 'c')
			ret = io_parse_cache(optarg, &how->cache);
		else if (opt == 'o')
			given.options = optarg;
		else if (opt == 'r' || opt == 'w')
			ret = parse_mode(how, &given, opt == 'r');
		else
			ret = io_usage(&io_reopen_command);
	}
	if (ret < 0)
		return ret;
	if (optind != argc)
		return io_usage(&io_reopen_command);
	if (given.options) {
		given.options[strcspn(given.options, "=")] = '\0';
		io_error("Cannot change the option '%s'", given.options);
		return -EINVAL;
	}
	if (how->read_only && how->copy_on_read) {
		io_error("Can't set node '%s' to r/o with copy-on-read enabled", filename);
		return -EINVAL;
	}
	return 0;
}

/*
 * The image is closed in between, so that its lock is free for the new use;
 * should that fail, it is opened as it was.
 */
static int co_run(struct io_session *io, int argc, char **argv)
{
	struct io_open before = io->open, how = io->open;
	char *filename = NULL, *format = NULL;
	int ret = parse(&how, io->filename, argc, argv);

	if (ret < 0)
		return ret;
	filename = strdup(io->filename);
	format = io->format ? strdup(io->format) : NULL;
	if (!filename || (io->format && !format)) {
		ret = -ENOMEM;
		io_error("%s", strerror(ENOMEM));
	} else {
		before.format = how.format = format;
		ret = io_session_co_close(io);
		if (ret == 0)
			ret = io_session_co_open(io, filename, &how);
		if (ret < 0)
			io_session_co_open(io, filename, &before);
	}
	free(filename);
	free(format);
	return ret;
}

const struct io_command io_reopen_command = {
	.name = "reopen",
	.args = "[(-r|-w)] [-c cache] [-o options]",
	.summary = "reopens an image with new options",
	.text = " -r   for reading\n"
		" -w   for reading and writing\n"
		" -c   cache mode: none, writeback, writethrough, directsync or unsafe\n",
	.argmax = -1,
	.co_run = co_run,
};
