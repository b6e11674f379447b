// SPDX-License-Identifier: GPL-2.0
/*
 * The options of a local file.  Their names and words are those of QEMU's driver "file".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "file/protocol.h"

/* Set *@name (heap) to @prefix and @path. */
static int set_name(char **name, const char *prefix, const char *path, struct error *err)
{
	if (!path || !*path)
		return error_set(err, -EINVAL, "The 'file' block driver requires a file name");
	if (asprintf(name, "%s%s", prefix, path) < 0) {
		*name = NULL;
		return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	}
	return 0;
}

int blk_file_name_from(struct blk_options *options, char **name, struct error *err)
{
	const char *path = blk_options_take(options, "filename");
	bool prefixed = path && !strncmp(path, "file:", 5);

	path += prefixed ? 5 : 0;
	return set_name(name, prefixed && blk_name_has_protocol(path) ? "./" : "", path, err);
}

/* A path that looks like a protocol's name must not be taken for one. */
static int path_from(struct blk_options *options, char **name, struct error *err)
{
	const char *path = blk_options_take(options, "filename");

	return set_name(name, path && blk_name_is_url(path) ? "./" : "", path, err);
}

static const char *const address[] = { "filename", NULL };

const struct blk_protocol blk_protocol_file = {
	.name = BLK_FILE,
	.address = address,
	.name_from = path_from,
	.file_flags = BLK_FILE_REGULAR,
};

const struct blk_protocol blk_protocol_host_device = {
	.name = "host_device",
	.address = address,
	.name_from = path_from,
	.file_flags = BLK_FILE_HOST_DEVICE,
};

const struct blk_protocol blk_protocol_host_cdrom = {
	.name = "host_cdrom",
	.address = address,
	.name_from = path_from,
	.file_flags = BLK_FILE_HOST_CDROM,
};

int blk_file_take_options(struct blk_options *o, bool direct, bool *no_lock, struct error *err)
{
	static const char *const locking[] = { "on", "off", "auto", NULL };
	static const char *const aio[] = { "threads", "native", "io_uring", NULL };
	const char *how, *io;
	uint64_t number;
	bool ignored;

	if (blk_options_take_word(o, "locking", locking, &how, err) ||
	    blk_options_take_word(o, "aio", aio, &io, err))
		return -EINVAL;
	if (io && !strcmp(io, "native") && !direct)
		return error_set(err, -EINVAL,
				 "aio=native was specified, but it requires cache.direct=on, "
				 "which was not specified.");
	*no_lock = how && !strcmp(how, "off");
	/* Of no effect here: the loop's engine does all I/O, and the page cache is not dropped. */
	if (blk_options_take_switch(o, "drop-cache", &ignored, err) < 0 ||
	    blk_options_take_switch(o, "x-check-cache-dropped", &ignored, err) < 0 ||
	    blk_options_take_size(o, "aio-max-batch", &number, err) < 0)
		return -EINVAL;
	return 0;
}
