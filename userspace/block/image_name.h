/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a name or options of an image come to: a file or an export, a format, and how to open it.
 */
#ifndef QEDBLK_BLOCK_IMAGE_NAME_H
#define QEDBLK_BLOCK_IMAGE_NAME_H

#include <stdbool.h>

#include "file/options.h"

struct blk_image_name {
	char *filename; /* heap: a path, or what a protocol takes */
	char *format; /* heap: a driver or a protocol; NULL: to be probed */
	unsigned int flags_on, flags_off; /* BLK_O_*, besides those of who opens it */
	bool read_only, force_share; /* it must not be opened for writing */
	struct blk_options *options; /* those that are the driver's (heap), or NULL */
	/* Of the backing file, instead of or besides what the image says (heap); NULL: none. */
	struct blk_options *backing;
	bool no_backing; /* none, whatever the image says */
};

/*
 * Fill in @name from @filename (NULL: @options say it), which may be json:{...} or file:PATH,
 * and from @options (NULL: none; unchanged).  @format (or NULL) wins over what they say.
 * Returns 0 or a negative errno; the error's line is the reason alone, in QEMU's words.
 */
int blk_image_name_parse(struct blk_image_name *name, const char *filename, const char *format,
			 const struct blk_options *options, struct error *err);

void blk_image_name_free(struct blk_image_name *name);

/* Do @options, of a backing file, say what file it is, or only how to open it? */
bool blk_options_say_file(const struct blk_options *options);

/* Complain of the options that @driver did not take, if there are any. */
int blk_image_name_check_left(const struct blk_image_name *name, const char *driver,
			      struct error *err);

#endif
