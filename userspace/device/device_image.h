/* SPDX-License-Identifier: GPL-2.0 */
/* The served image: creating it if requested, opening and checking it. */
#ifndef QEDBLK_DEVICE_DEVICE_IMAGE_H
#define QEDBLK_DEVICE_DEVICE_IMAGE_H

#include "block/backing_record.h"
#include "block/node.h"
#include "device/options.h"

struct device_image {
	char *path; /* its place (file/name.h), absolute */
	bool created; /* by this process, and not yet used */
	bool creating; /* the file is being created */
	struct blk_node *node;
	struct blk_backing_record backing; /* stays after the close, for its warnings */
};

/*
 * Open the image that @options name; create it first if it does not exist and the options
 * request that. Refuses an image that contradicts the options. Coroutine; yields. Returns
 * 0 or a negative errno with an error line; after an error only device_image_free() is
 * left to call.
 *
 * With options->recover the image is opened as it is, with the rescue data of a dead
 * server in @rescue_fd (-1: none), after waiting for its lock: the kernel releases it when
 * the dead server's last I/O ends. The caller owns @rescue_fd.
 */
int device_image_co_open(struct device_image *image, const struct device_options *options,
			 int rescue_fd, struct error *err);

/* Return the flags, BLK_O_*, with which an image is opened that is used as @options say. */
unsigned int device_image_open_flags(const struct device_options *options);

/* Do not remove a created image on close from now on. */
static inline void device_image_keep(struct device_image *image)
{
	image->created = false;
}

/*
 * Close the image, and remove it if it was created and not kept. Returns 0 when all
 * completed writes are durable, else a negative errno. ->path stays, for messages.
 * Coroutine; yields.
 */
int device_image_co_close(struct device_image *image);

/*
 * Remove an image that was created and not kept, in place of device_image_co_close() when the
 * process exits without closing it.
 */
void device_image_abandon(struct device_image *image);

/* Free ->path and ->backing. */
void device_image_free(struct device_image *image);

/* Return true when copy-on-read is active. */
bool device_image_copies_on_read(const struct device_image *image);

/*
 * Return a warning about the probed format of @node, the image or a node of its chain,
 * as a static string; NULL: none.
 */
const char *device_image_probe_warning(const struct device_image *image,
				       const struct blk_node *node);

/* Return a warning about @file, of image->backing, as a heap string; NULL: none, or no memory. */
char *device_image_backing_warning(const struct device_image *image,
				   const struct blk_backing *file);

/* The same where the backing files could not be compared with what is recorded. */
char *device_image_unread_warning(const struct device_image *image);

/*
 * Log each warning of device_image_probe_warning() about a raw image, the dangerous kind, that
 * a new image is smaller than its backing file, and those of device_image_backing_warning()
 * and device_image_unread_warning().
 * With @prefix, also print it on standard error after the prefix: the user that starts a
 * server reads neither the log nor the status.
 */
void device_image_warn(const struct device_image *image, const char *prefix);

#endif
