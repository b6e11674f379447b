// SPDX-License-Identifier: GPL-2.0
/*
 * Making the new image of a snapshot. A successor of the server opens the chain by what the images
 * say, so what only an option of this server says is refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/overlay.h"
#include "device/device_overlay.h"
#include "file/name.h"
#include "populate/populate.h"
#include "util/log.h"
#include "util/units.h"

/* Is the format of @node's backing file the one that the next opener finds? */
static bool backing_format_is_known(const struct blk_node *node)
{
	const struct blk_driver *driver = node->backing->driver;

	if (node->backing_format)
		return blk_driver_find(node->backing_format) == driver;
	return node->backing->probed || !driver->is_fallback;
}

static int check_image(const struct device_image *image, const struct device_options *options,
		       struct error *err)
{
	const struct blk_node *node = image->node;

	if (!(node->flags & BLK_O_RDWR))
		return error_set(err, -EROFS, "the device is read-only");
	if (options->no_backing)
		return error_set(err, -EPERM, "the device may have no backing file");
	if (blk_name_is_url(image->path) || node->backing_options)
		return error_set(err, -ENOTSUP, "%s: no image can record it as its backing file",
				 image->path);
	if (node->backing && !backing_format_is_known(node))
		return error_set(err, -EINVAL,
				 "%s: does not record that its backing file is %s; `qed-img rebase "
				 "-u` does, while the image is not in use",
				 image->path, node->backing->driver->name);
	if (blk_chain_is_full(node))
		return error_set(err, -ELOOP, "%s: more than %u images in its backing chain",
				 image->path, BLK_MAX_CHAIN);
	return 0;
}

/* The new image will have to name @image as a backing file that the device may have. */
static int co_check_place(const struct device_image *image, const struct device_options *options,
			  struct error *err)
{
	struct blk_file *file;
	int ret;

	if (options->backing_dir) {
		ret = blk_file_co_open_below(&file, image->path, options->backing_dir, 0, err);
	} else {
		ret = blk_file_co_open(&file, image->path, 0, 0, 0, err);
	}
	if (ret)
		return ret;
	if (!blk_file_is_same(file, image->node->file))
		ret = error_set(err, -ESTALE, "%s: is no longer the image that is served",
				image->path);
	blk_file_co_close(file);
	return ret;
}

/* Make the file. An image of the same format gets the same geometry. */
static int co_create(const struct device_image *image, const char *path,
		     const struct blk_driver *driver, struct error *err)
{
	struct blk_node *node = image->node;
	struct blk_create_opts create = {
		.filename = path,
		.format = driver->name,
		.size = round_down(atomic_load(&node->size), SECTOR_SIZE),
		.backing_file = image->path,
		.backing_format = node->driver->name,
		.exclusive = true,
	};
	struct blk_info info = { 0 };
	int ret = 0;

	if (node->driver == driver) {
		ret = blk_co_info(node, &info);
		create.cluster_size = info.cluster_size;
		create.table_size = info.table_size;
	}
	if (ret)
		return error_set_errno(err, ret, "%s", image->path);
	ret = blk_co_create(&create, err);
	if (ret)
		return ret;
	ret = blk_co_sync_name(path);
	if (ret) {
		error_set_errno(err, ret, "%s: its name could not be made durable", path);
		(void)unlink(path);
	}
	return ret;
}

static int co_open(struct device_overlay *overlay, const struct device_image *image,
		   const struct device_options *options, const struct blk_driver *driver,
		   int rescue_fd, struct error *err)
{
	const struct blk_rescue rescue = { .fd = rescue_fd, .later = true };
	const struct blk_open_opts opts = {
		.format = driver->name,
		.flags = device_image_open_flags(options),
		.l2_cache_size = options->l2_cache,
		.rescue = &rescue,
	};
	int ret = blk_co_open_over(&overlay->node, overlay->path, &opts, image->node, err);

	if (ret)
		return ret;
	ret = populate_co_attach(overlay->node, device_image_copies_on_read(image), err);
	if (ret)
		blk_co_close_over(overlay->node);
	return ret;
}

static const struct blk_driver *find_driver(const char *format, struct error *err)
{
	const struct blk_driver *driver = format ? blk_driver_find(format) : blk_drivers[0];

	if (!driver)
		error_set(err, -EINVAL, "Unknown driver '%s'", format);
	else if (!driver->has_backing || !driver->co_create || !driver->rescue)
		error_set(err, -ENOTSUP, "format %s cannot be that of a snapshot", driver->name);
	else
		return driver;
	return NULL;
}

int device_overlay_co_make(struct device_overlay *overlay, const struct device_image *image,
			   const struct device_options *options, const char *path,
			   const char *format, int rescue_fd, struct error *err)
{
	const struct blk_driver *driver = find_driver(format, err);
	int ret = driver ? check_image(image, options, err) : err->code;

	*overlay = (struct device_overlay){ 0 };
	if (!ret)
		ret = co_check_place(image, options, err);
	if (ret)
		return ret;
	overlay->path = strdup(path);
	if (!overlay->path)
		return error_set_errno(err, -ENOMEM, "%s", path);
	ret = co_create(image, path, driver, err);
	if (!ret) {
		ret = co_open(overlay, image, options, driver, rescue_fd, err);
		if (ret)
			(void)unlink(path);
	}
	if (ret)
		free(overlay->path);
	return ret;
}

void device_overlay_co_undo(struct device_overlay *overlay)
{
	blk_co_close_over(overlay->node);
	if (unlink(overlay->path))
		log_warning("%s: %s", overlay->path, strerror(errno));
	free(overlay->path);
}

void device_overlay_exchange(struct device_overlay *overlay, struct device_image *image)
{
	struct device_overlay old = { image->path, image->node };

	image->path = overlay->path;
	image->node = overlay->node;
	*overlay = old;
}
