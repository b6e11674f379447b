/* SPDX-License-Identifier: GPL-2.0 */
/* The image that is served: making it where that is asked for, opening it, judging it. */
#ifndef QEDBLK_DEVICE_DEVICE_IMAGE_H
#define QEDBLK_DEVICE_DEVICE_IMAGE_H

#include "block/node.h"
#include "device/options.h"

struct device_image {
	char *path; /* absolute */
	bool created; /* by us, and not yet used */
	struct blk_node *node;
};

/*
 * Open the image that @options name, having created it if it does not exist
 * and that was asked for.  An image that contradicts what was asked for is
 * refused.  On an error nothing is left behind, but for the name.  Coroutine.
 *
 * With options->recover the image is taken as it is, with what a dead server
 * left in @rescue_fd (-1: nothing), and its lock is waited for: the kernel lets go of that
 * with the last of the dead server's I/O.
 */
int device_image_co_open(struct device_image *image, const struct device_options *options,
			 int rescue_fd, struct error *err);

/* From now on the image stays, whatever happens. */
static inline void device_image_keep(struct device_image *image)
{
	image->created = false;
}

/*
 * Close the image.  One that was created and not kept is removed.  Returns 0
 * when everything that was answered is durable; ->path stays, to name what was
 * closed.  Coroutine.
 */
int device_image_co_close(struct device_image *image);

/* Give the name back, at last. */
void device_image_free(struct device_image *image);

/* Do reads keep what they had to take from the backing file? */
bool device_image_copies_on_read(const struct device_image *image);

/*
 * What is to be said about how the format of @node, which is the image's or one
 * of its chain, was found; NULL: nothing.
 */
const char *device_image_probe_warning(const struct device_image *image,
				       const struct blk_node *node);

/*
 * Log each warning of device_image_probe_warning() that is about a raw image, the dangerous
 * kind.  With a @prefix, print it after that on standard error, too: the user that starts a
 * server reads neither the log nor the status.
 */
void device_image_warn_of_probing(const struct device_image *image, const char *prefix);

#endif
