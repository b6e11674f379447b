/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of images, by QEMU's rules, wherever a name comes from: a command line, the header of an
 * image, json:{...}.
 *
 * A name is json:{...} (options.h), PROTOCOL:REST, with a colon before any slash, or a path.  The
 * place that it stands for is a path, or a protocol's name for an image (blk_name_is_url()).  A
 * place is a name, too, of the same place, unless it comes from an option: an option's value is a
 * path, whatever it looks like.
 */
#ifndef QEDBLK_FILE_NAME_H
#define QEDBLK_FILE_NAME_H

#include <stdbool.h>

#include "util/error.h"

struct blk_protocol;

/* Does @name begin with "json:"? */
bool blk_name_is_json(const char *name);

/* Does @name begin like one of a protocol, known or not: with a colon before any slash? */
bool blk_name_has_protocol(const char *name);

/* Is @name a protocol's name for an image, not a local file, or json:{...}? */
bool blk_name_is_url(const char *name);

/*
 * Set *@place (heap) to the place of @name.  "file:PATH" and the like are PATH, and add that
 * driver's BLK_FILE_* to *@flags (or NULL).  @driver is the protocol that is given beside the name,
 * or NULL.  Returns 0, -EINVAL for a name of an unknown protocol, also for json:{...}, or -ENOMEM,
 * with QEMU's error line.
 */
int blk_name_place(const char *name, const struct blk_protocol *driver, char **place,
		   unsigned int *flags, struct error *err);

/* Set *@place (heap) to the place of @path, the value of an option.  Returns 0 or -ENOMEM. */
int blk_name_of_path(const char *path, char **place, struct error *err);

/*
 * Set *@name (heap) to the name, from the current directory, of what the image at @place calls
 * @backing.  Paths in an image are relative to its directory.  Returns 0, -EINVAL where @place has
 * no directory, or -ENOMEM, with an error line.
 */
int blk_name_beside(const char *place, const char *backing, char **name, struct error *err);

/*
 * Set *@place (heap) to the place of @name for a process with another working directory; json:{...}
 * stays as it is.  Returns 0 or a negative errno with an error line.
 */
int blk_name_absolute(const char *name, char **place, struct error *err);

/* Does @name, from the current directory, stand for the file or export at @place?  Blocks. */
bool blk_name_same(const char *place, const char *name);

#endif
