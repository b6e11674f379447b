/* SPDX-License-Identifier: GPL-2.0 */
/* The image that is served: making it where that is asked for, opening it, judging it. */
#ifndef QEDBLK_SERVER_IMAGE_H
#define QEDBLK_SERVER_IMAGE_H

#include "block/node.h"
#include "server/options.h"

struct image {
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
int image_co_open(struct image *image, const struct options *options, int rescue_fd,
		  struct error *err);

/* From now on the image stays, whatever happens. */
static inline void image_keep(struct image *image)
{
	image->created = false;
}

/*
 * Close the image.  One that was created and not kept is removed.  Returns 0
 * when everything that was answered is durable; ->path stays, to name what was
 * closed.  Coroutine.
 */
int image_co_close(struct image *image);

/* Give the name back, at last. */
void image_free(struct image *image);

/* Do reads keep what they had to take from the backing file? */
bool image_copies_on_read(const struct image *image);

/*
 * What is to be said about how the format of @node, which is the image's or one
 * of its chain, was found; NULL: nothing.
 */
const char *image_probe_warning(const struct image *image, const struct blk_node *node);

#endif
