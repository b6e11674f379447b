// SPDX-License-Identifier: GPL-2.0
/* -s: a temporary overlay that takes the writes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/image.h"
#include "qed-io/io.h"
#include "util/units.h"

/* Open the base to find the properties that the overlay needs. */
static int co_look_at_base(const struct io_open *how, struct blk_create_opts *create,
			   struct error *err)
{
	struct blk_open_opts opts = {
		.format = how->format,
		.flags = how->force_share ? BLK_O_NO_LOCK : 0,
		.options = (struct blk_options *)how->options, /* which is not changed */
	};
	struct blk_node *node;
	int ret = image_co_open(&node, how->filename, &opts, err);

	if (ret < 0)
		return ret;
	create->format = "qed";
	create->size = round_up(node->size, SECTOR_SIZE);
	create->backing_format = node->driver->name;
	return blk_co_close(node);
}

/* Return the base's name for the overlay, which is in another directory (heap); NULL: see errno. */
static char *base_name(const char *filename)
{
	if (blk_name_is_url(filename))
		return strdup(filename);
	return realpath(image_path(filename, NULL), NULL);
}

static int co_make(struct blk_create_opts *create, char *name, struct error *err)
{
	int fd = mkstemp(name);

	if (fd < 0)
		return error_set_errno(err, -errno, "Could not create '%s'", name);
	close(fd);
	create->filename = name;
	return image_co_create(create, err);
}

/* Open the overlay; the options of the image apply to the base. */
static int co_open_overlay(struct blk_node **node, const char *name, const struct io_open *how,
			   unsigned int flags, const struct blk_create_opts *create,
			   struct error *err)
{
	struct blk_open_opts opts = {
		.format = "qed",
		.flags = flags,
		.backing_format = create->backing_format,
	};
	int ret = 0;

	if (how->options) {
		ret = blk_options_new(&opts.options, err);
		if (ret == 0 && blk_options_add_part(opts.options, "backing", how->options) < 0)
			ret = error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	}
	if (ret == 0)
		ret = image_co_open(node, name, &opts, err);
	blk_options_free(opts.options);
	return ret;
}

int io_snapshot_co_open(struct blk_node **node, const struct io_open *how, unsigned int flags,
			struct error *err)
{
	const char *dir = getenv("TMPDIR");
	struct blk_create_opts create = { 0 };
	char *name = NULL, *base = NULL;
	int ret = co_look_at_base(how, &create, err);

	if (ret < 0)
		return ret;
	if (how->filename) {
		base = base_name(how->filename);
		if (!base)
			return error_set_errno(err, -errno, "Could not make a snapshot");
		create.backing_file = base;
	}
	if (asprintf(&name, "%s/qed-io.XXXXXX", dir ? dir : "/var/tmp") < 0)
		name = NULL;
	ret = name ? co_make(&create, name, err) : error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	if (ret == 0)
		ret = co_open_overlay(node, name, how, flags, &create, err);
	if (create.filename)
		unlink(name);
	free(name);
	free(base);
	return ret;
}
