/* SPDX-License-Identifier: GPL-2.0 */
/* A new image on top of the served one, for a snapshot: it takes the place of the served image. */
#ifndef QEDBLK_DEVICE_DEVICE_OVERLAY_H
#define QEDBLK_DEVICE_DEVICE_OVERLAY_H

#include "device/device_image.h"

struct device_overlay {
	char *path; /* its place (file/name.h), absolute */
	struct blk_node *node; /* its backing node is that of the served image */
};

/*
 * Make a new image at @path, an absolute path, and open it as an overlay of @image, which is in
 * use, and is used as @options say.  The image and its directory entry are durable.  @format NULL:
 * the default.  Its changes are recorded in @rescue_fd, of the caller, from blk_begin_rescue() on.
 * Copy-on-read is active where it is for @image.  Returns 0 or a negative errno with an error line;
 * -EEXIST if there is a file of that name.  After an error nothing is left.  Coroutine; yields.
 */
int device_overlay_co_make(struct device_overlay *overlay, const struct device_image *image,
			   const struct device_options *options, const char *path,
			   const char *format, int rescue_fd, struct error *err);

/* Close and remove the new image, which no request has used.  Coroutine; yields. */
void device_overlay_co_undo(struct device_overlay *overlay);

/* Exchange @image's path and node for those of @overlay, which gets the old ones. */
void device_overlay_exchange(struct device_overlay *overlay, struct device_image *image);

#endif
