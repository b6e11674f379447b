// SPDX-License-Identifier: GPL-2.0
/*
 * The options of a local file.  Their names and words are those of QEMU's driver "file".
 */
#include <errno.h>
#include <string.h>

#include "file/name.h"
#include "file/protocol.h"

static int path_from(struct blk_options *options, char **name, struct error *err)
{
	const char *path = blk_options_take(options, "filename");

	return blk_name_of_path(path ? path : "", name, err);
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
