/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parsed name and options of an image: a file or an export, a format, and how to open it.
 */
#ifndef QEDBLK_BLOCK_IMAGE_NAME_H
#define QEDBLK_BLOCK_IMAGE_NAME_H

#include <stdbool.h>

#include "file/options.h"

struct blk_image_name {
	char *filename; /* heap: the place (file/name.h) of the image; the lowest one's */
	char *format; /* heap: a driver or a protocol; NULL: to be probed */
	unsigned int flags_on, flags_off; /* BLK_O_* to set and clear in the caller's flags */
	unsigned int file_flags; /* BLK_FILE_* that a driver of local files adds */
	bool read_only, force_share; /* the image must not be opened for writing */
	struct blk_options *options; /* the options left for the driver (heap), or NULL */
	/* Options of the backing file, which win over what the image says (heap); NULL: none. */
	struct blk_options *backing;
	struct blk_options *below; /* of the image in the place of the file (heap), or NULL */
	char *below_name; /* the name given beside @below (heap), or NULL */
	bool no_backing; /* no backing file, whatever the image says */
};

/*
 * Fill in @name from @filename, a name (file/name.h; NULL: @options contain it), and from @options
 * (NULL: none; unchanged).  @format (or NULL) wins over both.  The caller frees
 * @name with blk_image_name_free().  Returns 0 or a negative errno; the error line is the reason
 * alone, in QEMU's words.
 */
int blk_image_name_parse(struct blk_image_name *name, const char *filename, const char *format,
			 const struct blk_options *options, struct error *err);

void blk_image_name_free(struct blk_image_name *name);

/* Do a backing file's @options name the file?  Otherwise they only say how to open it. */
bool blk_options_say_file(const struct blk_options *options);

/* Return -EINVAL with an error line if there is an option that @driver did not take. */
int blk_image_name_check_left(const struct blk_image_name *name, const char *driver,
			      struct error *err);

#endif
