// SPDX-License-Identifier: GPL-2.0
/*
 * The command `resize`: a larger image, then a larger block device, and then the client makes the
 * mapping larger; or a smaller mapping, by the client, then a smaller device and a smaller image.
 *
 * A crash at any moment leaves an image that is as large as the device or larger. So a larger size
 * of the image is durable before the device has it, and NAME.json no longer demands the old one
 * before the image has another. A successor of the server makes the device as large as the image.
 */
#include <errno.h>

#include "aio/sys.h"
#include "block/io.h"
#include "server/commands.h"
#include "server/served_device.h"
#include "server/server.h"
#include "server/state_file.h"
#include "server/status.h"
#include "util/units.h"

/*
 * Can the device become smaller? The users of a mapping are the client's to look for, which makes
 * the mapping smaller first.
 */
static int co_check_shrink(struct server *server, bool shrink, struct error *err)
{
	struct error why = ERROR_INIT;
	int ret;

	if (!shrink)
		return error_set(err, -ENOTSUP,
				 "its image has %llu bytes: it becomes smaller only with shrink",
				 (unsigned long long)atomic_load(&server->image.node->size));
	ret = served_device_co_check_resize(server, &why);
	if (ret == -ENOTSUP)
		error_set(err, ret,
			  "this kernel cannot make a live block device smaller (Linux 6.16 can): "
			  "remove it, use qed-img resize --shrink, and create it again");
	else if (ret)
		error_set(err, ret, "%s", error_text(&why));
	error_free(&why);
	if (!ret && !served_device_is_mapped(server))
		ret = server_co_check_unused(server, err);
	return ret;
}

/* Check what can be known before anything changes. */
static int co_check(struct server *server, uint64_t bytes, bool shrink, struct error *err)
{
	const struct blk_node *node = server->image.node;

	if (bytes % SECTOR_SIZE)
		return error_set(err, -EINVAL, "the size is no multiple of %d", SECTOR_SIZE);
	if (!(node->flags & BLK_O_RDWR))
		return error_set(err, -EROFS, "the device is read-only");
	if (!node->driver->co_truncate)
		return error_set(err, -ENOTSUP, "images of format %s keep their size",
				 node->driver->name);
	/* What a job works on ends where the image ended when the job began. */
	if (server_job_check_none(server, err))
		return err->code;
	if (bytes < atomic_load(&node->size))
		return co_check_shrink(server, shrink, err);
	return served_device_co_check_resize(server, err);
}

static int co_resize_image(struct server *server, uint64_t bytes, struct error *err)
{
	struct blk_node *node = server->image.node;
	int ret = blk_co_truncate(node, bytes, err);

	if (!ret) {
		ret = blk_co_sync(node);
		error_set_errno(ret ? err : NULL, ret, "%s: flush", server->image.path);
	}
	return ret;
}

static int co_shrink(struct server *server, uint64_t bytes, struct error *err)
{
	int ret = served_device_co_resize(server, bytes, err);

	if (!ret)
		ret = co_resize_image(server, bytes, err);
	if (ret)
		(void)served_device_co_resize(server, atomic_load(&server->image.node->size), NULL);
	return ret;
}

static int co_grow(struct server *server, uint64_t bytes, struct error *err)
{
	int ret = co_resize_image(server, bytes, err);

	return ret ? ret : served_device_co_resize(server, bytes, err);
}

int command_co_resize(struct server *server, json_t *arguments, const struct event_sink *sink,
		      json_t **result, struct error *err)
{
	json_int_t bytes = json_integer_value(json_object_get(arguments, "size"));
	bool shrink = json_is_true(json_object_get(arguments, "shrink"));
	int ret;

	(void)sink;
	(void)result;
	if (bytes <= 0)
		return error_set(err, -EINVAL, "resize: size is needed, in bytes");
	ret = co_check(server, (uint64_t)bytes, shrink, err);
	if (ret || json_is_true(json_object_get(arguments, "check")))
		return ret;
	server->resized = true;
	ret = state_file_write(server, err);
	if (!ret && (uint64_t)bytes < atomic_load(&server->image.node->size))
		ret = co_shrink(server, (uint64_t)bytes, err);
	else if (!ret)
		ret = co_grow(server, (uint64_t)bytes, err);
	status_refresh_size(server);
	return ret;
}
